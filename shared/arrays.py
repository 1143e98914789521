"""Converts Arrow columns to NumPy arrays, without copying when the column is a single chunk."""

from typing import Any

import numpy as np
import pyarrow as pa

type Array = np.ndarray[Any, Any]


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Returns a column as one array."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def integers(column: pa.ChunkedArray | pa.Array | Array) -> Array:
    """Returns 64-bit integers, or times in their own unit since 1970 UTC. The column must not have nulls."""
    if isinstance(column, np.ndarray):
        return column
    return np.asarray(whole(column).view(pa.int64()))


def lengths(texts: pa.StringArray) -> Array:
    """Returns the length of each text in bytes. A null has length 0 in arrays built from Python values."""
    if not len(texts):
        return np.zeros(0, np.int32)
    ends = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, 4 * texts.offset)
    return ends[1:] - ends[:-1]


def run_starts(values: Array) -> Array:
    """Returns the positions at which runs of equal values begin."""
    new = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return np.flatnonzero(new)
