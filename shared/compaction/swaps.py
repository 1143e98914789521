"""The state of compaction: which files of an hour to merge, and which merges are in progress. Pure data."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from shared.compaction import replaced_files
from shared.connections.finishing import UNCLOSED_KEPT
from shared.input.envelope import is_archive
from shared.policies import CompactionPolicy
from shared.protocol import documents
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.documents import Data, Document
from shared.protocol.ledger import PendingFile
from shared.protocol.storage import BlobInfo
from shared.tables.column import Table
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES, of_categories
from shared.timeunits import DAY, HOUR, MINUTE, SECOND

FORMAT = 2
"""The newest format that this program reads. Format 2 has Delta logs: it stops an older program, which would
swap files without logging it, from beginning a swap."""
NAME = "compaction.json"
"""The name of its blob in the state container."""
REMEMBERED = 512
"""The number of recent swaps whose folders are remembered."""
RATIO = 4
"""A file is merged with smaller ones if it is at most this many times as large as all of them together."""
FILES = 1000
"""Maximum files that one swap replaces: readers see rows twice while they are being deleted."""
ORIGINS = 5000
"""Maximum exported files that one file may replace in total: its footer lists them all."""
ROWS = 5_000_000
"""Maximum rows of one swap: its time depends on them, and the host kills a run that takes ten minutes."""
NEW = -1
"""Represents the version of a Delta log to which no swap has been written."""
SLOT = 10 * MINUTE
"""Microseconds between two runs of the timer."""
ROUND = 18
"""Number of runs in which all days except today and yesterday are listed once."""

_SLACK = timedelta(days=1)


class Swap(Data):
    """One file that replaces several files of its folder."""

    folder: str
    inputs: tuple[str, ...]
    """Their names in the folder."""
    output: PendingFile
    began: int
    """When it was committed (µs since 1970 UTC)."""
    erases: bool = False
    """Whether the output lacks erased rows of the inputs, which nobody may see again."""

    @property
    def names(self) -> tuple[str, ...]:
        """The full names of its inputs."""
        return tuple(self.folder + name for name in self.inputs)


class Touched(Data):
    """A folder in which a swap was committed, and the ordinal of that write."""

    ordinal: int
    folder: str


class CompactionState(Document):
    """The state of compaction. Immutable: each change returns a new value."""

    format: int = 1
    """2 once a table has a Delta log."""
    ordinal: int = 0
    """The number of times it was written."""
    swap: Swap | None = None
    """The swap that is committed and not known to be finished."""
    touched: tuple[Touched, ...] = ()
    """Folders of the last swaps, including the current one, which concurrent listings must list again."""
    delta: Mapping[str, int] = {}
    """The tables that have a Delta log, each with a version that it had reached when a swap was written."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parses a state. Raises LedgerTooNew or LedgerError."""
        return documents.parse(cls, data, NAME, FORMAT)

    def dump(self) -> bytes:
        """Serializes the state for one Put Blob. Raises LedgerTooLarge."""
        return documents.dump(self, NAME)

    def beginning(self, swap: Swap) -> "CompactionState":
        """Returns the state in which this swap is committed."""
        ordinal = self.ordinal + 1
        touched = (*self.touched, Touched(ordinal=ordinal, folder=swap.folder))[-REMEMBERED:]
        return self.model_copy(update={"ordinal": ordinal, "swap": swap, "touched": touched})

    def ended(self) -> "CompactionState":
        """Returns the state without a swap in progress."""
        return self.model_copy(update={"ordinal": self.ordinal + 1, "swap": None})

    def with_delta(self, table: str, version: int) -> "CompactionState":
        """Returns the state in which this table has a Delta log that has reached this version."""
        update = {"format": FORMAT, "ordinal": self.ordinal + 1, "delta": {**self.delta, table: version}}
        return self.model_copy(update=update)

    def with_versions(self, versions: Mapping[str, int]) -> "CompactionState":
        """Returns the state in which Delta logs have reached these versions; the next change writes it."""
        return self.model_copy(update={"delta": {**self.delta, **versions}}) if versions else self

    def without_delta(self, table: str) -> "CompactionState":
        """Returns the state in which this table has no Delta log."""
        left = {name: version for name, version in self.delta.items() if name != table}
        update = {"format": FORMAT if left else 1, "ordinal": self.ordinal + 1, "delta": left}
        return self.model_copy(update=update)

    def touched_since(self, ordinal: int) -> set[str] | None:
        """Returns the folders that may have changed since this write; None if there were too many."""
        folders = {one.folder for one in self.touched if one.ordinal > ordinal}
        if self.swap:
            folders.add(self.swap.folder)
        forgotten = len(self.touched) == REMEMBERED and self.touched[0].ordinal > ordinal + 1
        return None if forgotten else folders


def days(now: int, policy: CompactionPolicy, others: Sequence[Table] = ()) -> Iterator[str]:
    """Yields the prefixes of folders to list now: today, yesterday, and, in turn, older days.

    They reach back as far as a late record can; older folders are left alone. For `others`, the tables whose
    category is not exported, they cover all these days.
    """
    tables = (*of_categories(policy.categories), CONNECTIONS)
    reach = policy.reach + UNCLOSED_KEPT + _SLACK
    for age in range(-(-reach // timedelta(days=1)) + 1):
        date = str(np.datetime64((now - age * DAY) // DAY, "D"))
        if age <= 1 or age % ROUND == now // SLOT % ROUND:
            yield from (f"parquet/{table.name}/date={date}/" for table in tables)
        yield from (f"parquet/{table.name}/date={date}/" for table in others)


def not_exported(now: int, policy: CompactionPolicy) -> list[Table]:
    """Returns tables whose category is not exported, which may have old files, in one run of each round."""
    if now // SLOT % ROUND:
        return []
    exported = {table.name for table in (*of_categories(policy.categories), CONNECTIONS)}
    return [table for name, table in TABLES.items() if name not in exported]


def ripe(folder: str, files: Sequence[BlobInfo], now: int, quiet: int) -> list[BlobInfo]:
    """Returns the files of an hour that may be merged now: none until the hour is over and was quiet.

    Leased files are left alone: they could not be deleted, and their swap would block all others.

    Args:
        folder: `…/date=2026-11-20/hour=10/`.
        files: its files in a listing.
        now: µs since 1970 UTC.
        quiet: µs, after which calls that their sender abandoned have arrived or never will.
    """
    own = [file for file in files if file.visible and is_own(file)]
    exported = [file for file in own if "compacted" not in file.metadata]
    if now < _end(folder) or any(_committed(file) > now - quiet for file in exported):
        return []
    return [file for file in own if _committed(file) <= now - quiet and not file.leased]


def groups(files: Sequence[BlobInfo], target: int) -> Iterator[list[BlobInfo]]:
    """Yields groups of files to merge, each into one file.

    A group has files below half the target, smallest first, as many as fit, but none that is much larger than
    all smaller ones together. Therefore single late rows do not rewrite a large file each time (it waits
    until they amount to a quarter of it), and of n rows that arrive individually, each is written O(log n)
    times.
    """
    small = sorted((one for one in files if 2 * one.size < target), key=lambda one: (one.size, one.name))
    while small:
        below = origins = rows = best = 0
        for number, file in enumerate(small[:FILES], 1):
            origins += _origins(file)
            rows += int(file.metadata["rows"])
            if below + file.size > target or origins > ORIGINS or rows > ROWS:
                break
            if file.size <= RATIO * below:
                best = number
            below += file.size
        if best:
            yield small[:best]
        # A file that does not fit with any other stays, and must not prevent larger ones from being merged.
        small = small[best or 1 :]


def is_own(file: BlobInfo) -> bool:
    """Whether a file is an exported or compacted Parquet file, or lacks erased rows, by its metadata."""
    metadata = file.metadata
    numbers = (metadata.get("rows", ""), metadata.get("committed_at", ""), metadata.get("compacted", "1"))
    of_connections = f"/{CONNECTIONS.name}/" in file.name
    read = CommitMetadata.of_connections if of_connections else CommitMetadata.of
    return (
        (file.name.endswith(".parquet") or replaced_files.KEY in metadata)
        and all(number.isdecimal() for number in numbers)
        and {"bytes", "folder", "sha256"} <= metadata.keys()
        and "commit_id" in metadata
        and metadata["commit_id"] in file.name
        and ("compacted" in metadata or read(metadata) is not None)
    )


def _committed(file: BlobInfo) -> int:
    return int(file.metadata["committed_at"])


def _origins(file: BlobInfo) -> int:
    return int(file.metadata.get("compacted", "1"))


def _end(folder: str) -> int:
    """Returns when the hour of a folder ends (µs since 1970 UTC); never, if its name has no hour."""
    hour = "/".join(folder.split("/")[-3:-1])
    try:
        began = datetime.strptime(hour, "date=%Y-%m-%d/hour=%H").replace(tzinfo=UTC)
    except ValueError:
        return 1 << 62
    return round(began.timestamp()) * SECOND + HOUR


def may_be_of_archive(file: BlobInfo, manifest_id: str) -> bool:
    """Whether a backfill, not the app with this manifest, may have written the file."""
    partition, other = file.metadata.get("partition", ""), file.metadata.get("manifest_id", manifest_id)
    return is_archive(partition) or other != manifest_id
