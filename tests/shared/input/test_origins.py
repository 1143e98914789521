"""Each record is found in its envelope, and a lookup does not cost as much as reading all records."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.input.envelope import Envelope
from shared.input.origins import Origins

ENVELOPE = Envelope(1, 2, b"")


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=4))
def test_records_are_placed_in_their_envelopes(groups: list[list[int]]) -> None:
    origins = Origins()
    for counts in groups:
        origins.add([ENVELOPE] * len(counts), counts, {})
    expected = [
        (envelope, index)
        for envelope, count in enumerate(count for counts in groups for count in counts)
        for index in range(count)
    ]
    of, indexes = origins.positions(np.arange(origins.records))
    assert list(zip(of.tolist(), indexes.tolist(), strict=True)) == expected


def test_looking_up_a_record_needs_no_memory_for_others() -> None:
    origins = Origins()
    origins.add([ENVELOPE] * 10, [1_000_000] * 10, {})
    tracemalloc.start()
    try:
        of, indexes = origins.positions(np.array([5_000_003]))
        assert (of.tolist(), indexes.tolist()) == ([5], [3])
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
