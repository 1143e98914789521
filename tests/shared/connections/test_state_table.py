"""Merging into the state table in parts gives the same result as folding everything at once."""

from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connections import observations, state_table
from shared.connections.manifest import Part
from shared.connections.observations import OBSERVATIONS, merge
from shared.connections.state_table import STATE_TABLE, cut, key_of, keyed, merge_into, spread, starts
from tests.shared.connections.test_observations import contents, observed

RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "CorrelationId": st.integers(0, 40).map(str),
            "_ResourceId": st.sampled_from(["r", None]),
            "EventName": st.sampled_from(["Opened", "Closed", "Message"]),
            "TimeGenerated": st.integers(0, 9),
            "_EnqueuedTime": st.integers(0, 9),
        }
    ),
    max_size=40,
)


def part(table: pa.Table) -> Part:
    return Part(name="", low=key_of(table.slice(0, 1)).tobytes().hex(), rows=table.num_rows, open=0, due=0)


@settings(deadline=None, max_examples=60)
@given(st.lists(RECORDS, min_size=1, max_size=4), st.integers(1, 5))
def test_merging_in_steps_and_parts_gives_the_same(batches: list[list[Any]], pieces: int) -> None:
    tables = [STATE_TABLE.empty_table()]
    for batch in batches:
        new = keyed([observed(batch)])
        ranges = spread(new, [part(one) for one in tables if one.num_rows])
        tables = [merge_into(old, more) for old, more in zip(tables, ranges, strict=True)]
        table = pa.concat_tables(tables)
        assert key_of(table).tolist() == sorted(set(key_of(table).tolist()))
        size = -(-table.num_rows // pieces)
        tables = [table.slice(at, size) for at in range(0, table.num_rows, size or 1)] or [table]
    expected = merge([observed(batch) for batch in batches])
    assert contents(pa.concat_tables(tables).select(OBSERVATIONS.names)) == contents(expected)


def test_new_records_of_a_written_connection_are_pending() -> None:
    row = {"CorrelationId": "a", "EventName": "Opened", "TimeGenerated": 5, "_EnqueuedTime": 6}
    old = keyed([observed([row])])
    old = old.set_column(
        STATE_TABLE.get_field_index("revision"), STATE_TABLE.field("revision"), pa.array([3], pa.int32())
    )
    old = old.set_column(
        STATE_TABLE.get_field_index("pending"), STATE_TABLE.field("pending"), pa.array([False])
    )
    old = old.set_column(STATE_TABLE.get_field_index("since"), STATE_TABLE.field("since"), pa.array([6]))
    (found,) = merge_into(old, keyed([observed([row | {"_EnqueuedTime": 2}])])).to_pylist()
    assert {name: found[name] for name in ("revision", "pending", "since", "first_seen", "count")} == {
        "revision": 3,
        "pending": True,
        "since": 6,
        "first_seen": 2,
        "count": 2,
    }
    assert merge_into(old, STATE_TABLE.empty_table()) is old


def test_a_part_is_cut_when_it_grows_too_large(monkeypatch: Any) -> None:
    monkeypatch.setattr(state_table, "PART_ROWS", 4)
    rows = [
        {"CorrelationId": str(n), "EventName": "e", "TimeGenerated": 0, "_EnqueuedTime": 0} for n in range(10)
    ]
    table = keyed([observed(rows)])
    assert [piece.num_rows for piece in cut(table)] == [3, 3, 4]
    assert pa.concat_tables(list(cut(table))).equals(table)
    assert list(cut(table.slice(0, 0))) == []


def test_starts_are_read_without_other_columns() -> None:
    rows = [
        {"CorrelationId": str(n), "EventName": "e", "TimeGenerated": n, "_EnqueuedTime": 2 * n}
        for n in range(10)
    ]
    table = keyed([observed(rows)])
    keys, times, arrivals = starts(observations.dump(table))
    assert keys.tolist() == key_of(table).tolist()
    assert times.tolist() == table["first"].to_pylist()
    assert arrivals.tolist() == table["first_seen"].to_pylist()
    assert key_of(table.slice(3, 4)).tolist() == keys[3:7].tolist()
