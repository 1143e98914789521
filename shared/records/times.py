"""Reads the times of records: text to microseconds since 1970 UTC."""

import re
from datetime import date

import numpy as np
import pyarrow as pa

_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_MARKS = {4: b"-", 7: b"-", 10: b"T", 13: b":", 16: b":"}
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_EPOCH = date(1970, 1, 1).toordinal()
_CLOCK = r"(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?"
_ISO = re.compile(
    rf"(?P<year>\d{{4}})-(?P<month>\d\d)-(?P<day>\d\d)[Tt ]{_CLOCK}"
    r"(?:[Zz]|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))?",
    re.ASCII,
)
_US = re.compile(
    rf"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{{4}}) {_CLOCK}(?: (?P<half>[AaPp])[Mm])?", re.ASCII
)


def read(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The times, in µs since 1970 UTC, and which of the texts are times at all; a null is none.

    Forms: `YYYY-MM-DDThh:mm:ss` with up to 9 digits of a second, which are cut to 6, and `Z`, an offset, or
    neither (UTC); `MM/DD/YYYY hh:mm:ss` with or without AM or PM (UTC; older resource logs have it).
    """
    size = len(texts)
    times, good = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    _, offsets, data = texts.buffers()
    if not size or data is None:
        return times, good
    ends = np.frombuffer(offsets, np.int32, size + 1, texts.offset * 4)
    letters = np.frombuffer(data, np.uint8)
    lengths = np.diff(ends)
    for length in np.unique(lengths).tolist():
        # Without a fraction, or with a point and 1 to 9 digits.
        if length == 20 or 22 <= length <= 30:  # noqa: PLR2004
            rows = np.flatnonzero(lengths == length)
            if len(rows) == size:
                block = letters[ends[0] : ends[-1]].reshape(size, length)
            else:
                block = letters[ends[:-1][rows][:, None] + np.arange(length)]
            times[rows], good[rows] = _read_block(block)
    for row in np.flatnonzero(~good & (lengths > 0)).tolist():
        time = _read_one(texts[row].as_py() or "")
        if time is not None:
            times[row], good[row] = time, True
    return times, good


def _read_block(letters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reads `YYYY-MM-DDThh:mm:ss[.f…]Z`, all of one length, letters in columns."""
    columns = letters.T
    last = len(columns) - 1
    fraction = range(20, last)
    numbers = {at: columns[at] - ord("0") for at in (*_DIGITS, *fraction)}
    good = columns[last] == ord("Z")
    for at, mark in _MARKS.items() if not fraction else {**_MARKS, 19: b"."}.items():
        good &= columns[at] == ord(mark)
    for number in numbers.values():
        good &= number <= 9  # noqa: PLR2004 - unsigned: what is below `0` is far above 9
    wide = {at: number.astype(np.int64) for at, number in numbers.items() if at < 26}  # noqa: PLR2004
    year = wide[0] * 1000 + wide[1] * 100 + wide[2] * 10 + wide[3]
    month, day, hour, minute, second = (wide[at] * 10 + wide[at + 1] for at in (5, 8, 11, 14, 17))
    months = (year - 1970) * 12 + month - 1
    first = _days(months)
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= _days(months + 1) - first)  # noqa: PLR2004
    good &= (hour <= 23) & (minute <= 59) & (second <= 59)  # noqa: PLR2004
    times = (first + day - 1) * _DAY + (hour * 3600 + minute * 60 + second) * _SECOND
    for at in fraction[:6]:
        times += wide[at] * 10 ** (25 - at)
    return times, good


def _days(months: np.ndarray) -> np.ndarray:
    return months.view("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _read_one(text: str) -> int | None:
    found = _ISO.fullmatch(text) or _US.fullmatch(text)
    if not found:
        return None
    parts = found.groupdict()
    try:
        day = date(int(parts["year"]), int(parts["month"]), int(parts["day"])).toordinal() - _EPOCH
    except ValueError:
        return None
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"])
    if half := parts.get("half"):
        if not 1 <= hour <= 12:  # noqa: PLR2004
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    shift = 0
    if sign := parts.get("sign"):
        hours, minutes = int(parts["hours"]), int(parts["minutes"])
        if hours > 23 or minutes > 59:  # noqa: PLR2004
            return None
        shift = (hours * 60 + minutes) * (-60 if sign == "-" else 60)
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004
        return None
    fraction = int((parts["fraction"] or "")[:6].ljust(6, "0"))
    return day * _DAY + (hour * 3600 + minute * 60 + second - shift) * _SECOND + fraction
