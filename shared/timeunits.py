"""Units of time in microseconds; all times in the program are microseconds since 1970 UTC."""

from datetime import timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def microseconds(span: timedelta) -> int:
    """Returns the number of microseconds in a span of time."""
    return span // timedelta(microseconds=1)
