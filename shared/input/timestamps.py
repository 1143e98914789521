"""Parses record timestamps into microseconds since the Unix epoch (UTC)."""

import re
from datetime import date

import numpy as np
import pyarrow as pa

from shared.timeunits import DAY, SECOND

_PAIRS = np.array([0, 2, 5, 8, 11, 14, 17, 20, 22, 24])
"""Positions of the pairs of digits: year (two pairs), month, day, hour, minute, second, fraction (three)."""
_MARKS = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":", 19: "."}
_FRACTION = 26
"""The end of the sixth digit of a fraction; further digits are dropped."""
_EPOCH = date(1970, 1, 1).toordinal()
_CLOCK = r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,30}))?)?"
_ZONE = r" ?(?:[Zz]|UTC|GMT|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?"
_ISO = re.compile(
    rf"(?P<year>\d{{4}})(?P<mark>[-/])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)(?:[Tt]| ){_CLOCK}"
    rf"(?:[ \u202f](?P<half>[AaPp])[Mm])?{_ZONE}",
    re.ASCII,
)
_US = re.compile(
    rf"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{{4}}),? {_CLOCK}"
    rf"(?:[ \u202f](?P<half>[AaPp])[Mm])?{_ZONE}",
    re.ASCII,
)
_RFC = re.compile(
    rf"(?:[A-Z][a-z]{{2}}, ?)?(?P<day>\d\d?) (?P<name>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_CLOCK}{_ZONE}",
    re.ASCII,
)
"""RFC 5322, as written by HTTP and .NET's format `R`."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SINCE = re.compile(
    r"(?:/Date\()?(?P<whole>\d{10}|\d{13}|\d{16}|\d{19})(?:\.(?P<fraction>\d{1,30}))?(?:\)/)?", re.ASCII
)
"""Since 1970: seconds, milliseconds, microseconds or nanoseconds by the number of digits (2001 to 2286)."""


def read(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the times in µs since 1970 UTC, and which of the texts are times. A null is not a time.

    Formats: `YYYY-MM-DDThh:mm:ss`, where digits beyond microseconds are dropped; `MM/DD/YYYY hh:mm:ss`, as in
    older resource logs; RFC 5322; each with `Z`, `UTC`, an offset or no zone (UTC), and optionally AM or PM;
    numbers since 1970: seconds (10 digits), milliseconds (13), microseconds (16), nanoseconds (19).
    """
    size = len(texts)
    times, good = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    _, offsets, data = texts.buffers()
    if not size or data is None:
        return times, good
    ends = np.frombuffer(offsets, np.int32, size + 1, texts.offset * 4)
    letters = np.frombuffer(data, np.uint8)
    lengths = ends[1:] - ends[:-1]
    for length in np.unique(lengths).tolist():
        # Without a fraction, or with a decimal point and 1 to 9 digits.
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
    """Reads `YYYY-MM-DDThh:mm:ss[.f…]Z`, all of one length, as rows of characters."""
    rows = letters.T
    last = len(rows) - 1
    marks = {**_MARKS, last: "Z"}  # where a fraction would begin, if there is none
    good = (rows[[*marks]] == np.array([[ord(mark)] for mark in marks.values()], np.uint8)).all(axis=0)
    if last < _FRACTION:
        rows = np.vstack([rows[:last], np.full((_FRACTION - last, len(letters)), ord("0"), np.uint8)])
    # Unsigned: characters below `0` wrap around to values far above 9.
    tens, ones, more = (rows[at] - ord("0") for at in (_PAIRS, _PAIRS + 1, slice(_FRACTION, last)))
    good &= (np.maximum(tens, ones) <= 9).all(axis=0) & (more <= 9).all(axis=0)  # noqa: PLR2004
    century, year, month, day, hour, minute, second, *fraction = (10 * tens + ones).astype(np.int64)
    year += 100 * century
    months = (year - 1970) * 12 + month - 1
    first = _days(months)
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= _days(months + 1) - first)  # noqa: PLR2004
    good &= (hour <= 23) & (minute <= 59) & (second <= 59)  # noqa: PLR2004
    times = (first + day - 1) * DAY + (hour * 3600 + minute * 60 + second) * SECOND
    return times + fraction[0] * 10_000 + fraction[1] * 100 + fraction[2], good


def _days(months: np.ndarray) -> np.ndarray:
    return months.view("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _read_one(text: str) -> int | None:  # noqa: PLR0911 - each return is another kind of error
    text = text.strip()
    if since := _SINCE.fullmatch(text):
        digits = since["whole"] + (since["fraction"] or "")
        return int(digits[:16].ljust(16, "0"))
    found = _ISO.fullmatch(text) or _US.fullmatch(text) or _RFC.fullmatch(text)
    if not found:
        return None
    parts = found.groupdict()
    try:
        month = _MONTHS.index(parts["name"]) + 1 if "name" in parts else int(parts["month"])
        day = date(int(parts["year"]), month, int(parts["day"])).toordinal() - _EPOCH
    except ValueError:
        return None
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"] or 0)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:  # noqa: PLR2004
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    shift = 0
    if sign := parts.get("sign"):
        hours, minutes = int(parts["hours"]), int(parts["minutes"] or 0)
        if hours > 23 or minutes > 59:  # noqa: PLR2004
            return None
        shift = (hours * 60 + minutes) * (-60 if sign == "-" else 60)
    if hour > 23 or minute > 59 or second > 59:  # noqa: PLR2004
        return None
    fraction = int((parts["fraction"] or "")[:6].ljust(6, "0"))
    return day * DAY + (hour * 3600 + minute * 60 + second - shift) * SECOND + fraction
