"""Columns keep each value in its row, even if a column starts late, ends early, or is not all text."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shared.input.columns import Columns

VALUE: st.SearchStrategy[Any] = st.sampled_from(["a", "é", None, 1, {}])
BLOCK = st.tuples(st.sampled_from([1, 3, 400, 600]), st.dictionaries(st.integers(0, 2), VALUE))


@given(st.lists(BLOCK, min_size=1, max_size=6))
def test_values_stay_in_their_rows(blocks: list[tuple[int, dict[int, Any]]]) -> None:
    columns = Columns(3)
    expected: list[list[Any]] = [[], [], []]
    for rows, given_ in blocks:
        for at, value in given_.items():
            columns.extend(at, [value] * rows)
        columns.end(rows)
        for at, column in enumerate(expected):
            column.extend([given_.get(at)] * rows)
    for at, column in enumerate(expected):
        found = columns.column(at)
        assert (found.to_pylist() if isinstance(found, pa.Array) else found) == column
