"""The timestamp formats used in generated records."""

from collections.abc import Callable
from typing import NamedTuple

SECOND = 1_000_000


class Way(NamedTuple):
    """One way to write a time."""

    write: Callable[[str], str]
    """Converts ISO 8601 with six fraction digits and no zone."""
    unit: int = 1
    """The resolution in microseconds."""
    offset: int = 0
    """Microseconds by which its clock is ahead of UTC."""


# Digits after the sixth test that they are dropped.
WAYS = {
    "seven_digits": Way(lambda text: f"{text}7Z"),
    "six_digits": Way(lambda text: f"{text}Z"),
    "nine_digits": Way(lambda text: f"{text}987Z"),
    "three_digits": Way(lambda text: f"{text[:23]}Z", unit=1_000),
    "whole_seconds": Way(lambda text: f"{text[:19]}Z", unit=SECOND),
    "ahead_of_utc": Way(lambda text: f"{text}7+05:30", offset=19_800 * SECOND),
    "behind_utc": Way(lambda text: f"{text}7-08:00", offset=-28_800 * SECOND),
    "month_first": Way(lambda text: f"{text[5:7]}/{text[8:10]}/{text[:4]} {text[11:19]}", unit=SECOND),
}
