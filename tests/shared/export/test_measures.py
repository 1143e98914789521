"""What a commit reports about itself: counts for the ledger, delays and skipped numbers for telemetry."""

from datetime import timedelta

import pytest

from shared.export.measures import counts_of, measures_of, skipped_by
from shared.input.validation import validate
from shared.intervals import Interval
from shared.policies import ExportPolicy
from shared.protocol.incarnation import Incarnation
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import MINUTE, SECOND
from tests.records import EPOCH, PARTITION, envelope, record


def test_counts_are_those_of_all_envelopes() -> None:
    good, bad, foreign = record(EPOCH, "a"), record(EPOCH, "b", time="?"), {"category": "GatewayLogs"}
    valid = validate(
        PARTITION, [envelope(0, EPOCH, good, bad, foreign), envelope(1, EPOCH, bad)], ExportPolicy()
    )
    counts = counts_of(valid, {"jwt": 2, "basic": 1}, 3)
    assert (counts.envelopes, counts.records, counts.rows, counts.skipped, counts.files) == (2, 4, 1, 1, 3)
    assert (counts.tables, counts.rejected) == ({RECORDS.name: 1}, {"unparseable_time": 2})
    assert list(counts.redacted.items()) == [("basic", 1), ("jwt", 2)]


@pytest.mark.parametrize(
    ("number", "next_", "gaps", "skipped"),
    [
        (0, None, ((0, 4),), 0),
        (1, None, ((0, 4),), 5),
        (0, 5, ((0, 1), (5, 9), (12, 12)), 6),
        (0, 5, ((4, 4),), 0),
    ],
)
def test_only_new_gaps_were_skipped(
    number: int, next_: int | None, gaps: tuple[Interval, ...], skipped: int
) -> None:
    before = Incarnation(number=number, next=next_)
    assert skipped_by(before, Incarnation(number=number, next=20, gaps=gaps)) == skipped


def test_delays_are_measured_from_event_to_arrival() -> None:
    policy = ExportPolicy(grace=timedelta(minutes=10))
    ages = (0, 10 * MINUTE, 10 * MINUTE + 1, 30 * MINUTE, SECOND)
    covered = [envelope(n, EPOCH + n, record(EPOCH + n - age, "a")) for n, age in enumerate(ages)]
    tables = validate(PARTITION, covered, policy).tables
    measures = measures_of(covered, tables, policy)
    assert measures.bytes == sum(len(one.body) for one in covered)
    assert (measures.late, measures.arrived, measures.happened) == (2, EPOCH, EPOCH + 1 - 10 * MINUTE)


def test_a_commit_without_rows_has_no_time_of_events() -> None:
    measures = measures_of([envelope(0, EPOCH + 5), envelope(1, EPOCH)], {}, ExportPolicy())
    assert (measures.late, measures.arrived, measures.happened) == (0, EPOCH, None)
