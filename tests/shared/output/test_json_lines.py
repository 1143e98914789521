"""JSON Lines hold every column of every row."""

import gzip
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.output import json_lines
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.output.made import EXAMPLES, TIME, lines, table


def test_a_json_line_has_every_column_including_nulls() -> None:
    full, _, least = lines(json_lines.encode(table(), {}, "snappy"))
    assert list(full) == list(least) == RECORDS.arrow.names
    for column in RECORDS.columns:
        expected = EXAMPLES[column.type]
        expected = "2030-01-02T03:04:05.120000Z" if expected is TIME else expected
        assert full[column.name] == expected
        assert least[column.name] == (expected if column.required else None)


def test_json_lines_of_many_blocks_are_complete() -> None:
    whole = pa.table({"row": range(40_000)})
    assert lines(json_lines.encode(whole, {}, "snappy")) == whole.to_pylist()
    assert lines(json_lines.encode(whole.slice(0, 0), {}, "snappy")) == []


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            "often": st.sampled_from([None, "a", 'quoted "b"', "back\\slash", "\x00\x1f\u2028", ""]),
            "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "integer": st.none() | st.integers(-(2**63), 2**63 - 1),
            "nothing": st.none(),
            'a "name"\n': st.booleans().map(int),
        }
    )
)


SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "often": pa.string(),
        "number": pa.float64(),
        "integer": pa.int64(),
        "nothing": pa.string(),
        'a "name"\n': pa.int32(),
    }
)


@given(ROWS, st.sampled_from([1, 2, 4096]))
def test_lines_equal_those_of_a_row_by_row_writer(rows: list[dict[str, Any]], block: int) -> None:
    rows = [{name: row[name] for name in SCHEMA.names} for row in rows]
    expected = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "_ROWS", block)
        encoded = json_lines.encode(pa.Table.from_pylist(rows, schema=SCHEMA), {}, "snappy")
    assert gzip.decompress(encoded) == expected


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_every_time_is_written_with_four_digits_of_a_year(year: int) -> None:
    time = TIME.replace(year=year)
    one = pa.table({"t": pa.array([time], pa.timestamp("us", "UTC"))})
    (line,) = lines(json_lines.encode(one, {}, "snappy"))
    assert line == {"t": f"{year:04d}-01-02T03:04:05.120000Z"}
