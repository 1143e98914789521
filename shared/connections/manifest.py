"""The manifest: how far each partition is merged, and where the state table is stored. Pure data."""

from collections.abc import Collection, Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.digests import GENESIS, chained
from shared.errors import LedgerError, LedgerTooLarge, LedgerTooNew
from shared.protocol.ledger import MAX_BYTES, Ledger, PendingFile

FORMAT = 1
NAME = "manifest.json"
"""Its blob in the state container."""
NAMES = 256
"""Distinct event names that are counted."""
HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
MARGIN = 60 * 1_000_000
"""Microseconds by which the clocks of hub and app may differ."""
FEW = 100
"""Connections in a day; of fewer nothing can be told about the event names in use."""


class _Data(BaseModel):
    # A newer program's keys survive a rewrite by this one.
    model_config = ConfigDict(frozen=True, extra="allow")


class PartitionProgress(_Data):
    """How far a partition has been merged."""

    ledger_id: str = ""
    """Empty: nothing was committed of it yet."""
    ordinal: int = 0
    """The watermark: every commit up to it is merged. Counts commits: sequence numbers begin again."""
    seen: int = 0
    """The highest ordinal of the ledger that was read: a lower one means that it was rolled back."""
    progress: int = -1
    """Whatever arrived at the hub before is merged; µs since 1970 UTC."""
    hub_created: int | None = None
    """When the hub was created, as it said last; None: it has not said yet. µs since 1970 UTC."""
    hub_asked: int = 0
    """When it was asked, µs since 1970 UTC."""


class Part(_Data):
    """A range of the state table's keys, in an immutable state blob of its own."""

    name: str
    low: str
    """Its lowest key, hexadecimal. What lies between two parts belongs to the first one."""
    rows: int
    open: int
    """Of those, connections that are not finished, or are to be revised."""
    due: int
    """The clock at which the first of its rows is to be finished or dropped."""


class EventNameCounts(_Data):
    """How often an event name occurs in finished connections, each counted once."""

    connections: int = 0
    first: int = 0
    """In so many of them it came first."""
    last: int = 0
    newest: int = -1
    """Arrival of the last connection's record among those merged that have it."""

    def plus(self, other: "EventNameCounts") -> "EventNameCounts":
        """The sum."""
        return self.model_copy(
            update={
                "connections": self.connections + other.connections,
                "first": self.first + other.first,
                "last": self.last + other.last,
                "newest": max(self.newest, other.newest),
            }
        )


class Totals(_Data):
    """What was done from the beginning."""

    observations: int = 0
    connections: int = 0
    """Rows with Revision 0."""
    revisions: int = 0
    """All other rows."""
    indeterminate: int = 0
    """Of the rows with Revision 0, those without a duration."""
    arrival_seconds: int = 0
    """The sum of their estimates from arrival times."""
    capped: int = 0
    """Connections that were let go early, because there were too many."""
    missing: int = 0
    """Segments, indexes and parts of the state table that were listed, and were gone or damaged."""

    def plus(self, other: "Totals") -> "Totals":
        """The sum."""
        mine, more = self.model_dump(), other.model_dump()
        return Totals(**{name: mine.get(name, 0) + more.get(name, 0) for name in mine.keys() | more.keys()})


class Manifest(_Data):
    """What the timer has merged and written. Immutable: each change is a new value."""

    format: int = FORMAT
    ordinal: int = 0
    """How often it was written."""
    commit_id: str = ""
    committed_at: int = 0
    partitions: dict[str, PartitionProgress] = {}
    hub: tuple[str, ...] = ()
    """The partitions that the hub has: those that the clock waits for."""
    parts: tuple[Part, ...] = ()
    """The state table, by key."""
    policy: str = ""
    """The rules that `due` of the parts was found by."""
    files: tuple[PendingFile, ...] = ()
    """To publish; replaced only once all of them are confirmed."""
    lost: tuple[str, ...] = ()
    """Files that could not be published, because their blocks had expired."""
    names: dict[str, EventNameCounts] = {}
    began: dict[int, int] = {}
    """How many connections were first seen in each hour since 1970, of the last day."""
    totals: Totals = Totals()
    manifest_id: str = ""
    """The first commit's id, for life: tells this state from another one in its place."""
    written_files: int = 0
    """Files of finished connections that were ever committed."""
    written_rows: int = 0
    """Rows of those files."""
    chain: str = GENESIS
    """Over all those files: see shared/digests.py."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The manifest in these bytes. Raises LedgerTooNew, LedgerError."""
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            raise LedgerError(
                f"{NAME}: not a manifest ({error.error_count()} errors): {data[:60]!r}"
            ) from error
        if manifest.format > FORMAT:
            raise LedgerTooNew(
                f"{NAME}: has format {manifest.format}, this program reads up to {FORMAT}: deploy a newer one"
            )
        return manifest

    def dump(self) -> bytes:
        """As the bytes of one Put Blob. Raises LedgerTooLarge."""
        data = self.model_dump_json().encode()
        if len(data) > MAX_BYTES:
            raise LedgerTooLarge(f"{NAME}: {len(data)} bytes, at most {MAX_BYTES}: {len(self.files)} files")
        return data

    @property
    def clock(self) -> int:
        """The time that finishing goes by: what arrived before, at any partition of the hub, is merged.

        Where nothing is known of a partition of the hub, -1: nothing is finished.
        """
        known = [self.partitions[name].progress if name in self.partitions else -1 for name in self.hub]
        return min(known, default=-1)

    def watermark(self, ledger: Ledger) -> int:
        """The ordinal up to which the commits of this ledger are merged."""
        merged = self.partitions.get(ledger.partition)
        return merged.ordinal if merged and merged.ledger_id == ledger.ledger_id else 0

    def confirm(self, ledger: Ledger) -> Ledger:
        """The ledger without what it remembers in case the hub was made anew, as far as it was not."""
        merged = self.partitions.get(ledger.partition)
        if merged is None or merged.hub_created is None:
            return ledger
        return ledger.with_hub_confirmed(merged.hub_created, merged.hub_asked - MARGIN)

    def behind(self, ledger: Ledger) -> bool:
        """Whether the ledger dropped segments that this manifest has not merged: it is not the latest one."""
        return ledger.trimmed > self.watermark(ledger)

    def rolled_back(self, ledger: Ledger) -> bool:
        """Whether more was seen of this partition than the ledger says, or another ledger."""
        merged = self.partitions.get(ledger.partition)
        if merged is None or not merged.ledger_id:
            return False
        return merged.ledger_id != ledger.ledger_id or ledger.ordinal < merged.seen

    def accepting(self, partition: str, ledger: Ledger | None) -> "Manifest":
        """With the current ledger of a partition, or none, accepted by an operator's decision.

        What was merged of it stays merged, as far as the ledger goes.
        """
        partitions = {name: one for name, one in self.partitions.items() if name != partition}
        if ledger:
            ordinal = max(min(self.watermark(ledger), ledger.ordinal), ledger.trimmed)
            partitions[partition] = PartitionProgress(
                ledger_id=ledger.ledger_id, ordinal=ordinal, seen=ledger.ordinal
            )
        return self.model_copy(update={"partitions": partitions})

    def without_parts(self, names: Collection[str]) -> "Manifest":
        """Without these parts of the state table: what was known of their connections is lost."""
        kept = tuple(part for part in self.parts if part.name not in names)
        lost = len(self.parts) - len(kept)
        return self.model_copy(update={"parts": kept, "totals": self.totals.plus(Totals(missing=lost))})

    def quiet(self, closing: frozenset[str]) -> bool:
        """Whether no closing name is known to occur: none in a day in which enough connections began."""
        matched = any(
            name.lower() in closing and one.newest >= self.clock - DAY for name, one in self.names.items()
        )
        return not matched and sum(self.began.values()) >= FEW

    def counting(
        self, names: Mapping[str, EventNameCounts], vocabulary: Collection[str]
    ) -> dict[str, EventNameCounts]:
        """The names with these added.

        Keeps at most NAMES of them: first those of the vocabulary (lower case), then those of the most
        connections, then the newest. So names that occur once each cannot crowd out the ones in use.
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
        """With these files to publish, which its next commit writes."""
        return self.model_copy(
            update={
                "files": tuple(files),
                "written_files": self.written_files + len(files),
                "written_rows": self.written_rows + sum(int(file.metadata["rows"]) for file in files),
                "chain": chained(self.chain, files),
            }
        )

    def with_lost(self, files: Sequence[PendingFile], commit_id: str, now: int) -> "Manifest":
        """With these files noted as lost instead of listed."""
        kept = tuple(file for file in self.files if file not in files)
        lost = (*self.lost, *(file.name for file in files))
        return self.written(commit_id, now).model_copy(update={"files": kept, "lost": lost})

    def written(self, commit_id: str, now: int) -> "Manifest":
        """As the next write of it: with the next ordinal."""
        return self.model_copy(
            update={
                "ordinal": self.ordinal + 1,
                "commit_id": commit_id,
                "committed_at": now,
                "manifest_id": self.manifest_id or commit_id,
            }
        )
