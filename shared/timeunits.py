"""Units of time as counts of microseconds, in which the program keeps every time since 1970 UTC."""

from datetime import timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def microseconds(span: timedelta) -> int:
    """How many microseconds this span of time has."""
    return span // timedelta(microseconds=1)
