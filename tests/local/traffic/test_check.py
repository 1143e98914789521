import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from local.traffic.check import CONNECTIONS, ROWS, check, check_durations
from local.traffic.generate import generate
from local.traffic.truth import OTHER_ROWS, ROW, Truth

NOW = datetime(2030, 1, 2, 3, tzinfo=UTC)
TRUTH = generate(1, 200, NOW - timedelta(hours=6), NOW).truth

type Row = dict[str, Any]


def exported(truth: Truth = TRUTH, outcome: str = ROW) -> list[Row]:
    rows = [
        {
            "_EventHubPartition": f"namespace/hub/{row['partition']}",
            "_SequenceNumber": row["position"] + truth.first_sequences.get(row["partition"], 0),
            "_RecordIndex": row["record_index"],
            "_ResourceId": row["resource_id"],
            "CorrelationId": row["correlation_id"],
            "EventName": row["event_name"],
            "TimeGenerated": row["time"],
        }
        for row in truth.good(outcome).to_pylist()
    ]
    random.Random(1).shuffle(rows)
    return rows


def table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, ROWS)


def test_the_truth_itself_is_exact() -> None:
    found = check(TRUTH, table(exported()), rejected=TRUTH.rejected, skipped=TRUTH.skipped)
    assert found.exact
    assert found.expected == found.rows == TRUTH.rows > 0
    assert found.examples == []


def test_rows_of_another_category_are_compared_without_an_event_name() -> None:
    truth = generate(
        1, 200, NOW - timedelta(hours=6), NOW, exported=("WebSocketConnectionLogs", "GatewayLogs")
    ).truth
    outcome = OTHER_ROWS["GatewayLogs"]
    rows = exported(replace(truth, records=truth.good(outcome)), outcome)
    for row in rows:
        del row["EventName"]
    found = check(truth, rows, outcome=outcome, rejected=truth.rejected, skipped=truth.skipped)
    assert found.exact
    assert found.expected == truth.outcomes[outcome] > 20
    assert check(truth, rows[2:], outcome=outcome).lost == 2
    assert check(truth, [*rows, rows[0]], outcome=outcome).duplicated == 1
    assert check(truth, [rows[0] | {"CorrelationId": "x"}, *rows[1:]], outcome=outcome).wrong == 1
    assert check(truth, exported(truth), outcome=outcome).unexpected == truth.outcomes["row"]


def test_rows_may_have_more_columns_and_texts_as_times() -> None:
    rows = [row | {"Region": "x", "TimeGenerated": written(row["TimeGenerated"])} for row in exported()]
    assert check(TRUTH, iter(rows)).exact


def written(time: int) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time):%Y-%m-%dT%H:%M:%S.%fZ}"


def test_sequences_may_begin_later() -> None:
    later = replace(TRUTH, first_sequences={"0": 5, "1": 0, "2": 1 << 33, "3": 7})
    assert check(later, table(exported(later))).exact
    assert check(TRUTH, table(exported(later))).lost > 0


def test_without_exported_rows_everything_is_lost() -> None:
    found = check(TRUTH, [])
    assert (found.lost, found.rows) == (TRUTH.rows, 0)


@pytest.mark.parametrize(
    ("change", "what", "how_many"),
    [
        (lambda rows: rows[3:], "lost", 3),
        (lambda rows: rows + rows[:2] + rows[:1], "duplicated", 3),
        (lambda rows: [*rows, rows[0] | {"_RecordIndex": 10_000}], "unexpected", 1),
        (lambda rows: [*rows, rows[0] | {"_RecordIndex": 1 << 40}], "unexpected", 1),
        (lambda rows: [*rows, rows[0] | {"_SequenceNumber": -1}], "unexpected", 1),
        (lambda rows: [*rows, rows[0] | {"_EventHubPartition": "namespace/hub/9"}], "unexpected", 1),
        (lambda rows: [*rows, rows[0] | {"_EventHubPartition": None}], "unexpected", 1),
        (lambda rows: [rows[0] | {"EventName": "Other"}, *rows[1:]], "wrong", 1),
        (lambda rows: [rows[0] | {"_ResourceId": None}, *rows[1:]], "wrong", 1),
        (lambda rows: [rows[0] | {"TimeGenerated": rows[0]["TimeGenerated"] + 1}, *rows[1:]], "wrong", 1),
        (lambda rows: [rows[0] | {"CorrelationId": ""}, *rows[1:]], "wrong", 1),
    ],
)
def test_a_difference_is_found(change: Callable[[list[Row]], list[Row]], what: str, how_many: int) -> None:
    found = check(TRUTH, table(change(exported())))
    counts = {name: getattr(found, name) for name in ("lost", "duplicated", "unexpected", "wrong")}
    assert counts == {name: how_many if name == what else 0 for name in counts}
    assert not found.exact
    assert found.examples
    assert all(example.startswith(what) for example in found.examples)


def test_different_counts_are_reported() -> None:
    rejected = TRUTH.rejected | {"wrong_type": 0, "new_reason": 2}
    found = check(TRUTH, table(exported()), rejected=rejected, skipped=TRUTH.skipped + 1)
    assert found.counts == {
        "wrong_type": (TRUTH.rejected["wrong_type"], 0),
        "new_reason": (0, 2),
        "skipped": (TRUTH.skipped, TRUTH.skipped + 1),
    }
    total = sum(TRUTH.rejected.values())
    assert check(TRUTH, exported(), rejected=total).exact
    assert check(TRUTH, exported(), rejected=total - 1).counts == {"rejected": (total, total - 1)}


def finished() -> list[Row]:
    return [
        {
            "_ResourceId": row["resource_id"],
            "CorrelationId": row["correlation_id"],
            "CommitId": row["correlation_id"],
            "StartTime": row["first_time"],
            "EndTime": row["last_time"],
            "EventCount": row["event_count"],
            "Revision": 0,
        }
        for row in TRUTH.connections().to_pylist()
    ]


def durations(rows: list[Row]) -> dict[str, int]:
    found = check_durations(TRUTH, pa.Table.from_pylist(rows, CONNECTIONS))
    assert found.connections == TRUTH.connections().num_rows
    assert found.exact + found.wrong + found.missing == found.connections
    names = ("wrong", "missing", "split", "unknown", "duplicated")
    return {name: getattr(found, name) for name in names if getattr(found, name)}


def test_the_newest_revision_counts() -> None:
    rows = finished()
    assert durations(rows) == {}
    older = [row | {"EventCount": 0} for row in rows]
    newer = [row | {"Revision": 1} for row in rows]
    assert durations(older + newer) == durations(newer + older) == {}
    assert durations(rows + [row | {"Revision": 1} for row in older]) == {"wrong": len(rows)}


def test_differences_of_connections_are_found() -> None:
    first, second, *rest = finished()
    assert durations([second, *rest]) == {"missing": 1}
    assert durations([first | {"EndTime": first["EndTime"] + 1}, second, *rest]) == {"wrong": 1}
    assert durations([first | {"StartTime": None}, second, *rest]) == {"wrong": 1}
    assert durations([first | {"EventCount": 99}, second, *rest]) == {"wrong": 1}
    assert durations([first, first, second, *rest]) == {"duplicated": 1}
    assert durations([first, first | {"CorrelationId": "none"}, second, *rest]) == {"unknown": 1}


def test_the_parts_of_a_split_connection_must_add_up() -> None:
    rows = finished()
    (place, whole) = next((at, row) for at, row in enumerate(rows) if row["EventCount"] > 2)
    part = whole | {"EndTime": whole["StartTime"], "EventCount": 1}
    other = whole | {
        "StartTime": whole["EndTime"],
        "CommitId": "other",
        "EventCount": whole["EventCount"] - 1,
    }
    del rows[place]
    assert durations([*rows, part, other]) == {"split": 1}
    assert durations([*rows, part, other | {"EventCount": 1}]) == {"split": 1, "wrong": 1}
