"""Intervals behave like the sets of numbers that they stand for."""

from hypothesis import given
from hypothesis import strategies as st

from shared import intervals
from shared.intervals import Interval

NUMBERS = st.sets(st.integers(0, 30))
SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda one: (one[0], one[0] + one[1])), max_size=6
)


def numbers(spans: tuple[Interval, ...] | list[Interval]) -> set[int]:
    return {number for first, last in spans for number in range(first, last + 1)}


def normal(found: set[int]) -> tuple[Interval, ...]:
    """The only ascending intervals of these numbers that neither overlap nor touch."""
    starts = sorted(number for number in found if number - 1 not in found)
    ends = sorted(number for number in found if number + 1 not in found)
    return tuple(zip(starts, ends, strict=True))


@given(NUMBERS)
def test_runs_are_the_intervals_of_ascending_numbers(found: set[int]) -> None:
    assert tuple(intervals.runs(sorted(found))) == normal(found)


@given(NUMBERS)
def test_text_of_intervals_is_parsed_back(found: set[int]) -> None:
    assert intervals.intervals(intervals.spanned(sorted(found))) == normal(found)


def test_single_numbers_have_no_hyphen_in_the_text() -> None:
    assert intervals.spanned([5, 6, 9, 11, 12, 13]) == "5-6,9,11-13"


@given(NUMBERS, st.integers(-1, 40))
def test_one_number_is_found_and_removed(found: set[int], number: int) -> None:
    before = normal(found)
    assert intervals.within(before, number) == (number in found)
    assert intervals.without(before, number) == normal(found - {number})
    left = list(before)
    intervals.removed(left, number)
    assert tuple(left) == normal(found - {number})


@given(SPANS, SPANS)
def test_operations_are_those_of_sets(mine: list[Interval], others: list[Interval]) -> None:
    assert intervals.merged(mine) == normal(numbers(mine))
    assert intervals.difference(mine, others) == normal(numbers(mine) - numbers(others))
    assert intervals.common(mine, others) == normal(numbers(mine) & numbers(others))
    assert intervals.total(intervals.merged(mine)) == len(numbers(mine))
