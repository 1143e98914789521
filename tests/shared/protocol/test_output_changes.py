"""A restored ledger learns what the output has; lost files are noted once per search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.intervals import Interval, runs
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Ledger, Lost
from shared.protocol.output_changes import with_exported, with_gone


def ledger(next_: int | None, *gaps: Interval) -> Ledger:
    return Ledger(
        ledger_id="l", partition="ns/hub/0", incarnation=Incarnation(next=next_, newest=5, gaps=gaps)
    )


def committed(found: Ledger) -> set[int]:
    now = found.incarnation
    return set(range(now.next or 0)) - {n for first, last in now.gaps for n in range(first, last + 1)}


@given(st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12), min_size=1))
def test_exported_numbers_are_added_to_the_committed_ones(before: set[int], exported: set[int]) -> None:
    next_ = max(before, default=-1) + 1
    old = ledger(next_ or None, *runs(sorted(set(range(next_)) - before)))
    after = with_exported(old, tuple(runs(sorted(exported))), 9)
    assert committed(after) == before | exported
    assert after.incarnation.next == max(before | exported) + 1


@pytest.mark.parametrize(("last", "newest"), [(9, 5), (10, 9)])
def test_only_numbers_beyond_the_ledger_advance_its_clock(last: int, newest: int) -> None:
    assert with_exported(ledger(10, (3, 9)), ((last, last),), 9).incarnation.newest == newest
    assert with_exported(ledger(10), ((20, 20),), 3).incarnation.newest == 5


def test_losses_are_added_and_the_search_is_counted() -> None:
    one, two = (Lost(folder=name, incarnation=0, sequences=((1, 2),)) for name in "ab")
    once = with_gone(ledger(10), [one])
    twice = with_gone(once, [two])
    assert (once.lost, once.searches, twice.lost, twice.searches) == ((one,), 1, (one, two), 2)
