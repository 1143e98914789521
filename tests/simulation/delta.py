"""Watches the Delta logs of a world: readers check them and the folders after every storage call."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.compaction.compaction_state import CompactionState
from shared.compaction.compactor import Compactor
from shared.errors import LedgerTooNew
from shared.output.layout import is_delta_log
from shared.tables.registry import TABLES
from shared.timeunits import DAY
from tests import delta_reader
from tests.delta_reader import LogBroken


class Watched(Protocol):
    """The parts of a world that the watch needs."""

    now: int
    storage: Any
    removed: Counter[str]
    deleted: set[str]
    log: list[str]

    def rows(self, name: str) -> Iterator[str]: ...


@dataclass
class DeltaWatch:
    """Collects what Delta readers of the world see, and its errors."""

    world: Watched
    keep: int = 0
    """How long replaced files stay for readers of older snapshots, in µs."""
    retention: int = 0
    """The age at which lifecycle rules delete files, in µs; 0: there is no rule."""
    broken: list[str] = field(default_factory=list)
    may_erase: Callable[[str], bool] = lambda _: False
    """Whether an eraser may have removed rows."""
    versions: int = 0
    _rows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _last: dict[str, tuple[int, set[str]]] = field(default_factory=dict)
    _history: dict[str, list[tuple[int, frozenset[str]]]] = field(default_factory=dict)
    _cache: dict[bytes, Any] = field(default_factory=dict)

    def look(self) -> None:
        """Checks the logs; called after every storage call that may have changed something."""
        output = self.world.storage.output
        for name, blob in output.items():
            new = blob.data is not None and name not in self._rows
            if new and name.endswith(".parquet") and not is_delta_log(name):
                self._rows[name] = tuple(self.world.rows(name))
        for table in TABLES:
            self._look(f"parquet/{table}/")

    def _look(self, folder: str) -> None:
        storage = self.world.storage
        prefix = f"{folder}_delta_log/"
        blobs = {
            name.removeprefix(prefix): blob.data
            for name, blob in storage.output.items()
            if name.startswith(prefix) and blob.data is not None
        }
        try:
            table = delta_reader.read(blobs, cache=self._cache)
            other = delta_reader.read(blobs, pointer=False, cache=self._cache)
        except LogBroken as error:
            self._fail(f"no reader can open the log: {error}")
            return
        if table is None or other is None:
            if folder in self._last:
                self._fail("the log is gone")
            return
        if (table.version, table.live.keys()) != (other.version, other.live.keys()):
            self._fail("readers that go by _last_checkpoint and by listings differ")
        self.versions = max(self.versions, table.version)
        names = [folder + path for path in table.live]
        gone = [
            name
            for name in names
            if not storage.visible(name) and (self.retention or name not in self.world.deleted)
        ]
        if gone:
            self._fail(f"a file of the newest snapshot is gone: {gone[0]}")
        seen = Counter(row for name in names for row in self._rows.get(name, ()))
        double = [row for row, times in seen.items() if times > 1]
        if double:
            self._fail(f"the newest snapshot has a row twice: {double[0]}")
        version, before = self._last.get(folder, (-1, set()))
        if table.version < version:
            self._fail("the version went back")
        vanished = before - seen.keys() - self.world.removed.keys() - self._old()
        vanished = {row for row in vanished if not self.may_erase(row)}
        if vanished:
            self._fail(f"a row vanished from the newest snapshot: {min(vanished)}")
        if table.version != version:
            self._history.setdefault(folder, []).append((self.world.now, frozenset(names)))
        self._last[folder] = table.version, set(seen)
        history = self._history[folder]
        while len(history) > 1 and history[1][0] < self.world.now - self.keep:
            del history[0]
        for _, files in history if self.keep else ():
            if any(not storage.visible(name) for name in files - self.world.deleted):
                self._fail("a snapshot that readers were promised lost a file")

    def forget(self, folder: str) -> None:
        """The log of this table was deleted by hand, and the next one is another table."""
        self._last.pop(folder, None)
        self._history.pop(folder, None)

    def at_rest(self) -> Iterator[str]:
        """Returns the errors at the end: every row of the folders must be in the log."""
        for table in TABLES:
            folder = f"parquet/{table}/"
            names = [
                name
                for name, blob in self.world.storage.output.items()
                if name.startswith(f"{folder}date=") and blob.data is not None
            ]
            rows = {row for name in names for row in self._rows[name]} - self._old()
            logged = self._last.get(folder, (-1, set()))[1] - self._old() - self.world.removed.keys()
            if rows != logged:
                yield f"the folders have rows that the log lacks, or the other way: {min(rows ^ logged)}"

    def _old(self) -> set[str]:
        """Returns rows that the log may leave out, because a lifecycle rule is about to delete them."""
        if not self.retention:
            return set()
        oldest = self.world.now - self.retention + DAY
        return {
            row
            for name, rows in self._rows.items()
            if (blob := self.world.storage.output.get(name)) is None
            or int(blob.metadata.get("committed_at", 0)) < oldest
            for row in rows
        }

    def violations(self) -> Iterator[str]:
        """Returns all errors at the end."""
        yield from self.broken
        yield from self.at_rest()

    def _fail(self, text: str) -> None:
        if text not in self.broken:
            self.broken.append(text)
            self.world.log.append(f"*** {text}")


class OlderCompactor(Compactor):
    """The compactor of an older program without Delta logs, until the new one runs on all instances."""

    def _load(self) -> tuple[CompactionState, str | None]:
        state, etag = super()._load()
        if state.format > 1:
            raise LedgerTooNew("compaction.json has format 2")
        return state.model_copy(update={"delta": {}}), etag
