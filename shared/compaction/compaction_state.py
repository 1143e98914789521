"""The state of compaction: the swap in progress, recent swaps, and the tables with a Delta log. Pure data."""

from collections.abc import Mapping
from typing import Self

from shared.protocol import documents
from shared.protocol.documents import Data, Document
from shared.protocol.ledger import PendingFile

FORMAT = 2
"""The newest format that this program reads. Format 2 adds Delta logs: it stops an older program from
beginning a swap, which that program would not write to the log."""
NAME = "compaction.json"
"""The name of its blob in the state container."""
REMEMBERED = 512
"""The number of recent swaps whose folders are remembered."""
NEW = -1
"""Represents the version of a Delta log to which no swap has been written."""


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
        """Returns the state in which Delta logs have reached these versions; the next change stores it."""
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
