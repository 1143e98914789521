"""The ledger of a source: what has been committed of it, and how an envelope stands to that. Pure data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.envelope import Envelope, Source
from shared.errors import LedgerError, LedgerTooLarge, LedgerTooNew

FORMAT = 1
MAX_BYTES = 4 << 20
"""A ledger holds kilobytes; far below what one Put Blob takes, so that it is never cut into blocks."""
TOLERANCE = 10_000_000
"""Microseconds by which the clocks of a hub's nodes may differ; making a hub anew takes longer."""
MAX_RUNS = 64
"""Runs of sequence numbers in one commit: they are listed in each file's metadata, which holds 8 KiB."""
REMEMBERED = 8
"""Older incarnations that a ledger still knows."""

type Interval = tuple[int, int]
"""Sequence numbers from the first to the last, both included."""


class Verdict(Enum):
    """How an envelope stands to what has been committed."""

    NEW = auto()
    """Not committed yet: above all others, or inside a noted gap."""
    RECREATED = auto()
    """The first one seen of a hub that was made anew: sequence numbers began again, time did not."""
    STALE = auto()
    """Of a hub that is no more, never committed: its owner came too late. Quarantined."""
    LOST = auto()
    """Committed, but a file that held some of it could not be published: may refill that."""
    DUPLICATE = auto()


class _Data(BaseModel):
    # A newer program's keys survive a rewrite by this one.
    model_config = ConfigDict(frozen=True, extra="allow")


class Incarnation(_Data):
    """The progress in one life of a hub: its sequence numbers begin again when it is made anew."""

    number: int = 0
    began: int | None = None
    """Enqueued time of its first envelope, or the hub's creation: microseconds since 1970 UTC."""
    next: int | None = None
    """The sequence number after the highest committed one."""
    newest: int = -1
    """The highest enqueued time committed, whatever the envelope held."""
    gaps: tuple[Interval, ...] = ()
    """Sequence numbers below `next` that never came."""

    def has(self, envelope: Envelope) -> bool:
        """Whether the envelope was committed, if it belongs to this incarnation."""
        return (
            self.next is not None
            and envelope.sequence < self.next
            and not within(self.gaps, envelope.sequence)
        )

    def take(self, envelopes: Iterable[Envelope]) -> "Incarnation":
        """The progress after these envelopes, none of which it has."""
        next_, newest, gaps, began = self.next, self.newest, self.gaps, self.began
        for envelope in envelopes:
            sequence = envelope.sequence
            if next_ is None or sequence >= next_:
                if sequence > (next_ or 0):
                    gaps = (*gaps, (next_ or 0, sequence - 1))
                next_ = sequence + 1
            else:
                gaps = without(gaps, sequence)
            newest = max(newest, envelope.enqueued)
            began = envelope.enqueued if began is None else began
        return self.model_copy(update={"next": next_, "newest": newest, "gaps": gaps, "began": began})


class Listed(_Data):
    """A file that a commit makes visible, with all that its publisher needs."""

    name: str
    block_ids: tuple[str, ...]
    content_type: str
    content_encoding: str | None = None
    metadata: dict[str, str]
    staged_at: int
    """Microseconds since 1970 UTC: uncommitted blocks live a week."""


class Segment(_Data):
    """The observations of one commit, in a state blob of their own, not yet absorbed."""

    name: str
    ordinal: int
    observations: int
    newest: int
    """The ledger's newest enqueued time at this commit: how far absorbing it brings the clock."""
    committed_at: int = 0
    """Microseconds since 1970 UTC."""


class Lost(_Data):
    """Sequence numbers whose share of a folder is gone, because a file's blocks were."""

    folder: str
    incarnation: int
    sequences: tuple[Interval, ...]


class Counts(_Data):
    """What a ledger has seen from its beginning: records = rows + rejected + skipped."""

    envelopes: int = 0
    records: int = 0
    rows: int = 0
    skipped: int = 0
    rejected: dict[str, int] = {}
    files: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """The sum."""
        reasons = self.rejected.keys() | other.rejected.keys()
        return Counts(
            envelopes=self.envelopes + other.envelopes,
            records=self.records + other.records,
            rows=self.rows + other.rows,
            skipped=self.skipped + other.skipped,
            rejected={r: self.rejected.get(r, 0) + other.rejected.get(r, 0) for r in sorted(reasons)},
            files=self.files + other.files,
        )


class Ledger(_Data):
    """What has been committed of one source. Immutable: each change is a new value."""

    format: int = FORMAT
    ledger_id: str
    """Random, for life: tells a ledger from another one in its place."""
    source: str
    ordinal: int = 0
    """How often it was written: never restarts, grows by one."""
    commit_id: str = ""
    committed_at: int = 0
    incarnation: Incarnation = Incarnation()
    past: tuple[Incarnation, ...] = ()
    files: tuple[Listed, ...] = ()
    """To publish; replaced only once all of them are confirmed."""
    segments: tuple[Segment, ...] = ()
    trimmed: int = 0
    """The ordinal up to which absorbed segments were dropped from the list: who has not read them reads the master."""
    lost: tuple[Lost, ...] = ()
    counts: Counts = Counts()

    @staticmethod
    def name(source: Source) -> str:
        """The name of its blob in the state container."""
        return f"ledgers/{source.namespace}/{source.hub}/{source.id}.json"

    @classmethod
    def parse(cls, data: bytes, name: str) -> Self:
        """The ledger in these bytes. Raises LedgerTooNew, LedgerError."""
        try:
            ledger = cls.model_validate_json(data)
        except ValidationError as error:
            raise LedgerError(
                f"{name}: not a ledger ({error.error_count()} errors): {data[:60]!r}"
            ) from error
        if ledger.format > FORMAT:
            raise LedgerTooNew(
                f"{name}: has format {ledger.format}, this program reads up to {FORMAT}: deploy the newer one"
            )
        return ledger

    def dump(self) -> bytes:
        """As the bytes of one Put Blob. Raises LedgerTooLarge."""
        data = self.model_dump_json().encode()
        if len(data) > MAX_BYTES:
            raise LedgerTooLarge(
                f"ledger of {self.source}: {len(data)} bytes, at most {MAX_BYTES}: "
                f"{len(self.incarnation.gaps)} gaps, {len(self.files)} files, {len(self.segments)} segments, "
                f"{len(self.lost)} lost; does finish_connections run?"
            )
        return data

    def verdict(self, envelope: Envelope) -> Verdict:
        """How the envelope stands to what has been committed."""
        now, sequence, time = self.incarnation, envelope.sequence, envelope.enqueued
        if self.past and now.began is not None and time < now.began - TOLERANCE:
            older = self.past[self.older(envelope)]
            return Verdict.DUPLICATE if older.has(envelope) and time <= older.newest else Verdict.STALE
        if now.next is None or sequence >= now.next:
            return Verdict.NEW
        if within(now.gaps, sequence) and time <= now.newest + TOLERANCE:
            return Verdict.NEW
        if time > now.newest:
            return Verdict.RECREATED
        lost = any(one.incarnation == now.number and within(one.sequences, sequence) for one in self.lost)
        return Verdict.LOST if lost else Verdict.DUPLICATE

    def older(self, envelope: Envelope) -> int:
        """The index in `past` of the incarnation that was alive when the envelope was enqueued."""
        alive = [
            i
            for i, one in enumerate(self.past)
            if one.began is None or one.began <= envelope.enqueued + TOLERANCE
        ]
        return alive[-1] if alive else 0

    def reborn(self, began: int | None) -> "Ledger":
        """With a new incarnation: the hub was made anew at `began`. What was lost stays lost."""
        past = (*self.past, self.incarnation)[-REMEMBERED:]
        return self.model_copy(
            update={"incarnation": Incarnation(number=self.incarnation.number + 1, began=began), "past": past}
        )

    def losing(self, files: Sequence[Listed], commit_id: str, now: int) -> "Ledger":
        """With these files noted as lost instead of listed."""
        lost = tuple(
            Lost(
                folder=file.name[: file.name.rindex("/") + 1],
                incarnation=int(file.metadata["incarnation"]),
                sequences=intervals(file.metadata["sequences"]),
            )
            for file in files
        )
        kept = tuple(file for file in self.files if file not in files)
        return self.written(commit_id, now).model_copy(update={"files": kept, "lost": self.lost + lost})

    def confirmed(self, commit_id: str, now: int) -> "Ledger":
        """With an empty list: all its files are visible."""
        return self.written(commit_id, now).model_copy(update={"files": ()})

    def written(self, commit_id: str, now: int) -> "Ledger":
        """As the next write of it: with the next ordinal."""
        return self.model_copy(
            update={"ordinal": self.ordinal + 1, "commit_id": commit_id, "committed_at": now}
        )

    def trimming(self, watermark: int, before: int) -> "Ledger":
        """Without the segments up to the watermark that were committed before: they are absorbed."""
        kept = tuple(one for one in self.segments if one.ordinal > watermark or one.committed_at >= before)
        gone = (one.ordinal for one in self.segments if one not in kept)
        return self.model_copy(update={"segments": kept, "trimmed": max(gone, default=self.trimmed)})

    def taken(self, verdict: Verdict, envelopes: Sequence[Envelope]) -> "Ledger":
        """With the progress that committing these envelopes makes, all of them of this verdict."""
        match verdict:
            case Verdict.NEW:
                return self.model_copy(update={"incarnation": self.incarnation.take(envelopes)})
            case Verdict.STALE:
                past = list(self.past)
                for envelope in envelopes:
                    past[self.older(envelope)] = past[self.older(envelope)].take((envelope,))
                return self.model_copy(update={"past": tuple(past)})
            case Verdict.LOST:
                return self.model_copy(
                    update={"lost": tuple(_refilled(self, {e.sequence for e in envelopes}))}
                )
        raise AssertionError(verdict)


@dataclass(frozen=True, slots=True)
class Selection:
    """Envelopes of a batch that one commit can take: all of one verdict and one incarnation, in order."""

    verdict: Verdict
    """NEW, STALE or LOST."""
    incarnation: int
    ledger: Ledger
    """The ledger to go on from: with a new incarnation where the hub was made anew."""
    envelopes: tuple[Envelope, ...]


def select(ledger: Ledger, envelopes: Iterable[Envelope]) -> Selection | None:
    """The first envelopes that are no duplicates and can share a commit; None when all are duplicates."""
    base, at, kind, number = ledger, ledger, None, 0
    chosen: list[Envelope] = []
    folded = 0  # how many of the chosen ones `at` knows: contiguous ones need not be folded one by one
    expected = earliest = -1
    runs = 0
    for envelope in envelopes:
        if envelope.sequence == expected and envelope.enqueued >= earliest:
            chosen.append(envelope)
            expected += 1
            continue
        if kind:
            at = at.taken(kind, chosen[folded:])
            folded = len(chosen)
        verdict = at.verdict(envelope)
        if verdict is Verdict.DUPLICATE:
            continue
        if verdict is Verdict.RECREATED and kind is None:
            base = at = at.reborn(envelope.enqueued)
            verdict = Verdict.NEW
        incarnation = at.past[at.older(envelope)] if verdict is Verdict.STALE else at.incarnation
        if kind is None:
            kind, number = verdict, incarnation.number
        elif verdict is not kind or incarnation.number != number or runs == MAX_RUNS:
            break
        runs += 1
        chosen.append(envelope)
        if kind is Verdict.NEW:
            above = at.incarnation.next is None or envelope.sequence >= at.incarnation.next
            expected = envelope.sequence + 1 if above else -1
            earliest = (at.incarnation.began or 0) - TOLERANCE if at.past else -1
    return Selection(kind, number, base, tuple(chosen)) if kind else None


def spanned(sequences: Iterable[int]) -> str:
    """Ascending sequence numbers as text, such as `5-9,12`: the metadata `sequences` of a file."""
    runs: list[list[int]] = []
    for sequence in sequences:
        if runs and sequence == runs[-1][1] + 1:
            runs[-1][1] = sequence
        else:
            runs.append([sequence, sequence])
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)


def intervals(text: str) -> tuple[Interval, ...]:
    """The intervals that `spanned` wrote."""
    parts = (part.partition("-") for part in text.split(","))
    return tuple((int(first), int(last or first)) for first, _, last in parts)


def within(intervals: Iterable[Interval], sequence: int) -> bool:
    """Whether one of the intervals has the sequence number."""
    return any(first <= sequence <= last for first, last in intervals)


def without(intervals: Iterable[Interval], sequence: int) -> tuple[Interval, ...]:
    """The intervals less one sequence number."""
    parts: list[Interval] = []
    for first, last in intervals:
        if first <= sequence <= last:
            parts += [part for part in ((first, sequence - 1), (sequence + 1, last)) if part[0] <= part[1]]
        else:
            parts.append((first, last))
    return tuple(parts)


def _refilled(ledger: Ledger, sequences: set[int]) -> Iterable[Lost]:
    for one in ledger.lost:
        left = one.sequences
        if one.incarnation == ledger.incarnation.number:
            for sequence in sequences:
                left = without(left, sequence)
        if left:
            yield one.model_copy(update={"sequences": left})
