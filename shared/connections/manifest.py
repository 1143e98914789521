"""The manifest: how far each partition is merged, and where the state table is stored."""

from collections.abc import Collection, Mapping, Sequence
from typing import Self

from pydantic import Field

from shared.connections.service_activity import ServiceActivity
from shared.digests import GENESIS, chained
from shared.protocol import documents, stored_documents
from shared.protocol.documents import Data, Document
from shared.protocol.ledger import Ledger, PendingFile
from shared.protocol.storage import Storage
from shared.timeunits import DAY, HOUR, MINUTE
from shared.wording import counted

FORMAT = 1
NAME = "manifest.json"
"""The name of its blob in the state container."""
NAMES = 256
"""Maximum number of distinct event names that are counted."""
MARGIN = MINUTE
"""How far the clocks of the hub and the app may differ (µs)."""
FEW = 100
"""Minimum number of connections in a day that allows judging which event names are in use."""


class PartitionProgress(Data):
    """How far the commits of a partition are merged."""

    ledger_id: str = ""
    """Empty if nothing has been committed yet."""
    ordinal: int = 0
    """The watermark: every commit up to this ordinal is merged. Ordinals never restart."""
    seen: int = 0
    """The highest ordinal that was read from the ledger. A ledger with a lower one was rolled back."""
    progress: int = -1
    """Everything that arrived at the hub before this time (µs since 1970 UTC) is merged."""
    hub_created: int | None = None
    """When the hub was created, according to its last answer (µs since 1970 UTC); None before the first."""
    hub_asked: int = 0
    """When the hub was last queried (µs since 1970 UTC)."""


class Part(Data):
    """A range of the state table's keys, in a separate immutable state blob."""

    name: str
    low: str
    """Its lowest key, in hexadecimal. Keys between two parts belong to the first of them."""
    rows: int
    open: int
    """How many of these rows are unfinished connections, or have a revision to write."""
    due: int
    """The clock (µs since 1970 UTC) at which the first of its rows must be finished or dropped."""


class EventNameCounts(Data):
    """How many finished connections have an event name."""

    connections: int = 0
    first: int = 0
    """How many of them begin with it."""
    last: int = 0
    newest: int = -1
    """When the last record of a connection that has it arrived (µs since 1970 UTC)."""

    def plus(self, other: "EventNameCounts") -> "EventNameCounts":
        """Returns the sum of both."""
        return self.model_copy(
            update={
                "connections": self.connections + other.connections,
                "first": self.first + other.first,
                "last": self.last + other.last,
                "newest": max(self.newest, other.newest),
            }
        )


class Totals(Data):
    """Totals since the beginning."""

    observations: int = 0
    connections: int = 0
    """Rows that were written with Revision 0."""
    revisions: int = 0
    """Rows that were written with a higher revision."""
    indeterminate: int = 0
    """Rows with Revision 0 that have no duration."""
    arrival_seconds: int = 0
    """The sum of the durations (s) of those rows, estimated from arrival times."""
    capped: int = 0
    """Connections that were written and dropped early because there were too many."""
    missing: int = 0
    """Segments, indexes and parts of the state table that were missing or damaged."""

    def plus(self, other: "Totals") -> "Totals":
        """Returns the sum of both."""
        mine, more = self.model_dump(), other.model_dump()
        return Totals(**{name: mine.get(name, 0) + more.get(name, 0) for name in mine.keys() | more.keys()})


class Manifest(Document):
    """What the timer has merged and written. Immutable: each change returns a new value."""

    format: int = FORMAT
    ordinal: int = 0
    """How many times it has been written."""
    commit_id: str = ""
    committed_at: int = 0
    partitions: dict[str, PartitionProgress] = Field(default_factory=dict)
    hub: tuple[str, ...] = ()
    """The partitions of the hub, for which the clock waits."""
    parts: tuple[Part, ...] = ()
    """The parts of the state table, sorted by key."""
    policy: str = ""
    """The policy with which `due` of the parts was computed."""
    files: tuple[PendingFile, ...] = ()
    """Files to publish. The list is replaced only after all of them are confirmed."""
    lost: tuple[str, ...] = ()
    """Files that could not be published because their blocks had expired."""
    names: dict[str, EventNameCounts] = Field(default_factory=dict)
    began: dict[int, int] = Field(default_factory=dict)
    """Number of connections first seen in each hour of the last day, by the number of the hour since 1970."""
    services: dict[str, ServiceActivity] = Field(default_factory=dict)
    """By `_ResourceId`; "" for records without one."""
    totals: Totals = Totals()
    manifest_id: str = ""
    """The first commit's id, kept permanently; distinguishes this state from another one in its place."""
    written_files: int = 0
    """All files of finished connections ever committed."""
    written_rows: int = 0
    """Rows of those files."""
    chain: str = GENESIS
    """The chain value over all those files (see shared/digests.py)."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Parses a manifest. Raises LedgerTooNew or LedgerError."""
        return documents.parse(cls, data, NAME, FORMAT)

    def dump(self) -> bytes:
        """Serializes the manifest for one Put Blob. Raises LedgerTooLarge."""
        return documents.dump(self, NAME, f": {counted(len(self.files), 'file')}")

    @property
    def clock(self) -> int:
        """The time (µs since 1970 UTC) up to which the records of every partition of the hub are merged.

        Finishing measures all times against it. It is -1 while the progress of a partition is unknown; then
        nothing is finished.
        """
        known = [self.partitions[name].progress if name in self.partitions else -1 for name in self.hub]
        return min(known, default=-1)

    def watermark(self, ledger: Ledger) -> int:
        """Returns the ordinal up to which the commits of this ledger are merged."""
        merged = self.partitions.get(ledger.partition)
        return merged.ordinal if merged and merged.ledger_id == ledger.ledger_id else 0

    def confirm(self, ledger: Ledger) -> Ledger:
        """Removes what a ledger keeps in case the hub was re-created, as far as the hub has ruled it out."""
        merged = self.partitions.get(ledger.partition)
        if merged is None or merged.hub_created is None:
            return ledger
        return ledger.with_hub_confirmed(merged.hub_created, merged.hub_asked - MARGIN)

    def behind(self, ledger: Ledger) -> bool:
        """Whether the ledger dropped segments that this manifest has not merged, because it is outdated."""
        return ledger.trimmed > self.watermark(ledger)

    def rolled_back(self, ledger: Ledger) -> bool:
        """Whether a later version of this ledger, or another ledger of the partition, was seen before."""
        merged = self.partitions.get(ledger.partition)
        if merged is None or not merged.ledger_id:
            return False
        return merged.ledger_id != ledger.ledger_id or ledger.ordinal < merged.seen

    def accepting(self, partition: str, ledger: Ledger | None) -> "Manifest":
        """Accepts the current ledger of a partition, or its loss, on an operator's decision.

        Commits that were merged stay merged, as far as the ledger reaches.
        """
        partitions = {name: one for name, one in self.partitions.items() if name != partition}
        if ledger:
            ordinal = max(min(self.watermark(ledger), ledger.ordinal), ledger.trimmed)
            partitions[partition] = PartitionProgress(
                ledger_id=ledger.ledger_id, ordinal=ordinal, seen=ledger.ordinal
            )
        return self.model_copy(update={"partitions": partitions})

    def without_parts(self, names: Collection[str]) -> "Manifest":
        """Removes these parts of the state table, and what was known about their connections."""
        kept = tuple(part for part in self.parts if part.name not in names)
        lost = len(self.parts) - len(kept)
        return self.model_copy(update={"parts": kept, "totals": self.totals.plus(Totals(missing=lost))})

    def quiet(self, closing: frozenset[str]) -> bool:
        """Whether no closing name occurred for a day in which at least FEW connections began."""
        matched = any(
            name.lower() in closing and one.newest >= self.clock - DAY for name, one in self.names.items()
        )
        began = sum(number for hour, number in self.began.items() if hour * HOUR >= self.clock - DAY)
        return not matched and began >= FEW

    def counting(
        self, names: Mapping[str, EventNameCounts], vocabulary: Collection[str]
    ) -> dict[str, EventNameCounts]:
        """Returns the counts of event names with these added.

        At most NAMES names are kept: those of the vocabulary (lower case) first, then those that most
        connections have, then the newest. Names that occur once each cannot displace the names in use.
        """
        counted = dict(self.names)
        for name, seen in names.items():
            counted[name] = counted.get(name, EventNameCounts()).plus(seen)
        if len(counted) <= NAMES:
            return counted
        ranked = sorted(
            counted.items(),
            key=lambda item: (item[0].lower() in vocabulary, item[1].connections, item[1].newest),
            reverse=True,
        )
        return dict(sorted(ranked[:NAMES]))

    def with_files(self, files: Sequence[PendingFile]) -> "Manifest":
        """Adds files to the list of files to publish; the next commit of the manifest stores it."""
        return self.model_copy(
            update={
                "files": tuple(files),
                "written_files": self.written_files + len(files),
                "written_rows": self.written_rows + sum(int(file.metadata["rows"]) for file in files),
                "chain": chained(self.chain, files),
            }
        )

    def with_lost(self, files: Sequence[PendingFile], commit_id: str, now: int) -> "Manifest":
        """Moves these files from the list of files to publish to the lost ones."""
        kept = tuple(file for file in self.files if file not in files)
        lost = (*self.lost, *(file.name for file in files))
        return self.written(commit_id, now).model_copy(update={"files": kept, "lost": lost})

    def written(self, commit_id: str, now: int) -> "Manifest":
        """Returns the manifest with the next ordinal, ready to be written."""
        return self.model_copy(
            update={
                "ordinal": self.ordinal + 1,
                "commit_id": commit_id,
                "committed_at": now,
                "manifest_id": self.manifest_id or commit_id,
            }
        )


def load(storage: Storage) -> Manifest:
    """Reads the manifest of a state container; returns an empty one if there is none. Raises LedgerError."""
    return stored_documents.read(storage, NAME, Manifest.parse) or Manifest()
