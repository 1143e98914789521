"""How each source stands, from the state container alone."""

from shared import head
from shared.head import HOUR, Absorbed, Head
from shared.status import Standing, status
from tests.shared.exported import EPOCH, SECOND, SOURCE, Exported, envelopes


def standing(exported: Exported, now: int = EPOCH + 600 * SECOND) -> Standing:
    (one,) = status(exported.storage, now)
    return one


def test_a_source_stands_where_its_ledger_says(exported: Exported) -> None:
    exported.export([*envelopes(0, 9), *envelopes(12, 20)])
    one = standing(exported)
    assert one.ledger == exported.ledger()
    assert (one.source, one.gaps, one.alarms, one.replay) == (str(SOURCE), 2, [], False)


def test_nothing_is_written(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    before = [(blob.name, blob.etag) for blob in exported.state.list_blobs()]
    standing(exported)
    assert before == [(blob.name, blob.etag) for blob in exported.state.list_blobs()]


def test_a_list_that_nobody_empties_for_an_hour_is_an_alarm(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    assert "does the timer run" in standing(exported, EPOCH + 2 * HOUR).alarms[0]


def test_a_ledger_that_is_older_than_what_was_seen_or_gone_is_an_alarm(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    ledger = exported.ledger()
    seen = Absorbed(ledger_id=ledger.ledger_id, ordinal=1, seen=ledger.ordinal + 1)
    exported.storage.put(head.NAME, Head(sources={str(SOURCE): seen}).dump())
    assert "older" in standing(exported).alarms[0]
    exported.storage.delete([exported.ledger_name])
    assert "gone" in standing(exported).alarms[0]


def test_a_ledger_that_cannot_be_read_is_an_alarm_of_its_source(exported: Exported) -> None:
    exported.storage.put(exported.ledger_name, b"{")
    one = standing(exported)
    assert (one.source, one.ledger) == (str(SOURCE), None)
    assert "not a ledger" in one.alarms[0]


def test_a_replay_is_known_as_such_and_has_no_gaps(exported: Exported) -> None:
    exported.export(envelopes(5, 6), source=SOURCE.replay(0))
    one = standing(exported)
    assert (one.replay, one.gaps) == (True, 0)
