"""An incarnation remembers the pauses in which its hub may have been re-created."""

from shared.input.envelope import Envelope
from shared.protocol.hub_changes import with_hub_created
from shared.protocol.incarnation import MAX_RUNS, PAUSE, Incarnation
from shared.protocol.ledger import Ledger
from shared.timeunits import HOUR, SECOND
from tests.shared.protocol.made import CREATED, committed, envelopes


def test_pauses_are_remembered_until_the_hub_is_confirmed(old: Ledger) -> None:
    ledger = committed(old, envelopes(100, 109, 700))
    assert [run[:2] for run in ledger.incarnation.recent] == [(0, 99), (100, 109)]
    assert ledger.with_hub_confirmed(1, 600 * SECOND).incarnation.recent[0][:2] == (100, 109)
    assert ledger.with_hub_confirmed(2, 600 * SECOND) is ledger, "of another hub"
    confirmed = ledger.with_hub_confirmed(1, 800 * SECOND)
    assert confirmed.incarnation.recent == ()
    after = with_hub_created(committed(confirmed, envelopes(110, 119, 1500)), CREATED)
    assert (after.incarnation.gaps, after.past[-1].next, after.past[-1].newest) == (
        ((0, 109),),
        110,
        700 * SECOND,
    )


def test_only_the_longest_pauses_are_remembered() -> None:
    start = Incarnation(created=1)
    quiet = [Envelope(n, n * 2 * PAUSE, b"") for n in range(2 * MAX_RUNS)]
    made_anew = quiet[-1].enqueued + HOUR
    late = [Envelope(n, made_anew + n * 2 * PAUSE, b"") for n in range(2 * MAX_RUNS, 4 * MAX_RUNS)]
    full = Ledger(ledger_id="l", partition="s", incarnation=start.take([*quiet, *late]))
    assert len(full.incarnation.recent) == MAX_RUNS
    assert with_hub_created(full, made_anew - SECOND).incarnation.gaps == ((0, 2 * MAX_RUNS - 1),)
    full = Ledger(ledger_id="l", partition="s", incarnation=start.take([*late, *_after(late, quiet)]))
    assert len(full.incarnation.recent) == MAX_RUNS
    assert with_hub_created(full, made_anew - SECOND).incarnation.next == late[-1].sequence + 1


def _after(first: list[Envelope], second: list[Envelope]) -> list[Envelope]:
    """The second envelopes have the following sequence numbers."""
    return [Envelope(first[-1].sequence + 1 + n, one.enqueued, b"") for n, one in enumerate(second)]
