"""Computes when a timer fires, from a six-field NCRONTAB expression or a time span.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions. Times are
in UTC, as in Azure without `WEBSITE_TIME_ZONE`. It supports `*`, numbers, ranges, steps and lists, but not
the names of months and days.
"""

from datetime import datetime, timedelta
from typing import Protocol

from local.emulators.functions_host.configuration import AppError, seconds

# Second, minute, hour, day of the month, month, day of the week (0 is Sunday).
RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


class Schedule(Protocol):
    """When a timer fires next."""

    def after(self, moment: datetime) -> datetime:
        """Returns the first occurrence after `moment`."""


class Every:
    """A constant interval, counted from the end of the previous invocation."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval

    def after(self, moment: datetime) -> datetime:
        """Returns the first occurrence after `moment`."""
        return moment + self._interval


class Cron:
    """An NCRONTAB expression; every field must match, including both fields for days."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) != len(RANGES):
            raise AppError(f"{expression!r} is not a schedule: expected six fields or HH:MM:SS")
        self._expression = expression
        self._allowed = [
            _values(field, low, high, expression) for field, (low, high) in zip(fields, RANGES, strict=True)
        ]

    def after(self, moment: datetime) -> datetime:
        """Returns the first occurrence after `moment`; raises `AppError` if none is within five years."""
        second, minute, hour, day, month, weekday = self._allowed
        at = moment.replace(microsecond=0) + timedelta(seconds=1)
        limit = moment + timedelta(days=5 * 366)
        while at < limit:
            if at.month not in month or at.day not in day or at.isoweekday() % 7 not in weekday:
                at = at.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif at.hour not in hour:
                at = at.replace(minute=0, second=0) + timedelta(hours=1)
            elif at.minute not in minute:
                at = at.replace(second=0) + timedelta(minutes=1)
            elif at.second not in second:
                at += timedelta(seconds=1)
            else:
                return at
        raise AppError(f"{self._expression!r} never fires")


def parse(text: str) -> Schedule:
    """Parses the `schedule` of a timer trigger; raises `AppError` if it is not a schedule."""
    return Every(timedelta(seconds=seconds(text))) if ":" in text else Cron(text)


def _values(field: str, low: int, high: int, expression: str) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        try:
            begin = low if first == "*" else int(first)
            end = int(last) if dash else (high if first == "*" or step else begin)
            values = range(begin, end + 1, int(step or 1))
        except ValueError:
            raise AppError(
                f"{part!r} in {expression!r} is not a number, range, step or list of them"
            ) from None
        if not values or begin < low or end > high:
            raise AppError(f"{part!r} in {expression!r} is outside {low} to {high}")
        found.update(values)
    return frozenset(found)
