"""Updates a ledger after its hub was deleted and created again, or the host skipped events. Pure."""

from collections.abc import Sequence

from shared.input.envelope import Envelope
from shared.intervals import Interval, common, difference
from shared.protocol.incarnation import TOLERANCE, CommittedRun, Incarnation
from shared.protocol.ledger import Ledger


def with_hub_created(ledger: Ledger, created: int) -> Ledger:
    """Records the creation time that the hub reported; returns the same ledger if that is not new.

    Everything committed before that time belongs to an older hub. This may therefore begin an incarnation,
    which has only what was committed since then; everything else below its `next` is a gap, to be filled
    from the hub.
    """
    now = ledger.incarnation
    known = [one.created for one in (*ledger.past, now) if one.created is not None]
    if known and created <= max(known):
        return ledger
    if now.next is None:
        return ledger.with_incarnation(now.model_copy(update={"began": created, "created": created}))
    recent = now.recent
    if not recent and now.created is None:
        recent = (CommittedRun(0, now.next - 1, now.newest, now.newest, -1),)
    committed = difference([(0, now.next - 1)], now.gaps)
    runs = [run for run in recent if run.earliest >= created]
    new = common(committed, [(run.first, run.last) for run in runs])
    old = difference(committed, new)
    if not old and now.created is None:
        return ledger.with_incarnation(now.model_copy(update={"began": created, "created": created}))
    if not new:
        return ledger.with_new_incarnation(created, created)
    return _split(ledger, Incarnation(began=created, created=created), old, new, runs)


def with_hub_evident(ledger: Ledger, envelope: Envelope) -> Ledger:
    """Begins an incarnation, because the envelope has a committed sequence number but a later time.

    Events of the new hub may have been committed before this one, because the ledger lacked their numbers.
    They have lower numbers and later times than the older hub's event with this number.
    """
    now = ledger.incarnation
    same = [run for run in now.recent if run.first <= envelope.sequence <= run.last]
    runs = [
        run
        for run in now.recent
        if same and run.last < same[0].first and run.earliest > same[0].latest + TOLERANCE
    ]
    committed = difference([(0, (now.next or 0) - 1)], now.gaps)
    new = common(committed, [(run.first, run.last) for run in runs])
    if not new:
        return ledger.with_new_incarnation(envelope.enqueued)
    began = min(run.earliest for run in runs)
    return _split(ledger, Incarnation(began=began), difference(committed, new), new, runs)


def _split(
    ledger: Ledger,
    begun: Incarnation,
    old: tuple[Interval, ...],
    new: tuple[Interval, ...],
    runs: Sequence[CommittedRun],
) -> Ledger:
    """Moves the sequence numbers `new`, which were committed in `runs`, to the new incarnation `begun`."""
    now = ledger.incarnation
    before = now.model_copy(
        update={
            "next": old[-1][1] + 1 if old else None,
            "gaps": difference([(0, old[-1][1])], old) if old else (),
            "newest": max([runs[0].before, *(run.latest for run in now.recent if run not in runs)]),
            "recent": (),
        }
    )
    after = begun.model_copy(
        update={
            "number": now.number + 1,
            "next": new[-1][1] + 1,
            "newest": now.newest,
            "gaps": difference([(0, new[-1][1])], new),
            "recent": tuple(runs),
            "earlier": new,
        }
    )
    return ledger.followed_by(before, after).model_copy(
        update={"lost": tuple(part for one in ledger.lost for part in one.split(now.number, new))}
    )


def with_skipped(ledger: Ledger, sequence: int, newest: int) -> Ledger:
    """Records as a gap all sequence numbers up to this one that were not committed.

    Args:
        ledger: the ledger of a partition of the hub.
        sequence: the sequence number of an event of the same hub that the host has passed.
        newest: a time at which that event was in the hub, or any later time (µs since 1970 UTC).
    """
    now = ledger.incarnation
    if sequence < (now.next or 0):
        return ledger
    return ledger.with_incarnation(
        now.model_copy(
            update={
                "next": sequence + 1,
                "newest": max(now.newest, newest),
                "gaps": (*now.gaps, (now.next or 0, sequence)),
            }
        )
    )
