"""Updates a ledger after its output or the ledger itself was restored to an earlier state. Pure."""

from collections.abc import Sequence

from shared.intervals import Interval, difference
from shared.protocol.ledger import Ledger, Lost


def with_exported(ledger: Ledger, sequences: Sequence[Interval], newest: int) -> Ledger:
    """Records these sequence numbers of the current incarnation as committed, because the output has them.

    Args:
        ledger: a ledger that was restored and lacks their commits.
        sequences: closed intervals of sequence numbers, ascending and not empty.
        newest: a time at which their events were in the hub, or any later time (µs since 1970 UTC).
    """
    now = ledger.incarnation
    next_ = max(now.next or 0, sequences[-1][1] + 1)
    gaps = difference([*now.gaps, *_from(now.next or 0, next_)], sequences)
    return ledger.with_incarnation(
        now.model_copy(
            update={
                "next": next_,
                "gaps": gaps,
                "newest": max(now.newest, newest) if next_ > (now.next or 0) else now.newest,
            }
        )
    )


def with_gone(ledger: Ledger, lost: Sequence[Lost]) -> Ledger:
    """Records these rows as lost, so that they are refilled."""
    return ledger.model_copy(update={"lost": (*ledger.lost, *lost), "searches": ledger.searches + 1})


def _from(first: int, end: int) -> tuple[Interval, ...]:
    return ((first, end - 1),) if first < end else ()
