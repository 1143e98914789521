"""Observations keep short texts unchanged, and a bounded form of long ones that stays distinguishable."""

import pyarrow as pa
import pytest

from shared.connections.text_limits import MAX_ID, MAX_TEXT, bounded, cut, kept


@pytest.mark.parametrize("letter", ["a", "ä"])
@pytest.mark.parametrize("length", [0, 1, MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1, 3 * MAX_TEXT])
def test_texts_are_cut_to_the_maximum_length(letter: str, length: int) -> None:
    text = letter * length
    assert cut(pa.array([text, "b", None])).to_pylist() == [text[:MAX_TEXT], "b", None]
    assert kept(text, "EventName") == text[:MAX_TEXT]


@pytest.mark.parametrize("column", ["CorrelationId", "_ResourceId"])
def test_ids_up_to_the_maximum_length_stay(column: str) -> None:
    id_ = "x" * MAX_ID
    assert bounded(pa.array([id_, None])).to_pylist() == [id_, None]
    assert kept(id_, column) == id_


def test_long_ids_stay_distinct_and_begin_as_before() -> None:
    ids = ["x" * MAX_ID + end for end in ("a", "b", "a")]
    first, second, again, none, short = bounded(pa.array([*ids, None, "y"])).to_pylist()
    assert first == again != second
    assert (len(first), len(second), none, short) == (MAX_ID, MAX_ID, None, "y")
    assert first.startswith("x" * 400)
    assert kept(ids[0], "CorrelationId") == first
