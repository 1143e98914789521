from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input import timestamps
from shared.timeunits import SECOND

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ANY = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda time: time.replace(tzinfo=UTC))  # noqa: DTZ001
BASE = 1893553445 * SECOND


def read(*texts: str | None) -> list[int | None]:
    found, good = timestamps.read(pa.array(texts, pa.string()))
    return [int(time) if fine else None for time, fine in zip(found, good, strict=True)]


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("2030-01-02T03:04:05Z", 0),
        ("2030-01-02T03:04:05.1Z", 100_000),
        ("2030-01-02T03:04:05.123456999Z", 123_456),
        ("2030-01-02T03:04:05.9999999Z", 999_999),
        ("2030-01-02t03:04:05.5z", 500_000),
        ("2030-01-02 03:04:05", 0),
        ("2030-01-02T03:04:05.1234567", 123_456),
        ("2030-01-02T08:34:05.5+05:30", 500_000),
        ("2030-01-01T19:04:05-0800", 0),
        ("01/02/2030 03:04:05", 0),
        ("1/2/2030 3:04:05 AM", 0),
        ("01/02/2030 03:04:05.5 am", 500_000),
    ],
)
def test_every_form_of_a_time_is_read(text: str, fraction: int) -> None:
    assert read(text) == [BASE + fraction]


def test_noon_and_midnight_have_twelve_hours() -> None:
    assert read("1/2/2030 12:00:00 AM", "1/2/2030 12:00:00 PM", "1/2/2030 11:00:00 PM") == read(
        "2030-01-02T00:00:00Z", "2030-01-02T12:00:00Z", "2030-01-02T23:00:00Z"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yesterday",
        "2030-01-02",
        "2030-13-01T00:00:00Z",
        "2030-00-01T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "2029-02-29T00:00:00.0000000Z",
        "0000-01-01T00:00:00Z",
        "2030-01-02T24:00:00Z",
        "2030-01-02T03:60:00Z",
        "2030-01-02T03:04:60Z",
        "2030-01-02T03:04:05.Z",
        "2030-01-02T03:04:05.123456xZ",
        "2030-01-02T03:04:05.12345678xZ",
        "2030-01-02T03:04:05.1234567X",
        "2030-01-02T03:04:05+24:00",
        "٢٠٣٠-01-02T03:04:05Z",
        "13/32/2030 00:00:00",
        "1/2/2030 13:00:00 PM",
        "1/2/2030 0:00:00 AM",
    ],
)
def test_other_texts_are_not_read_as_times(text: str) -> None:
    assert read(text) == [None]


def test_valid_times_are_read_next_to_invalid_ones() -> None:
    good = "2030-01-02T03:04:05.0000000Z"
    assert read(good, None, "2030-13-02T03:04:05.0000000Z", "01/02/2030 03:04:05", good, "x", good[:20]) == [
        BASE,
        None,
        None,
        BASE,
        BASE,
        None,
        None,
    ]
    assert read() == []
    assert read(None) == [None]


@given(
    st.lists(
        st.tuples(ANY, st.integers(0, 9), st.integers(-14 * 60, 14 * 60), st.sampled_from("Zo/")), max_size=20
    )
)
def test_a_formatted_time_is_parsed_to_the_same_time(cases: list[tuple[datetime, int, int, str]]) -> None:
    texts, expected = [], []
    for time, digits, offset, form in cases:
        whole = microseconds(time) // SECOND * SECOND
        fraction = f"{time.microsecond:06d}000"[:digits]
        expected.append(whole + int(fraction[:6].ljust(6, "0")))
        fraction = "." + fraction if digits else ""
        shifted = time.astimezone(timezone(timedelta(minutes=offset))) if form == "o" else time
        clock = f"{shifted:%H:%M:%S}{fraction}"
        day = f"{shifted.year:04d}-{shifted:%m-%d}"
        sign, (hours, minutes) = "+-"[offset < 0], divmod(abs(offset), 60)
        zone = "Z" if form == "Z" else f"{sign}{hours:02d}:{minutes:02d}"
        texts.append(f"{day}T{clock}{zone}" if form != "/" else f"{shifted:%m/%d}/{shifted.year:04d} {clock}")
    assert read(*texts) == expected


@given(st.lists(st.text(max_size=40) | st.text("0123456789-:.TZ/ +", min_size=15, max_size=32)))
def test_any_text_is_read_without_an_error(texts: list[str]) -> None:
    found, good = timestamps.read(pa.array(texts, pa.string()))
    assert len(found) == len(good) == len(texts)
    assert good.dtype == np.bool_


@pytest.mark.parametrize(
    ("text", "shift"),
    [
        ("2030-01-02T03:04:05.0000000000Z", 0),
        ("2030-01-02 03:04:05", 0),
        ("2030-01-02 03:04:05 UTC", 0),
        ("2030-01-02T04:04:05+01", 0),
        ("2030-01-02T03:04Z", -5),
        ("2030/01/02 03:04:05", 0),
        ("01/02/2030 04:04:05 AM +01:00", 0),
        ("1/2/2030 3:04:05\u202fAM", 0),
        ("1/2/2030, 3:04:05 AM -00:30", 1800),
        ("Wed, 02 Jan 2030 03:04:05 GMT", 0),
        ("1893553445", 0),
        ("1893553445000", 0),
        ("1893553445000000", 0),
        ("1893553445000000000", 0),
        ("1893553445.0", 0),
        ("/Date(1893553445000)/", 0),
    ],
)
def test_times_are_read_as_other_logs_write_them(text: str, shift: int) -> None:
    assert read(text) == [BASE + shift * SECOND]
