"""Loads the Delta log of one table, appends versions to it, and cleans up behind its checkpoints."""

import logging
import re
from collections.abc import Callable, Sequence

import orjson

from shared.delta import actions, checkpoint, table_metadata
from shared.delta.snapshot import Action, Snapshot, Tombstone
from shared.errors import DeltaLogError, PreconditionFailed
from shared.protocol.stamp import Clock
from shared.protocol.storage import LogStorage
from shared.tables.table import Table
from shared.timeunits import DAY, HOUR

FOLDER = "_delta_log/"
POINTER = "_last_checkpoint"
WRITTEN_AT = "written_at"
"""Key in the metadata of the log's blobs: when they were written, µs since 1970 UTC."""
CHUNK = 10_000
"""Maximum number of actions in a version."""
TRIES = 5
"""Maximum attempts to write a version while other processes write versions, too."""
PIPELINED = 16
"""Maximum number of versions that are read at a time."""
CHECKPOINT_VERSIONS, CHECKPOINT_AGE = 20, HOUR
"""A checkpoint is written after this many versions or this time (µs), whichever comes first."""
TOMBSTONES = 3 * HOUR
"""How long checkpoints keep tombstones (µs): longer than any listing or late call lasts."""
LATE = HOUR
"""How late a version can arrive (µs). Files are kept this much longer than COMPACT_KEEP."""
VERSIONS = 2 * DAY
"""How long versions and checkpoints are kept (µs)."""

_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_VERSION = re.compile(r"(\d{20})\.json")

log = logging.getLogger(__name__)


class DeltaLog:
    """The log of one table, for one run: the next run reads it again."""

    def __init__(self, storage: LogStorage, table: Table, now: Clock) -> None:
        """Makes no call."""
        self._storage = storage
        self._now = now
        self._table = table
        self.folder = f"parquet/{table.name}/"
        """The table's folder, to which paths in the log are relative."""
        self._snapshot: Snapshot | None = None

    @property
    def table(self) -> str:
        """The table's name."""
        return self._table.name

    @property
    def snapshot(self) -> Snapshot:
        """The newest version that was read."""
        assert self._snapshot
        return self._snapshot

    def load(self) -> Snapshot | None:
        """Reads the newest version; None if there is no log. Raises DeltaLogError."""
        self._snapshot = self._from_pointer() or self._from_listing()
        if self._snapshot is None:
            return None
        self.follow(PIPELINED // 2)
        if self.snapshot.metadata is None:
            raise DeltaLogError(f"{self._name(FOLDER)}: no version describes the table")
        if self.snapshot.metadata.schema_version is None:
            raise DeltaLogError(f"{self._name(FOLDER)}: another program created this Delta log")
        return self.snapshot

    def follow(self, size: int = 1) -> None:
        """Reads the versions after the known one, at first `size` at a time."""
        gap = False
        while True:
            first = self.snapshot.version + 1
            names = [self._version(number) for number in range(first, first + size)]
            found = self._storage.read_outputs(names)
            for number, data in enumerate(found, first):
                if data is None:
                    break
                self.snapshot.apply(actions.decode(data, self._table.time_column), number)
            rest = found[self.snapshot.version + 1 - first :]
            if any(rest):
                # Two versions may have been written between the reads of the first and the second.
                if gap and rest[0] is None and self.snapshot.version + 1 == first:
                    raise DeltaLogError(f"{names[0]} is missing, but later versions exist")
                gap = True
            elif rest:
                return
            size = PIPELINED

    def append(self, decide: Callable[[Snapshot], Sequence[Action]], operation: str) -> int:
        """Writes the actions that `decide` returns for the newest version; returns their number.

        If another process was faster, reads its versions and decides again. Raises StorageError; if the
        outcome of a write is unknown, the next run finds that the files are already known, or decides again.
        """
        written = tries = 0
        while found := decide(self.snapshot)[:CHUNK]:
            version = self.snapshot.version + 1
            now = self._now()
            data = actions.encode(found, operation, now, self._table.time_column)
            try:
                self._put(self._version(version), data, replace=False)
            except PreconditionFailed:
                tries += 1
                self.follow()
                if self.snapshot.version < version or tries == TRIES:
                    raise
                continue
            self.snapshot.apply(found, version)
            written += len(found)
        return written

    def create(self, table_id: str) -> None:
        """Writes version 0, without any file; another process may have done so."""
        now = self._now()
        found = [table_metadata.describe(self._table, table_id, now)]
        data = actions.encode(found, "CREATE TABLE", now, self._table.time_column)
        self._put(self._version(0), data, replace=False)
        self._snapshot = Snapshot()
        self.snapshot.apply(found, 0)

    def checkpoint(self, keep: int) -> None:
        """Writes a checkpoint if one is due, and deletes old versions and replaced files.

        `keep`: how long files that compaction replaced stay in their folders, in µs.
        """
        snapshot, now = self.snapshot, self._now()
        behind = snapshot.version - snapshot.checkpoint
        if not behind or (behind < CHECKPOINT_VERSIONS and now - snapshot.checkpointed_at < CHECKPOINT_AGE):
            return
        due = {
            path
            for path, tombstone in snapshot.tombstones.items()
            if tombstone.kept and tombstone.at < now - keep - LATE
        }
        # This precedes the checkpoint: without its tombstone, such a file would be added again.
        self._storage.remove([self.folder + path for path in sorted(due)])
        pruned = Snapshot(
            snapshot.version,
            snapshot.metadata,
            snapshot.live,
            {
                path: Tombstone(tombstone.at, tombstone.swapped, kept=tombstone.kept and path not in due)
                for path, tombstone in snapshot.tombstones.items()
                if tombstone.at >= now - TOMBSTONES or (tombstone.kept and path not in due)
            },
            snapshot.swept_at,
        )
        data = checkpoint.encode(pruned, self._table.time_column)
        try:
            self._put(self._checkpoint(snapshot.version), data, replace=False)
        except PreconditionFailed:
            log.info("%s: another process wrote this checkpoint", self._checkpoint(snapshot.version))
        pointer = {
            "version": snapshot.version,
            "size": checkpoint.size(pruned),
            "tags": {WRITTEN_AT: str(now)},
        }
        self._put(self._name(FOLDER + POINTER), orjson.dumps(pointer), replace=True)
        self._clean_up(now)

    def _clean_up(self, now: int) -> None:
        """Deletes old versions, in order, below a checkpoint that is itself old enough."""
        numbers: dict[str, int] = {}
        floor = -1
        for blob in self._storage.outputs(self._name(FOLDER)):
            name = blob.name.removeprefix(self._name(FOLDER))
            found = _CHECKPOINT.fullmatch(name) or _VERSION.fullmatch(name)
            if not found:
                continue
            numbers[blob.name] = int(found[1])
            written_at = blob.metadata.get(WRITTEN_AT, "")
            if name.endswith(".parquet") and written_at.isdecimal() and int(written_at) < now - VERSIONS:
                floor = max(floor, int(found[1]))
        for name in sorted(name for name, number in numbers.items() if number < floor):
            self._storage.remove([name])

    def _from_pointer(self) -> Snapshot | None:
        """Reads the checkpoint that `_last_checkpoint` names; None if either is missing."""
        (data,) = self._storage.read_outputs([self._name(FOLDER + POINTER)])
        if data is None:
            return None
        try:
            pointer = orjson.loads(data)
            version, tags = int(pointer["version"]), pointer.get("tags") or {}
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise DeltaLogError(f"{self._name(FOLDER + POINTER)}: unexpected content: {error}") from error
        (found,) = self._storage.read_outputs([self._checkpoint(version)])
        if found is None:
            return None
        snapshot = checkpoint.decode(found, version, self._table.time_column)
        snapshot.checkpointed_at = int(tags.get(WRITTEN_AT, 0))
        return snapshot

    def _from_listing(self) -> Snapshot | None:
        """Reads the newest checkpoint or version 0 from a listing; None if there is no log."""
        names = [
            blob.name.removeprefix(self._name(FOLDER)) for blob in self._storage.outputs(self._name(FOLDER))
        ]
        if not names:
            return None
        for found in sorted(filter(None, map(_CHECKPOINT.fullmatch, names)), key=lambda one: -int(one[1])):
            (data,) = self._storage.read_outputs([self._checkpoint(int(found[1]))])
            if data is not None:
                return checkpoint.decode(data, int(found[1]), self._table.time_column)
        if f"{0:020d}.json" not in names:
            raise DeltaLogError(f"{self._name(FOLDER)} has neither a checkpoint nor version 0")
        return Snapshot()

    def _put(self, name: str, data: bytes, *, replace: bool) -> None:
        self._storage.put_output(name, data, {WRITTEN_AT: str(self._now())}, replace=replace)

    def _version(self, number: int) -> str:
        return self._name(f"{FOLDER}{number:020d}.json")

    def _checkpoint(self, number: int) -> str:
        return self._name(f"{FOLDER}{number:020d}.checkpoint.parquet")

    def _name(self, path: str) -> str:
        return self.folder + path
