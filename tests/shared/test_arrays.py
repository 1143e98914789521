"""Values read from Arrow's buffers are those that Arrow returns."""

from itertools import groupby

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shared.arrays import integers, lengths, run_starts


@given(st.lists(st.none() | st.text(max_size=4), max_size=6), st.integers(0, 6), st.integers(0, 6))
def test_lengths_are_those_of_each_text_of_a_slice(texts: list[str | None], offset: int, length: int) -> None:
    found = lengths(pa.array(texts, pa.string()).slice(offset, length))
    assert found.tolist() == [len((text or "").encode()) for text in texts[offset : offset + length]]


def test_an_empty_array_may_have_no_offsets() -> None:
    assert not len(lengths(pa.StringArray.from_buffers(0, None, pa.py_buffer(b""))))


@given(st.lists(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=3), max_size=3), st.integers(0, 4))
def test_times_are_microseconds_in_one_chunk_or_several(chunks: list[list[int]], offset: int) -> None:
    type_ = pa.timestamp("us", "UTC")
    column = pa.chunked_array([pa.array(chunk, pa.int64()).view(type_) for chunk in chunks], type_)
    assert integers(column.slice(offset)).tolist() == [time for chunk in chunks for time in chunk][offset:]


@given(st.lists(st.integers(0, 2)))
def test_runs_start_where_the_value_changes(values: list[int]) -> None:
    sizes = [len([*group]) for _, group in groupby(values)]
    assert run_starts(np.array(values, np.int64)).tolist() == [sum(sizes[:at]) for at in range(len(sizes))]
