"""Closed intervals of sequence numbers, and how they are written as text."""

from collections.abc import Iterable, Iterator

type Interval = tuple[int, int]
"""Sequence numbers from the first to the last, both included."""


def runs(numbers: Iterable[int]) -> Iterator[Interval]:
    """The intervals that ascending numbers from 0 on make up."""
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
    """Ascending sequence numbers as text, such as `5-9,12`: the metadata `sequences` of a file."""
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs(sequences))


def intervals(text: str) -> tuple[Interval, ...]:
    """The intervals that `spanned` wrote."""
    parts = (part.partition("-") for part in text.split(","))
    return tuple((int(first), int(last or first)) for first, _, last in parts)


def within(intervals: Iterable[Interval], sequence: int) -> bool:
    """Whether one of the intervals has the sequence number."""
    return any(first <= sequence <= last for first, last in intervals)


def without(intervals: Iterable[Interval], sequence: int) -> tuple[Interval, ...]:
    """The intervals less one sequence number."""
    parts: list[Interval] = []
    for first, last in intervals:
        if first <= sequence <= last:
            parts += [part for part in ((first, sequence - 1), (sequence + 1, last)) if part[0] <= part[1]]
        else:
            parts.append((first, last))
    return tuple(parts)
