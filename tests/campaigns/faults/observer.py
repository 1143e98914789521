"""Reads the Delta tables and the folders of a stack again and again while faults are injected into it."""

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Protocol, Self

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from local.demo import delta
from local.stack import OUTPUT
from shared.compaction.compaction_state import CompactionState
from shared.tables.websocket_connection_logs import RECORDS

FOLDER = f"parquet/{RECORDS.name}/"
KEY = ("_EventHubPartition", "_SequenceNumber", "_RecordIndex", "_EnqueuedTime")
"""The columns that identify a row."""
PAUSE = 0.5
"""Seconds between two observations."""
TRIES = 3
"""Consecutive failures to open the table, while storage answers, after which the campaign fails."""

type Row = tuple[object, ...]


class Observed(Protocol):
    """The parts of a stack that the observer needs."""

    def container(self, name: str) -> ContainerClient: ...

    def compaction(self) -> CompactionState: ...


class Observer(threading.Thread):
    """Collects violations that a reader sees. Reads storage directly; waits while it is stopped."""

    def __init__(self, stack: Observed) -> None:
        super().__init__(daemon=True)
        self.broken: list[str] = []
        self.versions: set[int] = set()
        """The versions of the Delta table that were read."""
        self.swaps = 0
        """The observations of folders during a swap."""
        self._stack = stack
        self._output = stack.container(OUTPUT)
        self._rows: dict[str, tuple[Row, ...]] = {}
        self._delta_rows: set[Row] = set()
        self._folder_rows: set[Row] = set()
        self._failed = 0
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """See threading.Thread."""
        while not self._ended.wait(PAUSE):
            try:
                self.look_at_the_table()
                self.look_at_the_folders()
            except (AzureError, OSError):
                continue  # storage is stopped

    def look_at_the_table(self) -> None:
        """Checks as a Delta reader that no row is missing or duplicated, and that versions only increase."""
        version = -1
        while (opened := self._open()) and opened[0] != version:
            version, names = opened
            if version < max(self.versions, default=0):
                self._fail(f"the Delta table went back to version {version}")
            gone = sorted(names - self._listed())
            if not gone and (rows := self._count(names)) is not None:
                self._compare(version, rows)
                return
            # Compaction has deleted a file since then; the newest snapshot must have all its files.
        if opened:
            self._fail(f"version {version} names files that are gone: {gone[:1]}")

    def _compare(self, version: int, rows: Counter[Row]) -> None:
        self.versions.add(version)
        if doubles := [row for row, times in rows.items() if times > 1]:
            self._fail(f"version {version} has a row twice: {doubles[0]}")
        if vanished := self._delta_rows - rows.keys():
            self._fail(f"a row vanished in version {version}: {min(vanished, key=str)}")
        self._delta_rows |= rows.keys()

    def _open(self) -> tuple[int, set[str]] | None:
        """Returns the newest version and its files; None without a log, or if storage is stopped."""
        try:
            found = deltalake.DeltaTable(
                f"az://{self._output.container_name}/{FOLDER.rstrip('/')}",
                storage_options=delta.options(self._output),
            )
        except deltalake.exceptions.TableNotFoundError:
            return None
        except deltalake.exceptions.DeltaError as error:
            self._listed()  # also raised if storage is stopped
            self._failed += 1
            if self._failed == TRIES:
                self._fail(f"a Delta reader cannot open the table: {error}")
            return None
        self._failed = 0
        return found.version(), {FOLDER + name.partition(FOLDER)[2] for name in found.file_uris()}

    def _listed(self) -> set[str]:
        return {blob.name for blob in self._output.list_blobs(f"{FOLDER}date=")}

    def look_at_the_folders(self) -> None:
        """Checks as a plain reader that no row is missing, and none duplicated except during a swap."""
        before = self._stack.compaction()
        rows = self._count(self._listed())
        after = self._stack.compaction()
        if rows is None:
            return  # A file was replaced after it was listed: the next observation repeats such a query.
        if doubles := [row for row, times in rows.items() if times > 1]:
            self.swaps += 1
            if before.ordinal == after.ordinal and not after.swap:
                self._fail(f"the folders have a row twice without a swap: {doubles[0]}")
        if vanished := self._folder_rows - rows.keys():
            self._fail(f"a row vanished from the folders: {min(vanished, key=str)}")
        self._folder_rows |= rows.keys()

    def _count(self, names: Iterable[str]) -> Counter[Row] | None:
        """Returns the rows of these files, whose content never changes; None if one of them is gone."""
        rows: Counter[Row] = Counter()
        for name in names:
            if name not in self._rows:
                try:
                    data = self._output.download_blob(name).readall()
                except ResourceNotFoundError:
                    return None
                table = pq.read_table(pa.BufferReader(data), columns=list(KEY))
                self._rows[name] = tuple(zip(*(column.to_pylist() for column in table.columns), strict=True))
            rows.update(self._rows[name])
        return rows

    def _fail(self, text: str) -> None:
        if text not in self.broken:
            self.broken.append(text)
