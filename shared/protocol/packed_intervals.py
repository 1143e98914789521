"""Packs many intervals of sequence numbers into a short text, so that a ledger can hold a million. Pure."""

import zlib
from base64 import b85decode, b85encode
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

from shared.intervals import Interval

PLAIN = 10_000
"""Up to this many intervals are written as numbers, which people can read."""


def packed(intervals: Sequence[Interval]) -> Sequence[Interval] | str:
    """Returns ascending intervals as they are or, if there are many, as text (compressed differences)."""
    if len(intervals) <= PLAIN:
        return intervals
    ends = np.array(intervals, np.int64).ravel()
    return b85encode(zlib.compress(np.diff(ends, prepend=0).tobytes(), 1)).decode()


def unpacked(value: Any) -> Any:
    """Returns the intervals that `packed` wrote; other values are left to the validation of the field."""
    if not isinstance(value, str):
        return value
    try:
        ends = np.cumsum(np.frombuffer(zlib.decompress(b85decode(value)), np.int64))
        return tuple(zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True))
    except zlib.error as error:
        raise ValueError(f"packed intervals are damaged: {error}") from error


type Intervals = Annotated[tuple[Interval, ...], BeforeValidator(unpacked), PlainSerializer(packed)]
