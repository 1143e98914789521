"""After a hub was re-created under its name, its committed and missing events are known."""

import pytest

from shared.input.envelope import Envelope
from shared.intervals import Interval
from shared.protocol.hub_changes import with_hub_created, with_skipped
from shared.protocol.ledger import Ledger, Lost
from shared.protocol.selection import Verdict, select, verdict_on
from shared.timeunits import HOUR, SECOND
from tests.shared.protocol.made import CREATED, committed, envelopes


@pytest.mark.parametrize("first", [40, 99, 100, 150], ids=["below", "the last", "next", "above"])
@pytest.mark.parametrize("timer_first", [True, False])
def test_delivered_events_are_the_new_hubs_and_earlier_ones_gaps(
    old: Ledger, first: int, *, timer_first: bool
) -> None:
    ledger = with_hub_created(old, CREATED) if timer_first else old
    ledger = with_hub_created(committed(ledger, envelopes(first, first + 9, 1500)), CREATED)
    now = ledger.incarnation
    assert (now.number, now.created, now.next, now.gaps) == (1, CREATED, first + 10, ((0, first - 1),))
    assert (ledger.past[-1].next, ledger.past[-1].gaps, ledger.past[-1].newest) == (100, (), 500 * SECOND)
    for missing in envelopes(0, first - 1, 1400):
        assert verdict_on(ledger, missing) is Verdict.NEW
    assert not select(ledger, envelopes(first, first + 9, 1500))
    assert not select(ledger, envelopes(0, 99, 500))
    whole = committed(ledger, envelopes(0, first - 1, 1400))
    assert (whole.incarnation.number, whole.incarnation.gaps) == (1, ())


def test_files_of_the_new_hub_with_old_numbers_are_recorded(old: Ledger) -> None:
    ledger = with_hub_created(committed(old, envelopes(150, 159, 1500)), CREATED)
    assert ledger.numbered(0, [(0, 99), (150, 154)]) == {0: ((0, 99),), 1: ((150, 154),)}
    assert ledger.numbered(1, [(0, 5)]) == {1: ((0, 5),)}


def test_lost_files_of_the_new_hub_are_refilled_from_it(old: Ledger) -> None:
    lossy = committed(old, envelopes(150, 159, 1500)).model_copy(
        update={"lost": (Lost(folder="f/", incarnation=0, sequences=((98, 99), (150, 151))),)}
    )
    ledger = with_hub_created(lossy, CREATED)
    assert [(one.incarnation, one.sequences) for one in ledger.lost] == [(0, ((98, 99),)), (1, ((150, 151),))]
    assert verdict_on(ledger, envelopes(150, 150, 1500)[0]) is Verdict.LOST


def test_late_commits_of_old_owners_belong_to_the_old_hub(old: Ledger) -> None:
    empty = with_hub_created(Ledger(ledger_id="l", partition="ns/hub/0"), 1)
    new_first = committed(committed(empty, envelopes(0, 0, 1500)), envelopes(1, 4, 500))
    after = with_hub_created(new_first, CREATED)
    assert (after.incarnation.next, after.incarnation.gaps) == (1, ())
    assert (after.past[-1].next, after.past[-1].gaps) == (5, ((0, 0),))
    late = committed(committed(old, envelopes(100, 100, 1500)), envelopes(101, 104, 600))
    assert with_hub_created(late, CREATED).incarnation.gaps == ((0, 99),)


def test_events_skipped_in_the_old_hub_are_no_gap() -> None:
    empty = with_hub_created(Ledger(ledger_id="l", partition="ns/hub/0"), 1)
    passed = with_skipped(empty, 9, 500 * SECOND)
    after = with_hub_created(passed, CREATED)
    assert (after.incarnation.number, after.incarnation.next, after.incarnation.gaps) == (1, None, ())
    assert after.past[-1].gaps == ((0, 9),)
    fast = with_hub_created(committed(passed, envelopes(3, 3, 505)), 502 * SECOND)
    assert (fast.incarnation.created, fast.incarnation.next, fast.incarnation.gaps) == (
        502 * SECOND,
        4,
        ((0, 2),),
    )
    assert committed(fast, envelopes(4, 9, 600)).incarnation.number == 1


def test_gaps_filled_by_events_of_the_new_hub_are_restored() -> None:
    ledger = committed(
        with_hub_created(Ledger(ledger_id="l", partition="ns/hub/0"), 1), envelopes(10, 99, 500)
    )
    mixed = committed(ledger, envelopes(100, 100, 1500))
    mixed = committed(mixed, envelopes(5, 6, 1400))
    after = with_hub_created(mixed, CREATED)
    assert after.past[-1].gaps == ((0, 9),)
    assert after.incarnation.gaps == ((0, 4), (7, 99))


def test_a_clock_an_hour_ahead_hides_no_recreated_hub(old: Ledger) -> None:
    ahead = committed(old, [Envelope(100, 900 * SECOND + HOUR, b"")], now=900 * SECOND)
    after = with_hub_created(ahead, CREATED)
    assert (after.incarnation.number, after.incarnation.next) == (1, None)
    assert verdict_on(after, envelopes(0, 0, 1500)[0]) is Verdict.NEW


def test_an_older_answer_of_the_hub_changes_nothing(old: Ledger) -> None:
    renewed = with_hub_created(old, CREATED)
    assert with_hub_created(renewed, CREATED) is renewed
    assert with_hub_created(renewed, 1) is renewed


def test_the_first_hub_begins_no_new_incarnation() -> None:
    ledger = committed(Ledger(ledger_id="l", partition="ns/hub/0"), envelopes(5, 9, 1500))
    now = with_hub_created(ledger, CREATED).incarnation
    assert (now.number, now.created, now.next, now.gaps) == (0, CREATED, 10, ((0, 4),))


@pytest.mark.parametrize(
    ("passed", "gaps"), [(99, ()), (98, ()), (103, ((100, 103),))], ids=["the last", "below", "above"]
)
def test_events_passed_by_the_host_are_a_fillable_gap(
    old: Ledger, passed: int, gaps: tuple[Interval, ...]
) -> None:
    after = with_skipped(old, passed, 600 * SECOND)
    assert after.incarnation.gaps == gaps
    for first, last in gaps:
        assert not committed(after, envelopes(first, last, 550)).incarnation.gaps
