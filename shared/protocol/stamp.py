"""The id and the time that make one attempt to write a document unique. Pure data."""

from collections.abc import Callable
from dataclasses import dataclass

type Clock = Callable[[], int]
"""Returns the time in µs since 1970 UTC."""
type NewId = Callable[[], str]
"""Returns a new random id of 32 hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The identity of a commit, passed in from outside, so that equal plans give equal bytes."""

    commit_id: str
    """32 hexadecimal digits, different for every attempt to write a ledger."""
    now: int
    """The time in microseconds since 1970 UTC."""
