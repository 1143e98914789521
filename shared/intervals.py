"""Closed intervals of sequence numbers, and their text form."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

type Interval = tuple[int, int]
"""Sequence numbers from the first to the last, inclusive."""


def runs(numbers: Iterable[int]) -> Iterator[Interval]:
    """Yields the intervals formed by ascending numbers that are at least 0."""
    first, last = 0, -2
    for number in numbers:
        if number != last + 1:
            if last >= 0:
                yield first, last
            first = number
        last = number
    if last >= 0:
        yield first, last


def spanned(sequences: Iterable[int]) -> str:
    """Formats ascending sequence numbers as text, such as `5-9,12`: the metadata `sequences` of a file."""
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs(sequences))


def intervals(text: str) -> tuple[Interval, ...]:
    """Parses the text that `spanned` returns."""
    parts = (part.partition("-") for part in text.split(",") if part)
    return tuple((int(first), int(last or first)) for first, _, last in parts)


def within(intervals: Sequence[Interval], sequence: int) -> bool:
    """Whether one of the ascending intervals contains a sequence number."""
    at = bisect_right(intervals, sequence, key=_first) - 1
    return at >= 0 and sequence <= intervals[at][1]


def removed(intervals: list[Interval], sequence: int) -> None:
    """Removes one sequence number from ascending intervals, in place."""
    at = bisect_right(intervals, sequence, key=_first) - 1
    if at >= 0 and sequence <= intervals[at][1]:
        first, last = intervals[at]
        parts = ((first, sequence - 1), (sequence + 1, last))
        intervals[at : at + 1] = [part for part in parts if part[0] <= part[1]]


def without(intervals: Sequence[Interval], sequence: int) -> tuple[Interval, ...]:
    """Returns the ascending intervals without one sequence number."""
    left = list(intervals)
    removed(left, sequence)
    return tuple(left)


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Returns the same sequence numbers as ascending intervals that neither overlap nor touch."""
    done: list[Interval] = []
    for first, last in sorted(intervals):
        if done and first <= done[-1][1] + 1:
            done[-1] = (done[-1][0], max(done[-1][1], last))
        else:
            done.append((first, last))
    return tuple(done)


def difference(intervals: Iterable[Interval], others: Iterable[Interval]) -> tuple[Interval, ...]:
    """Returns ascending intervals of the sequence numbers that are in `intervals` but not in `others`."""
    left: list[Interval] = []
    cuts = merged(others)
    at = 0
    for first, last in merged(intervals):
        while at < len(cuts) and cuts[at][1] < first:
            at += 1
        begin, cut = first, at
        while cut < len(cuts) and cuts[cut][0] <= last:
            if begin < cuts[cut][0]:
                left.append((begin, cuts[cut][0] - 1))
            begin = cuts[cut][1] + 1
            cut += 1
        if begin <= last:
            left.append((begin, last))
    return tuple(left)


def common(intervals: Iterable[Interval], others: Iterable[Interval]) -> tuple[Interval, ...]:
    """Returns ascending intervals of the sequence numbers that are in both `intervals` and `others`."""
    mine = merged(intervals)
    return difference(mine, difference(mine, others))


def total(intervals: Iterable[Interval]) -> int:
    """Counts the sequence numbers in intervals that do not overlap."""
    return sum(last - first + 1 for first, last in intervals)


def _first(interval: Interval) -> int:
    return interval[0]
