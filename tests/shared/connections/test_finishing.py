"""Connections finish at the right time, with the right status and duration even in doubtful cases.

Each line of the table in docs/connections.md names a test of this file.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from shared.connections.finishing import WRITTEN, Finished, finish, newest
from shared.connections.observations import UNKNOWN, enrich
from shared.connections.state_table import keyed, merge_into
from shared.policies import FinishPolicy
from shared.settings import Settings
from shared.timeunits import DAY, HOUR, MINUTE, SECOND
from tests.shared.connections.test_observations import Row, table
from tests.shared.export.plans import Nothing

POLICY = FinishPolicy(opening=("Opened",), closing=("Closed", "ConnectionFailed"))
NEVER = 365 * DAY
COMMIT = f"{7:032x}"


def record(name: str, time: float, arrived: float | None = None, **other: Any) -> Row:
    """A record; times in seconds. It arrives five minutes later by default."""
    return {
        "CorrelationId": "c",
        "_ResourceId": "r",
        "EventName": name,
        "TimeGenerated": round(time * SECOND),
        "_EnqueuedTime": round((time + 300 if arrived is None else arrived) * SECOND),
        **other,
    }


def master(*records: Row) -> pa.Table:
    return keyed([enrich(table(records), Nothing())[1]])


def finished(*records: Row, at: int = NEVER, policy: FinishPolicy = POLICY, quiet: bool = False) -> Finished:
    return finish(master(*records), policy, at, quiet=quiet, room=UNKNOWN, commit_id=COMMIT)


def only(*records: Row, **how: Any) -> dict[str, Any]:
    """Returns the one row that is written for these records."""
    (row,) = rows(finished(*records, **how))
    return row


def rows(found: Finished) -> list[dict[str, Any]]:
    """Returns what was written, with times in seconds."""
    rows: list[dict[str, Any]] = found.written.to_pylist()
    for row in rows:
        for name, value in row.items():
            if hasattr(value, "timestamp"):
                row[name] = value.timestamp()
    return rows


OPENED, MESSAGE, CLOSED = record("Opened", 0), record("Message", 5), record("Closed", 10)


def test_a_closed_connection_lasts_from_first_to_last_time() -> None:
    row = only(OPENED, MESSAGE, record("Closed", 10.000001, Source="s", Destination="d", Region="e"))
    assert row == {
        "CorrelationId": "c",
        "_ResourceId": "r",
        "_SubscriptionId": None,
        "StartTime": 0,
        "EndTime": 10.000001,
        "DurationMs": 10_000.001,
        "DurationSource": "event_times",
        "ArrivalDurationMs": 10_000.001,
        "Status": "closed",
        "EventCount": 3,
        "OpeningEvent": "Opened",
        "ClosingEvent": "Closed",
        "Error": None,
        "Source": "s",
        "Destination": "d",
        "Region": "e",
        "FirstSeen": 300,
        "LastSeen": 310.000001,
        "CommitId": row["CommitId"],
        "Revision": 0,
        "folder": 10.000001,
    }
    assert re.fullmatch("[0-9a-f]{32}", row["CommitId"])


def test_arrivals_give_an_estimate_if_times_give_no_duration() -> None:
    row = only(record("Opened", 0, 300), record("Closed", 0, 720.5))
    assert (row["DurationMs"], row["DurationSource"]) == (None, "indeterminate")
    assert row["ArrivalDurationMs"] == 1000 * (row["LastSeen"] - row["FirstSeen"]) == 420_500


def test_a_record_without_a_name_counts_but_closes_nothing() -> None:
    unnamed = record("", 20, ReportedDurationMs=60_000.0) | {"EventName": None}
    row = only(OPENED, unnamed)
    assert (row["Status"], row["ClosingEvent"], row["EventCount"]) == ("timed_out", None, 2)
    row = only(unnamed, CLOSED)
    assert (row["Status"], row["OpeningEvent"], row["EventCount"]) == ("closed", None, 2)
    row = only(unnamed)
    assert (row["Status"], row["OpeningEvent"], row["EventCount"]) == ("timed_out", None, 1)


def test_default_names_close_aborted_connections() -> None:
    policy = Settings.model_fields["WS_CLOSING_EVENTS"].default
    for name in ("ConnectionAborted", "Aborted"):
        assert name in policy


def test_names_match_in_any_letter_case() -> None:
    row = only(record("OPENED", 0), record("closeD", 1))
    assert (row["OpeningEvent"], row["ClosingEvent"], row["Status"]) == ("OPENED", "closeD", "closed")


def test_a_failure_name_or_an_error_means_failed() -> None:
    assert only(OPENED, record("ConnectionFailed", 9))["Status"] == "failed"
    row = only(OPENED, record("Message", 1, Error="first"), record("Message", 2, Error="last"), CLOSED)
    assert (row["Status"], row["Error"]) == ("failed", "last")


def test_an_unclosed_connection_times_out_with_a_minimum_duration() -> None:
    row = only(OPENED, MESSAGE)
    assert (row["Status"], row["ClosingEvent"], row["DurationMs"]) == ("timed_out", None, 5000)


def test_without_an_opening_event_the_first_record_begins_it() -> None:
    row = only(MESSAGE, CLOSED)
    assert (row["Status"], row["OpeningEvent"], row["StartTime"], row["DurationMs"]) == (
        "closed",
        None,
        5,
        5000,
    )


def test_a_single_record_gives_no_duration() -> None:
    for one in (OPENED, MESSAGE, CLOSED):
        row = only(one)
        assert (row["DurationMs"], row["DurationSource"], row["EventCount"]) == (None, "indeterminate", 1)
        assert row["StartTime"] == row["EndTime"]


def test_records_with_one_time_give_no_duration() -> None:
    row = only(record("Opened", 0), record("Message", 0), record("Closed", 0))
    assert (row["DurationMs"], row["DurationSource"], row["Status"]) == (None, "indeterminate", "closed")


def test_arrivals_an_hour_further_apart_than_times_give_no_duration() -> None:
    row = only(record("Opened", 0), record("Closed", 1, arrived=300 + 3602))
    assert (row["DurationMs"], row["DurationSource"]) == (None, "indeterminate")
    assert only(record("Opened", 0), record("Closed", 1, arrived=300 + 3601))["DurationMs"] == 1000


def test_a_reported_duration_of_a_closing_event_counts() -> None:
    row = only(OPENED, record("Closed", 10, ReportedDurationMs=10_500.5))
    assert (row["DurationMs"], row["DurationSource"]) == (10_500.5, "reported")
    assert only(record("Closed", 10, ReportedDurationMs=7.0))["DurationMs"] == 7


def test_a_reported_duration_that_cannot_be_right_is_ignored() -> None:
    for row in (
        only(OPENED, record("Closed", 10, ReportedDurationMs=9_999.0)),
        only(OPENED, record("Message", 5, ReportedDurationMs=20_000.0), CLOSED),
        only(OPENED, record("Closed", 10, ReportedDurationMs=float("inf"))),
    ):
        assert (row["DurationMs"], row["DurationSource"]) == (10_000, "event_times")


def test_different_clocks_of_the_legs_give_no_negative_duration() -> None:
    row = only(
        record("Opened", 0.02),
        record("Opened", 0),
        record("Closed", 0.01),
        record("Closed", 10),
        record("Message", -0.03),
    )
    assert (row["StartTime"], row["EndTime"], row["DurationMs"]) == (-0.03, 10, 10_030)


def test_closing_before_opening_gives_no_duration() -> None:
    row = only(record("Closed", 0), record("Opened", 10))
    assert (row["DurationMs"], row["DurationSource"], row["Status"]) == (None, "indeterminate", "closed")
    assert (row["StartTime"], row["EndTime"]) == (0, 10)


def test_the_same_id_in_two_instances_is_two_connections() -> None:
    found = rows(
        finished(
            OPENED, CLOSED, record("Opened", 1, _ResourceId="other"), record("M", 4, _ResourceId="other")
        )
    )
    assert {(row["_ResourceId"], row["EventCount"], row["DurationMs"]) for row in found} == {
        ("r", 2, 10_000),
        ("other", 2, 3_000),
    }


def test_an_id_reused_after_the_late_window_is_another_row() -> None:
    closed = finished(OPENED, CLOSED, at=310 * SECOND + 6 * HOUR)
    assert closed.kept.num_rows == 0
    again = only(record("Opened", 40_000), record("Closed", 40_001))
    assert (again["Revision"], again["FirstSeen"]) == (0, 40_300)


def test_an_id_reused_within_the_window_continues_the_connection() -> None:
    first = finished(OPENED, CLOSED, at=30 * MINUTE)
    both = merge_into(first.kept, master(record("Opened", 7200), record("Closed", 7210)))
    (row,) = rows(finish(both, POLICY, NEVER, quiet=False, room=UNKNOWN, commit_id=COMMIT))
    assert (row["Revision"], row["EventCount"], row["StartTime"], row["EndTime"]) == (1, 4, 0, 7210)


def test_a_late_record_gives_another_revision_in_the_same_folder() -> None:
    first = finished(OPENED, CLOSED, at=30 * MINUTE)
    late = merge_into(first.kept, master(record("Message", 3600, arrived=3700)))
    assert (
        finish(late, POLICY, 3700 * SECOND, quiet=False, room=UNKNOWN, commit_id=COMMIT).written.num_rows == 0
    )
    (row,) = rows(
        finish(late, POLICY, 3700 * SECOND + 15 * MINUTE, quiet=False, room=UNKNOWN, commit_id=COMMIT)
    )
    assert (row["Revision"], row["EventCount"], row["EndTime"], row["DurationMs"]) == (1, 3, 3600, 3_600_000)
    assert (row["folder"], row["FirstSeen"], row["LastSeen"]) == (10, 300, 3700)


def test_an_earlier_arrival_does_not_change_first_seen() -> None:
    first = finished(OPENED, CLOSED, at=30 * MINUTE)
    late = merge_into(first.kept, master(record("Message", 3, arrived=200)))
    (row,) = rows(finish(late, POLICY, NEVER, quiet=False, room=UNKNOWN, commit_id=COMMIT))
    assert (row["Revision"], row["FirstSeen"]) == (1, 300)


def test_a_closed_connection_is_finished_after_the_grace_time() -> None:
    due = 310 * SECOND + 15 * MINUTE
    assert finished(OPENED, CLOSED, at=due - 1).due == due
    assert not rows(finished(OPENED, CLOSED, at=due - 1))
    assert rows(finished(OPENED, CLOSED, at=due))


def test_an_unclosed_connection_is_finished_after_the_idle_time() -> None:
    due = 305 * SECOND + DAY
    assert not rows(finished(OPENED, MESSAGE, at=due - 1))
    after = finished(OPENED, MESSAGE, at=due)
    assert rows(after)[0]["Status"] == "timed_out"
    assert after.due == 305 * SECOND + 7 * DAY


def test_unknown_names_finish_as_quiet_after_the_quiet_time() -> None:
    strange = record("Handshake.Begin", 0), record("Handshake.End", 8)
    due = 308 * SECOND + HOUR
    assert not rows(finished(*strange, at=due - 1, quiet=True))
    row = only(*strange, at=due, quiet=True)
    assert (row["Status"], row["DurationMs"], row["ClosingEvent"]) == ("quiet", 8000, None)
    closed = finished(OPENED, CLOSED, at=310 * SECOND + 15 * MINUTE, quiet=True)
    assert rows(closed)[0]["Status"] == "closed"


def test_unknown_names_are_counted_with_first_and_last_places() -> None:
    found = finished(
        record("A", 0),
        record("B", 1),
        record("B", 2),
        record("A", 0, CorrelationId="d"),
        record("Z", 0, CorrelationId="d"),
    )
    assert {name: (one.connections, one.first, one.last) for name, one in found.names.items()} == {
        "A": (2, 2, 0),
        "B": (1, 0, 1),
        "Z": (1, 0, 1),
    }
    assert {name: one.newest for name, one in newest(master(MESSAGE, CLOSED)).items()} == {
        "Closed": 310 * SECOND,
        "Message": 310 * SECOND,
    }


def test_changed_settings_apply_to_earlier_records() -> None:
    first = finished(record("Begin", 0), record("End", 9), at=2 * DAY)
    assert rows(first)[0]["Status"] == "timed_out"
    same = finish(first.kept, POLICY, 2 * DAY, quiet=False, room=UNKNOWN, commit_id=COMMIT)
    assert not rows(same)
    named = FinishPolicy(opening=("begin",), closing=("end",))
    (row,) = rows(finish(first.kept, named, 2 * DAY, quiet=False, room=UNKNOWN, commit_id=COMMIT))
    assert (row["Revision"], row["Status"], row["OpeningEvent"], row["ClosingEvent"]) == (
        1,
        "closed",
        "Begin",
        "End",
    )


def test_more_names_than_are_kept_still_count_every_record() -> None:
    row = only(*(record(f"Message{n:02}", n) for n in range(20)), record("Closed", 30))
    assert (row["EventCount"], row["Status"], row["DurationMs"]) == (21, "closed", 30_000)
    row = only(*(record(f"A{n:02}", n) for n in range(20)), record("Closed", 30))
    assert (row["EventCount"], row["Status"], row["DurationMs"]) == (21, "timed_out", 30_000)


def test_excess_connections_are_written_and_dropped_finished_ones_first() -> None:
    many = [record("Opened", n, CorrelationId=f"open{n}") for n in range(3)]
    many += [
        record(name, 100 + n, CorrelationId=f"done{n}") for n in range(3) for name in ("Opened", "Closed")
    ]
    at = 30 * MINUTE
    found = finish(master(*many), POLICY, at, quiet=False, room=2, commit_id=COMMIT)
    assert found.capped == 4
    assert sorted(found.kept["CorrelationId"].to_pylist()) == ["open1", "open2"]
    assert sorted(row["CorrelationId"] for row in rows(found)) == ["done0", "done1", "done2", "open0"]


def test_no_rows_give_no_rows() -> None:
    found = finish(keyed([]), POLICY, NEVER, quiet=False, room=UNKNOWN, commit_id=COMMIT)
    assert (found.written.num_rows, found.kept.num_rows, found.due) == (0, 0, UNKNOWN)
    assert found.written.schema == WRITTEN


def test_unaffected_rows_are_kept_unchanged() -> None:
    rows_ = master(OPENED, CLOSED)
    found = finish(rows_, POLICY, 0, quiet=False, room=UNKNOWN, commit_id=COMMIT)
    assert found.kept.equals(rows_)


@pytest.mark.parametrize("records", [(OPENED, CLOSED), (OPENED, MESSAGE)])
@pytest.mark.parametrize("span", [timedelta(minutes=1), timedelta(hours=10), timedelta(days=10)])
def test_any_settings_write_a_connection_before_dropping_it(
    records: tuple[Row, ...], span: timedelta
) -> None:
    policy = FinishPolicy(
        opening=("Opened",), closing=("Closed",), grace=span, idle=span, late=timedelta(minutes=5)
    )
    for hours in range(0, 20 * 24, 8):
        found = finished(*records, policy=policy, at=hours * HOUR)
        assert found.written.num_rows or found.kept.num_rows
    assert (found.written.num_rows, found.kept.num_rows) == (1, 0)


def test_the_documentation_names_these_tests() -> None:
    text = (Path(__file__).parents[3] / "docs" / "connections.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named
    assert not named - set(globals()), "no such tests"
