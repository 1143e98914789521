"""Folding records gives the same observations for any batches and order, and counts each record once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.arrays import Array
from shared.connections import observations, text_limits
from shared.connections.observations import OBSERVATIONS, enrich, keys, merge
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.export.plans import Nothing

type Row = dict[str, Any]

FEW = st.sampled_from(["a", "b"])
TEXT = st.sampled_from([None, "x", "y"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "CorrelationId": FEW,
            "_ResourceId": st.sampled_from([None, "", "r"]),
            "EventName": st.sampled_from([f"Event{n:02d}" for n in range(12)]),
            "TimeGenerated": st.integers(0, 5),
            "_EnqueuedTime": st.integers(0, 5),
            "ReportedDurationMs": st.sampled_from([None, 1.0, 2.5, -1.0, float("nan")]),
            **dict.fromkeys(observations.LAST, TEXT),
        }
    ),
    max_size=30,
)


PATIENT = settings(deadline=None, max_examples=60)


def table(rows: Sequence[Row]) -> pa.Table:
    """Returns records; missing values are null."""
    schema = pa.schema([field.with_nullable(nullable=True) for field in RECORDS.arrow])
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in schema.names} for row in rows], schema=schema
    )


def observed(rows: Sequence[Row]) -> pa.Table:
    return enrich(table(rows), Nothing())[1]


def contents(observed: pa.Table) -> list[Row]:
    rows: list[Row] = observed.to_pylist()
    return sorted(
        rows, key=lambda row: (row["CorrelationId"], row["_ResourceId"] is not None, row["_ResourceId"] or "")
    )


@PATIENT
@given(ROWS, st.data())
def test_any_split_in_any_order_folds_to_the_same(rows: list[Row], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    again = data.draw(st.integers(0, cut))
    pieces = [observed(shuffled[:again]), observed(shuffled[again:cut]), observed(shuffled[cut:])]
    left = merge([merge(pieces[:2]), pieces[2]])
    right = merge([pieces[0], merge(pieces[1:])])
    assert contents(left) == contents(right) == contents(merge(pieces[::-1])) == contents(observed(rows))


@PATIENT
@given(ROWS)
def test_every_record_is_counted_once(rows: list[Row]) -> None:
    found = contents(observed(rows))
    assert sum(row["count"] for row in found) == len(rows)
    assert all(sum(name["count"] for name in row["names"]) <= row["count"] for row in found)
    for row in found:
        if len(row["names"]) < observations.MAX_NAMES:
            assert sum(name["count"] for name in row["names"]) == row["count"]


@PATIENT
@given(ROWS)
def test_an_observation_equals_a_loop_over_its_records(rows: list[Row]) -> None:
    for found in contents(observed(rows)):
        mine = [
            row for row in rows if all(row[name] == found[name] for name in ("CorrelationId", "_ResourceId"))
        ]
        times = [row["TimeGenerated"] for row in mine]
        seen = [row["_EnqueuedTime"] for row in mine]
        assert [found[name] for name in ("first", "last", "first_seen", "last_seen", "count")] == [
            min(times),
            max(times),
            min(seen),
            max(seen),
            len(mine),
        ]
        for name in observations.LAST:
            values = [(row["TimeGenerated"], row[name]) for row in mine if row[name] is not None]
            time, value = max(values, default=(observations.NEVER, None))
            assert (found[f"{name} at"], found[name]) == (time, value)
        names = sorted({row["EventName"] for row in mine})[: observations.MAX_NAMES]
        assert [one["name"] for one in found["names"]] == names
        for one in found["names"]:
            of = [row for row in mine if row["EventName"] == one["name"]]
            reported = [row["ReportedDurationMs"] for row in of if (row["ReportedDurationMs"] or -1) >= 0]
            assert one == {
                "name": one["name"],
                "first": min(row["TimeGenerated"] for row in of),
                "last": max(row["TimeGenerated"] for row in of),
                "count": len(of),
                "reported": max(reported, default=None),
            }


def test_the_key_consists_of_resource_and_id() -> None:
    rows = [
        {
            "CorrelationId": id_,
            "_ResourceId": resource,
            "EventName": "e",
            "TimeGenerated": 0,
            "_EnqueuedTime": 0,
        }
        for id_, resource in [
            ("a", "b"),
            ("a", None),
            ("a", ""),
            ("ab", ""),
            ("b", "a"),
            ("\0a", "b"),
            ("a", "b\0"),
        ]
    ]
    found = observed(rows)
    assert found.num_rows == len(rows)
    assert len(set(keys(found).tolist())) == len(rows)
    assert keys(found)[:1].tolist() == keys(found.slice(0, 1)).tolist()


def test_texts_are_cut_and_ids_are_not() -> None:
    long = "x" * text_limits.MAX_ID
    row = dict.fromkeys(["CorrelationId", "EventName", "Error"], long) | {
        "TimeGenerated": 0,
        "_EnqueuedTime": 0,
    }
    (found,) = contents(observed([row]))
    assert found["CorrelationId"] == long
    assert found["Error"] == found["names"][0]["name"] == long[: text_limits.MAX_TEXT]


@pytest.mark.parametrize("name", ["CorrelationId", "_ResourceId"])
def test_an_id_that_is_too_long_ends_in_a_hash(name: str) -> None:
    row = {"CorrelationId": "c", "EventName": "e", "TimeGenerated": 0, "_EnqueuedTime": 0}
    long = "é" * 1_000_000
    rows = [row | {name: id_} for id_ in (long + "a", long + "b", long + "a", "short")]
    found = observed(rows)
    assert sorted(found["count"].to_pylist()) == [1, 1, 2]
    assert all(len(one[name]) <= text_limits.MAX_ID for one in contents(found))
    assert len(set(observations.keys(found).tolist())) == 3
    assert contents(merge([observed(rows[:2]), observed(rows[2:])])) == contents(found)


def test_stored_observations_are_read_back() -> None:
    found = observed([{"CorrelationId": "a", "EventName": "e", "TimeGenerated": 1, "_EnqueuedTime": 2}])
    assert observations.load(observations.dump(found)).equals(found, check_metadata=True)
    assert observations.dump(found) == observations.dump(found)
    assert observations.load(observations.dump(OBSERVATIONS.empty_table())).num_rows == 0


class Known:
    """Knows that every connection began at 10."""

    def earliest(self, observed: pa.Table) -> tuple[Array, Array]:
        return (np.full(observed.num_rows, 10),) * 2


@pytest.mark.parametrize(
    ("known", "times", "start", "durations"),
    [
        (Nothing(), [20, 50, 35], 20, [None, 0.03, 0.015]),
        (Known(), [20, 50, 35], 10, [0.01, 0.04, 0.025]),
        (Known(), [5, 50], 5, [None, 0.045]),
        (Known(), [10, 10], 10, [None, None]),
    ],
)
def test_the_duration_counts_from_the_earliest_time(
    known: observations.StartTimeLookup, times: list[int], start: int, durations: list[float | None]
) -> None:
    rows = [
        {"CorrelationId": "a", "EventName": "e", "TimeGenerated": time, "_EnqueuedTime": 0} for time in times
    ]
    enriched, _ = enrich(table(rows), known)
    assert enriched["ConnectionStartTime"].cast(pa.int64()).to_pylist() == [start] * len(times)
    assert enriched["ConnectionDurationMs"].to_pylist() == durations


def test_the_estimate_counts_from_the_earliest_arrival() -> None:
    rows = [
        {"CorrelationId": "a", "EventName": "e", "TimeGenerated": 5, "_EnqueuedTime": time}
        for time in (40, 25, 3_000)
    ]
    enriched, _ = enrich(table(rows), Nothing())
    assert enriched["ConnectionArrivalDurationMs"].to_pylist() == [0.015, 0, 2.975]
    enriched, _ = enrich(table(rows), Known())
    assert enriched["ConnectionArrivalDurationMs"].to_pylist() == [0.03, 0.015, 2.99]


def test_an_empty_table_has_no_connections() -> None:
    enriched, found = enrich(table([]), Nothing())
    assert (enriched.num_rows, found.num_rows) == (0, 0)
