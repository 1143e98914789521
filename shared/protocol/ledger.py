"""A partition's ledger: what has been committed from it. Pure data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import Field

from shared.digests import GENESIS
from shared.input.envelope import HubPartition
from shared.intervals import Interval, common, difference, intervals
from shared.protocol import documents
from shared.protocol.documents import Data, Document
from shared.protocol.incarnation import Incarnation
from shared.protocol.unclaimed_keys import UnclaimedKeys

FORMAT = 1
LISTED = 256
"""Segments that a ledger lists itself; with more of them, they go into an index."""
REMEMBERED = 8
"""Older incarnations that a ledger still knows."""


class PendingFile(Data):
    """A file that a commit makes visible, with all that its publisher needs."""

    name: str
    block_ids: tuple[str, ...]
    content_type: str
    content_encoding: str | None = None
    metadata: dict[str, str]
    staged_at: int
    """Microseconds since 1970 UTC: uncommitted blocks live a week."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file to stage: what the ledger says of it, and its bytes."""

    pending: PendingFile
    data: bytes


class Segment(Data):
    """The observations of one commit, in a state blob of their own, not yet merged."""

    name: str
    ordinal: int
    observations: int
    newest: int
    """The ledger's newest enqueued time at this commit: how far merging it brings the clock."""
    committed_at: int = 0
    """Microseconds since 1970 UTC."""


class Index(Data):
    """A state blob that lists older segments: a ledger stays small while the timer stands still."""

    name: str
    last: int
    """The ordinal of its last segment."""
    observations: int


class Segments(Data):
    """What such a blob holds."""

    segments: tuple[Segment, ...]


class Lost(Data):
    """Sequence numbers whose share of a folder is gone, because a file's blocks were."""

    folder: str
    incarnation: int
    sequences: tuple[Interval, ...]

    def split(self, number: int, moved: Sequence[Interval]) -> Iterator["Lost"]:
        """The same, where these sequence numbers of incarnation `number` are now of the next one."""
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
    """Messages that broke the planning of a commit, and became dead letters, in one hour."""

    hour: int = 0
    """Hours since 1970 UTC."""
    letters: int = 0


class Counts(Data):
    """What a ledger has seen from its beginning: records = rows + rejected + skipped."""

    envelopes: int = 0
    records: int = 0
    rows: int = 0
    skipped: int = 0
    rejected: dict[str, int] = Field(default_factory=dict)
    redacted: dict[str, int] = Field(default_factory=dict)
    """Texts in rows that were replaced, by kind of secret."""
    files: int = 0
    lost: int = 0
    """Of these files, how many could not be published."""

    def plus(self, other: "Counts") -> "Counts":
        """The sum."""
        return self.model_copy(
            update={
                "envelopes": self.envelopes + other.envelopes,
                "records": self.records + other.records,
                "rows": self.rows + other.rows,
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
    """What has been committed of one partition. Immutable: each change is a new value."""

    format: int = FORMAT
    ledger_id: str
    """Random, for life: tells a ledger from another one in its place."""
    partition: str
    ordinal: int = 0
    """How often it was written: never restarts, grows by one."""
    commit_id: str = ""
    committed_at: int = 0
    incarnation: Incarnation = Incarnation()
    past: tuple[Incarnation, ...] = ()
    files: tuple[PendingFile, ...] = ()
    """To publish; replaced only once all of them are confirmed."""
    indexes: tuple[Index, ...] = ()
    """Of the segments before those in `segments`."""
    segments: tuple[Segment, ...] = ()
    trimmed: int = 0
    """Segments up to this ordinal were merged and dropped from the list: the state table has them."""
    lost: tuple[Lost, ...] = ()
    searches: int = 0
    """How often files were found to be gone. Two searches at the same time must not note the same ones."""
    counts: Counts = Counts()
    unclaimed: dict[str, UnclaimedKeys] = Field(default_factory=dict)
    """By the name of the table."""
    broken: Broken = Broken()
    """Of the last hour in which there were any."""
    chain: str = GENESIS
    """Over all files ever committed: see shared/digests.py."""

    @property
    def older(self) -> tuple[Incarnation, ...]:
        """The incarnations before this one; -1 stands for a hub that was gone before the first commit."""
        return self.past or (Incarnation(number=-1),)

    @staticmethod
    def name(partition: HubPartition) -> str:
        """The name of its blob in the state container."""
        return f"ledgers/{partition.namespace}/{partition.hub}/{partition.id}.json"

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """Parses a ledger. Raises LedgerTooNew or LedgerError."""
        return documents.parse(cls, data, name, FORMAT)

    def dump(self) -> bytes:
        """Serializes the ledger for one Put Blob. Raises LedgerTooLarge."""
        contents = (
            f": {len(self.incarnation.gaps)} gaps, {len(self.files)} files, {len(self.segments)} segments, "
            f"{len(self.lost)} lost; does finish_connections run?"
        )
        return documents.dump(self, f"ledger of {self.partition}", contents)

    def with_new_incarnation(self, began: int | None, created: int | None = None) -> "Ledger":
        """With a new incarnation: the hub was created again at `began`. What was lost stays lost."""
        now = Incarnation(number=self.incarnation.number + 1, began=began, created=created)
        return self.followed_by(self.incarnation, now)

    def with_hub_confirmed(self, created: int, until: int) -> "Ledger":
        """Without what is remembered in case the hub was created again: it was the same hub at `until`."""
        now = self.incarnation.confirmed(created, until)
        return self if now is self.incarnation else self.with_incarnation(now)

    def with_incarnation(self, incarnation: Incarnation) -> "Ledger":
        """With the current incarnation replaced."""
        return self.model_copy(update={"incarnation": incarnation})

    def followed_by(self, before: Incarnation, after: Incarnation) -> "Ledger":
        """With `after` as the current incarnation, and `before` as the one that preceded it."""
        past = (*self.past, before.model_copy(update={"recent": ()}))[-REMEMBERED:]
        return self.model_copy(update={"incarnation": after, "past": past})

    def numbered(self, incarnation: int, sequences: Sequence[Interval]) -> dict[int, tuple[Interval, ...]]:
        """By incarnation, the sequence numbers that files of this incarnation have.

        They differ where files were committed before the timer knew that the hub had been created again.
        """
        found = {incarnation: tuple(sequences)}
        for life in (*self.past, self.incarnation):
            if life.earlier and life.number - 1 in found:
                moved = common(found[life.number - 1], life.earlier)
                found[life.number - 1] = difference(found[life.number - 1], moved)
                found[life.number] = moved
        return {number: part for number, part in found.items() if part}

    def with_lost(self, files: Sequence[PendingFile], commit_id: str, now: int) -> "Ledger":
        """With these files noted as lost instead of listed."""
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
        # What is quarantined was of that older hub, whatever has been committed under its number since.
        return (
            self.numbered(number, sequences)
            if file.metadata.get("verdict") != "stale"
            else {number: sequences}
        )

    def confirmed(self, commit_id: str, now: int) -> "Ledger":
        """With an empty list: all its files are visible."""
        return self.written(commit_id, now).model_copy(update={"files": ()})

    def written(self, commit_id: str, now: int) -> "Ledger":
        """As the next write of it: with the next ordinal."""
        return self.model_copy(
            update={"ordinal": self.ordinal + 1, "commit_id": commit_id, "committed_at": now}
        )

    def with_segment(self, segment: Segment) -> tuple["Ledger", bytes | None]:
        """With one more segment; and what is to be stored as its last index, if that is a new one."""
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
        """Without the segments up to the watermark that were committed before: they are merged."""
        kept = tuple(one for one in self.segments if one.ordinal > watermark or one.committed_at >= before)
        indexes = tuple(one for one in self.indexes if one.last > watermark)
        gone = {one.ordinal for one in self.segments} - {one.ordinal for one in kept}
        gone |= {one.last for one in self.indexes} - {one.last for one in indexes}
        trimmed = max(self.trimmed, *gone) if gone else self.trimmed
        return self.model_copy(update={"indexes": indexes, "segments": kept, "trimmed": trimmed})
