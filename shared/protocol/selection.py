"""Selects the envelopes of one commit by comparing each with what is already committed. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from shared.input.envelope import Envelope
from shared.intervals import within, without
from shared.protocol.hub_changes import with_hub_evident
from shared.protocol.incarnation import NEVER, TOLERANCE, Incarnation, Progress
from shared.protocol.ledger import Ledger, Lost

MAX_RUNS = 64
"""Maximum runs of sequence numbers in one commit; each file's metadata (at most 8 KiB) lists them."""


class Verdict(Enum):
    """How an envelope relates to what has been committed."""

    NEW = auto()
    """Not committed yet: above all others, or inside a known gap."""
    RECREATED = auto()
    """The first envelope of a hub that was created again: sequence numbers started over, time did not."""
    STALE = auto()
    """From a deleted hub and never committed, because its owner was too late. It is quarantined."""
    LOST = auto()
    """Committed, but a file with some of its rows could not be published, so it may refill that file."""
    DUPLICATE = auto()


@dataclass(frozen=True, slots=True)
class Selection:
    """Envelopes of a batch for one commit: all of one verdict and one incarnation, in order."""

    verdict: Verdict
    """NEW, STALE or LOST."""
    incarnation: int
    ledger: Ledger
    """The ledger to continue from, with a new incarnation if the hub was created again."""
    envelopes: tuple[Envelope, ...]


def select(ledger: Ledger, envelopes: Iterable[Envelope]) -> Selection | None:
    """Selects the first envelopes that are not duplicates and can share a commit; None if there are none."""
    base, at, kind, number = ledger, ledger, None, 0
    progress: Progress | None = None  # after the first `folded` chosen envelopes
    folders: set[str] = set()
    chosen: list[Envelope] = []
    folded = 0  # contiguous envelopes need not be folded individually
    expected = earliest = -1
    runs = 0
    for envelope in envelopes:
        if envelope.sequence == expected and envelope.enqueued >= earliest:
            chosen.append(envelope)
            expected += 1
            continue
        at = _folded(at, kind, progress, chosen[folded:])
        folded = len(chosen)
        verdict = verdict_on(at, envelope, progress)
        if verdict is Verdict.DUPLICATE:
            continue
        if verdict is Verdict.RECREATED and kind is None:
            base = at = with_hub_evident(at, envelope)
            verdict = Verdict.NEW
        incarnation = at.older[older(at, envelope)] if verdict is Verdict.STALE else at.incarnation
        # If this commit's files are lost, too, all its numbers are lost: they must lack the same folders.
        lacking = lost_in(at, envelope) if verdict is Verdict.LOST else set()
        if kind is None:
            kind, number, folders = verdict, incarnation.number, lacking
            progress = Progress(at.incarnation) if kind is Verdict.NEW else None
        elif verdict is not kind or incarnation.number != number or lacking != folders or runs == MAX_RUNS:
            break
        runs += 1
        chosen.append(envelope)
        if progress:
            expected = envelope.sequence + 1 if envelope.sequence >= (progress.next or 0) else -1
            earliest = progress.since or 0
    return Selection(kind, number, base, tuple(chosen)) if kind else None


def _folded(
    ledger: Ledger, verdict: Verdict | None, progress: Progress | None, envelopes: Sequence[Envelope]
) -> Ledger:
    """Returns the ledger after these envelopes; new ones are added to the progress instead."""
    if progress:
        for envelope in envelopes:
            progress.take(envelope)
        return ledger
    return advance(ledger, verdict, envelopes) if verdict else ledger


def verdict_on(ledger: Ledger, envelope: Envelope, progress: Progress | None = None) -> Verdict:
    """Returns how an envelope relates to what has been committed, and to the progress in this commit."""
    now: Incarnation | Progress = progress or ledger.incarnation
    sequence, time = envelope.sequence, envelope.enqueued
    above = now.next is None or sequence >= now.next
    # Below `next` while no older hub is known: an operator rewound to before the first commit.
    if now.since is not None and time < now.since and (ledger.past or above):
        past = ledger.older[older(ledger, envelope)]
        return Verdict.DUPLICATE if past.has(envelope) and time <= past.newest else Verdict.STALE
    if above:
        return Verdict.NEW
    if within(now.gaps, sequence) and time <= now.newest + TOLERANCE:
        return Verdict.NEW
    if time > now.newest:
        return Verdict.RECREATED
    return Verdict.LOST if lost_in(ledger, envelope) else Verdict.DUPLICATE


def lost_in(ledger: Ledger, envelope: Envelope) -> set[str]:
    """Returns the folders that lack rows of this envelope."""
    number, sequence = ledger.incarnation.number, envelope.sequence
    return {
        one.folder for one in ledger.lost if one.incarnation == number and within(one.sequences, sequence)
    }


def older(ledger: Ledger, envelope: Envelope) -> int:
    """Returns the index in `Ledger.older` of the incarnation that existed when the envelope was enqueued."""
    alive = [
        i
        for i, one in enumerate(ledger.older)
        if one.began is None or one.began <= envelope.enqueued + TOLERANCE
    ]
    return alive[-1] if alive else 0


def advance(ledger: Ledger, verdict: Verdict, envelopes: Sequence[Envelope], now: int = NEVER) -> Ledger:
    """Adds the progress of committing these envelopes, which all have this verdict, at `now`."""
    match verdict:
        case Verdict.NEW:
            return ledger.model_copy(update={"incarnation": ledger.incarnation.take(envelopes, now)})
        case Verdict.STALE:
            past = list(ledger.older)
            for envelope in envelopes:
                past[older(ledger, envelope)] = past[older(ledger, envelope)].take((envelope,))
            return ledger.model_copy(update={"past": tuple(past)})
        case Verdict.LOST:
            return ledger.model_copy(
                update={"lost": tuple(_refilled(ledger, {e.sequence for e in envelopes}))}
            )
    raise AssertionError(verdict)


def _refilled(ledger: Ledger, sequences: set[int]) -> Iterable[Lost]:
    for one in ledger.lost:
        left = one.sequences
        if one.incarnation == ledger.incarnation.number:
            for sequence in sequences:
                left = without(left, sequence)
        if left:
            yield one.model_copy(update={"sequences": left})
