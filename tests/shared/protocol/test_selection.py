"""Each envelope is new, a duplicate or stale, and a commit takes envelopes of one kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input.envelope import Envelope
from shared.protocol.incarnation import TOLERANCE
from shared.protocol.ledger import Ledger, Lost
from shared.protocol.selection import MAX_RUNS, Verdict, advance, older, select, verdict_on
from shared.timeunits import SECOND


def envelope(sequence: int, seconds: float) -> Envelope:
    return Envelope(sequence, int(seconds * SECOND), b"")


def ledger(*envelopes: Envelope) -> Ledger:
    """Returns the ledger after committing these envelopes."""
    empty = Ledger(ledger_id="l", partition="ns/hub/0")
    return advance(empty, Verdict.NEW, envelopes)


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (envelope(5, 60), Verdict.NEW),
        (envelope(9, 60), Verdict.NEW),
        (envelope(4, 50), Verdict.DUPLICATE),
        (envelope(3, 40), Verdict.DUPLICATE),
        (envelope(3, 51), Verdict.RECREATED),
        (envelope(1, 20), Verdict.NEW),
        (envelope(1, 50 + TOLERANCE / SECOND + 1), Verdict.RECREATED),
    ],
    ids=["next", "above", "the last", "below", "below but later", "in a gap", "in a gap but much later"],
)
def test_sequence_and_time_decide_the_verdict(one: Envelope, verdict: Verdict) -> None:
    committed = ledger(envelope(3, 40), envelope(4, 50))
    assert committed.incarnation.gaps == ((0, 2),)
    assert verdict_on(committed, one) is verdict


def test_an_envelope_of_a_deleted_hub_is_quarantined_once() -> None:
    renewed = ledger(envelope(0, 10)).with_new_incarnation(1000 * SECOND)
    renewed = advance(renewed, Verdict.NEW, [envelope(0, 1000)])
    late = envelope(1, 900)
    assert verdict_on(renewed, late) is Verdict.STALE
    assert verdict_on(renewed, envelope(0, 10)) is Verdict.DUPLICATE
    assert verdict_on(advance(renewed, Verdict.STALE, [late]), late) is Verdict.DUPLICATE


def test_without_an_older_hub_nothing_is_stale() -> None:
    rewound = ledger(envelope(10, 1000))
    assert verdict_on(rewound, envelope(3, 1)) is Verdict.NEW


def test_events_committed_before_a_newer_hub_is_evident_are_duplicates() -> None:
    # An owner of the deleted hub commits its events 6 and 7 after the first event of the new hub.
    mixed = ledger(envelope(0, 1000), envelope(6, 20), envelope(7, 20), envelope(2, 1000))
    chosen = select(mixed, [envelope(6, 1003), envelope(0, 1000), envelope(2, 1000), envelope(1, 1000)])
    assert chosen is not None
    assert [one.sequence for one in chosen.envelopes] == [6, 1]
    (past,), now = chosen.ledger.past, chosen.ledger.incarnation
    assert (past.next, past.gaps) == (8, ((0, 5),))
    assert (now.number, now.earlier, now.gaps) == (1, ((0, 0), (2, 2)), ((1, 1),))


def test_events_between_two_known_hubs_are_quarantined_not_duplicates() -> None:
    twice = ledger(envelope(0, 10), envelope(1, 50)).with_new_incarnation(1000 * SECOND)
    assert verdict_on(twice, envelope(1, 50)) is Verdict.DUPLICATE
    assert verdict_on(twice, envelope(1, 500)) is Verdict.STALE


def test_lost_rows_can_be_refilled_once() -> None:
    committed = ledger(envelope(0, 1), envelope(1, 2))
    lossy = committed.model_copy(update={"lost": (Lost(folder="f/", incarnation=0, sequences=((0, 1),)),)})
    assert verdict_on(lossy, envelope(1, 2)) is Verdict.LOST
    refilled = advance(lossy, Verdict.LOST, [envelope(1, 2)])
    assert verdict_on(refilled, envelope(1, 2)) is Verdict.DUPLICATE
    assert verdict_on(refilled, envelope(0, 1)) is Verdict.LOST


def test_a_commit_has_one_incarnation() -> None:
    batch = [envelope(5, 50), envelope(6, 51), envelope(0, 99), envelope(1, 99)]
    first = select(ledger(envelope(4, 40)), batch)
    assert first
    assert [one.sequence for one in first.envelopes] == [5, 6]
    after = advance(first.ledger, first.verdict, first.envelopes)
    second = select(after, batch)
    assert second
    assert (second.incarnation, [one.sequence for one in second.envelopes]) == (1, [0, 1])
    assert select(advance(second.ledger, second.verdict, second.envelopes), batch) is None


def test_a_much_older_next_event_is_from_a_deleted_hub() -> None:
    renewed = ledger(envelope(0, 10)).with_new_incarnation(1000 * SECOND)
    batch = [envelope(0, 1000), envelope(1, 1001), envelope(2, 900), envelope(3, 1002)]
    first = select(renewed, batch)
    assert first
    assert (first.verdict, [one.sequence for one in first.envelopes]) == (Verdict.NEW, [0, 1])
    second = select(advance(first.ledger, first.verdict, first.envelopes), batch)
    assert second
    assert (second.verdict, [one.sequence for one in second.envelopes]) == (Verdict.STALE, [2])


def test_an_event_at_the_creation_belongs_to_the_new_hub() -> None:
    renewed = ledger(envelope(0, 10)).with_new_incarnation(1000 * SECOND, 1000 * SECOND)
    assert verdict_on(renewed, envelope(0, 1000)) is Verdict.NEW
    assert verdict_on(renewed, envelope(0, 999)) is Verdict.STALE


def test_duplicates_inside_a_batch_are_taken_once() -> None:
    selection = select(
        ledger(), [envelope(0, 1), envelope(1, 1), envelope(0, 1), envelope(1, 1), envelope(2, 1)]
    )
    assert selection
    assert [one.sequence for one in selection.envelopes] == [0, 1, 2]


def test_a_commit_lists_a_bounded_number_of_runs() -> None:
    selection = select(ledger(), [envelope(n, n) for n in range(0, 1000, 2)])
    assert selection
    assert len(selection.envelopes) == MAX_RUNS


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=40),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_any_delivery_commits_every_event_once(picks: list[tuple[int, int]], sizes: list[int]) -> None:
    """Batches begin anywhere, as after a rewind, and the hub stays the same."""
    hub = [envelope(n, n // 3) for n in range(40)]
    now = ledger()
    committed: list[int] = []
    for at, (start, size) in enumerate([*picks, (0, 40)]):
        batch = hub[start : start + max(size, sizes[at % len(sizes)])]
        while selection := select(now, batch):
            part = selection.envelopes[: sizes[at % len(sizes)]]
            committed += [one.sequence for one in part]
            now = advance(selection.ledger, selection.verdict, part)
    assert sorted(committed) == list(range(40))
    done = now.incarnation
    assert (done.next, done.newest, done.gaps) == (40, hub[-1].enqueued, ())


def test_a_much_older_higher_event_is_from_a_deleted_hub() -> None:
    begun = ledger(envelope(0, 1000))
    late = envelope(1, 900)
    assert verdict_on(begun, late) is Verdict.STALE
    selection = select(begun, [late, envelope(1, 1001)])
    assert selection
    assert (selection.incarnation, selection.envelopes) == (-1, (late,))
    after = advance(selection.ledger, selection.verdict, selection.envelopes)
    assert verdict_on(after, late) is Verdict.DUPLICATE
    assert verdict_on(after, envelope(1, 1001)) is Verdict.NEW


def test_an_envelope_belongs_to_the_last_hub_before_it() -> None:
    twice = ledger(envelope(0, 10)).with_new_incarnation(1000 * SECOND).with_new_incarnation(2000 * SECOND)
    assert [older(twice, envelope(0, time)) for time in (1, 500, 1500, 2500)] == [0, 0, 1, 1]
    first_unknown = twice.model_copy(update={"past": twice.past[1:]})
    assert older(first_unknown, envelope(0, 1)) == 0


def test_lost_records_of_other_folders_get_a_separate_commit() -> None:
    committed = ledger(*(envelope(n, n + 1) for n in range(4)))
    lost = tuple(
        Lost(folder=folder, incarnation=0, sequences=sequences)
        for folder, sequences in (("f/", ((0, 2),)), ("g/", ((1, 1), (3, 3))))
    )
    lossy = committed.model_copy(update={"lost": lost})
    batch = [envelope(n, n + 1) for n in range(4)]
    chosen = []
    while selection := select(lossy, batch):
        chosen.append([one.sequence for one in selection.envelopes])
        lossy = advance(lossy, Verdict.LOST, selection.envelopes)
    assert chosen == [[0], [1], [2], [3]]
