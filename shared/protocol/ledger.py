"""A partition's ledger: what has been committed from it. Pure data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from shared.digests import GENESIS
from shared.input.hub_partition import HubPartition
from shared.intervals import Interval, common, difference, intervals
from shared.protocol import documents
from shared.protocol.documents import Data, Document
from shared.protocol.incarnation import Incarnation
from shared.protocol.unclaimed_keys import UnclaimedKeys
from shared.wording import counted

FORMAT = 1
LISTED = 256
"""Maximum segments that a ledger lists itself; further ones are moved to an index."""
REMEMBERED = 8
"""Maximum older incarnations that a ledger remembers."""


class PendingFile(Data):
    """A file that a commit makes visible, with everything needed to publish it."""

    name: str
    block_ids: tuple[str, ...]
    content_type: str
    content_encoding: str | None = None
    metadata: dict[str, str]
    staged_at: int
    """When it was staged (µs since 1970 UTC); uncommitted blocks expire after a week."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file to stage: its entry in the ledger, and its bytes."""

    pending: PendingFile
    data: bytes


class Segment(Data):
    """The observations of one commit, in a separate state blob, not merged yet."""

    name: str
    ordinal: int
    observations: int
    newest: int
    """The ledger's newest enqueued time at this commit, to which merging it advances the clock."""
    committed_at: int = 0
    """When it was committed (µs since 1970 UTC)."""


class Index(Data):
    """A state blob that lists older segments, so that a ledger stays small while the timer is stopped."""

    name: str
    last: int
    """The ordinal of its last segment."""
    observations: int


class Segments(Data):
    """The content of an index."""

    segments: tuple[Segment, ...]


class Lost(Data):
    """Sequence numbers whose rows are missing in a folder, because a file's blocks expired."""

    folder: str
    incarnation: int
    sequences: tuple[Interval, ...]

    def split(self, number: int, moved: Sequence[Interval]) -> Iterator["Lost"]:
        """Splits the entry if these sequence numbers of incarnation `number` have moved to the next one."""
        if self.incarnation != number:
            yield self
            return
        for incarnation, sequences in (
            (number, difference(self.sequences, moved)),
            (number + 1, common(self.sequences, moved)),
        ):
            if sequences:
                yield self.model_copy(update={"incarnation": incarnation, "sequences": sequences})


class Broken(Data):
    """The number of messages in one hour that broke the planning of a commit and became dead letters."""

    hour: int = 0
    """Hours since 1970 UTC."""
    letters: int = 0


class Counts(Data):
    """The counts since the ledger began: records = rows + rejected + skipped."""

    envelopes: int = 0
    records: int = 0
    rows: int = 0
    tables: dict[str, int] = Field(default_factory=dict)
    """The number of rows of each table that has any."""
    skipped: int = 0
    rejected: dict[str, int] = Field(default_factory=dict)
    redacted: dict[str, int] = Field(default_factory=dict)
    """The number of replaced texts in rows, by kind of secret."""
    files: int = 0
    lost: int = 0
    """The number of these files that could not be published."""

    def plus(self, other: "Counts") -> "Counts":
        """Returns the sum of these counts and the other ones."""
        return self.model_copy(
            update={
                "envelopes": self.envelopes + other.envelopes,
                "records": self.records + other.records,
                "rows": self.rows + other.rows,
                "tables": _sum(self.tables, other.tables),
                "skipped": self.skipped + other.skipped,
                "rejected": _sum(self.rejected, other.rejected),
                "redacted": _sum(self.redacted, other.redacted),
                "files": self.files + other.files,
                "lost": self.lost + other.lost,
            }
        )


def _sum(some: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    return {key: some.get(key, 0) + others.get(key, 0) for key in sorted(some.keys() | others.keys())}


class Ledger(Document):
    """What has been committed of one partition. Immutable: each change returns a new value."""

    format: int = FORMAT
    ledger_id: str
    """Random and permanent; distinguishes a ledger from another one with the same name."""
    partition: str
    ordinal: int = 0
    """The number of times it was written. It never restarts and grows by one."""
    commit_id: str = ""
    committed_at: int = 0
    incarnation: Incarnation = Incarnation()
    past: tuple[Incarnation, ...] = ()
    files: tuple[PendingFile, ...] = ()
    """Files to publish. The list is replaced only after all of them are confirmed."""
    indexes: tuple[Index, ...] = ()
    """Indexes of the segments before those in `segments`."""
    segments: tuple[Segment, ...] = ()
    trimmed: int = 0
    """Segments up to this ordinal were merged into the state table and removed from the list."""
    lost: tuple[Lost, ...] = ()
    searches: int = 0
    """How often missing files were recorded. Two concurrent searches must not record the same ones."""
    counts: Counts = Counts()
    unclaimed: dict[str, UnclaimedKeys] = Field(default_factory=dict)
    """The keys that belong to no column, by name of the table."""
    broken: Broken = Broken()
    """The count for the last hour in which messages broke the planning."""
    chain: str = GENESIS
    """The chain value over all files ever committed (see shared/digests.py)."""

    @property
    def older(self) -> tuple[Incarnation, ...]:
        """The incarnations before this one; -1 represents a hub that was deleted before the first commit."""
        return self.past or (Incarnation(number=-1),)

    @staticmethod
    def name(partition: HubPartition) -> str:
        """Returns the name of its blob in the state container."""
        return f"ledgers/{partition.namespace}/{partition.hub}/{partition.id}.json"

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """Parses a ledger. Raises LedgerTooNew or LedgerError."""
        return documents.parse(cls, data, name, FORMAT)

    def dump(self) -> bytes:
        """Serializes the ledger for one Put Blob. Raises LedgerTooLarge."""
        contents = (
            f": {counted(len(self.incarnation.gaps), 'gap')}, {counted(len(self.files), 'file')}, "
            f"{counted(len(self.segments), 'segment')}, "
            f"{len(self.lost)} lost; is finish_connections running?"
        )
        return documents.dump(self, f"ledger of {self.partition}", contents)

    def with_new_incarnation(self, began: int | None, created: int | None = None) -> "Ledger":
        """Begins a new incarnation, because the hub was created again at `began`. Lost files stay lost."""
        now = Incarnation(number=self.incarnation.number + 1, began=began, created=created)
        return self.followed_by(self.incarnation, now)

    def with_hub_confirmed(self, created: int, until: int) -> "Ledger":
        """Removes what was kept in case the hub was re-created, because it was the same hub at `until`."""
        now = self.incarnation.confirmed(created, until)
        return self if now is self.incarnation else self.with_incarnation(now)

    def with_incarnation(self, incarnation: Incarnation) -> "Ledger":
        """Replaces the current incarnation."""
        return self.model_copy(update={"incarnation": incarnation})

    def followed_by(self, before: Incarnation, after: Incarnation) -> "Ledger":
        """Makes `after` the current incarnation, and `before` the one that preceded it."""
        past = (*self.past, before.model_copy(update={"recent": ()}))[-REMEMBERED:]
        return self.model_copy(update={"incarnation": after, "past": past})

    def numbered(self, incarnation: int, sequences: Sequence[Interval]) -> dict[int, tuple[Interval, ...]]:
        """Returns the sequence numbers that files of this incarnation have, by incarnation in their names.

        The incarnation in the name differs for files committed before the timer knew that the hub had
        been created again.
        """
        found = {incarnation: tuple(sequences)}
        for life in (*self.past, self.incarnation):
            if life.earlier and life.number - 1 in found:
                moved = common(found[life.number - 1], life.earlier)
                found[life.number - 1] = difference(found[life.number - 1], moved)
                found[life.number] = moved
        return {number: part for number, part in found.items() if part}

    def with_lost(self, files: Sequence[PendingFile], commit_id: str, now: int) -> "Ledger":
        """Records these files as lost instead of listing them."""
        lost = tuple(
            Lost(folder=file.name[: file.name.rindex("/") + 1], incarnation=number, sequences=sequences)
            for file in files
            for number, sequences in self._numbered(file).items()
        )
        kept = tuple(file for file in self.files if file not in files)
        counts = self.counts.plus(Counts(lost=len(files)))
        return self.written(commit_id, now).model_copy(
            update={"files": kept, "lost": self.lost + lost, "counts": counts}
        )

    def _numbered(self, file: PendingFile) -> dict[int, tuple[Interval, ...]]:
        number, sequences = int(file.metadata["incarnation"]), intervals(file.metadata["sequences"])
        # Quarantined events belong to that older hub, whatever has been committed under its number since.
        return (
            self.numbered(number, sequences)
            if file.metadata.get("verdict") != "stale"
            else {number: sequences}
        )

    def confirmed(self, commit_id: str, now: int) -> "Ledger":
        """Empties the list, because all its files are visible."""
        return self.written(commit_id, now).model_copy(update={"files": ()})

    def written(self, commit_id: str, now: int) -> "Ledger":
        """Returns the ledger with the next ordinal, ready to be written."""
        return self.model_copy(
            update={"ordinal": self.ordinal + 1, "commit_id": commit_id, "committed_at": now}
        )

    def with_segment(self, segment: Segment) -> tuple["Ledger", bytes | None]:
        """Adds a segment; also returns the content of the last index, if that is a new one to store."""
        if len(self.segments) < LISTED:
            return self.model_copy(update={"segments": (*self.segments, segment)}), None
        index = Index(
            name=segment.name.replace(".arrow", ".json"),
            last=self.segments[-1].ordinal,
            observations=sum(one.observations for one in self.segments),
        )
        data = Segments(segments=self.segments).model_dump_json().encode()
        return self.model_copy(update={"indexes": (*self.indexes, index), "segments": (segment,)}), data

    def without_merged(self, watermark: int, before: int) -> "Ledger":
        """Removes merged segments: those up to the watermark that were committed before `before`."""
        kept = tuple(one for one in self.segments if one.ordinal > watermark or one.committed_at >= before)
        indexes = tuple(one for one in self.indexes if one.last > watermark)
        gone = {one.ordinal for one in self.segments} - {one.ordinal for one in kept}
        gone |= {one.last for one in self.indexes} - {one.last for one in indexes}
        trimmed = max(self.trimmed, *gone) if gone else self.trimmed
        return self.model_copy(update={"indexes": indexes, "segments": kept, "trimmed": trimmed})
