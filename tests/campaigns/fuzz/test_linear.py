"""Reading a body takes time linear in its length, in every field and for every form."""

import time
from collections.abc import Callable
from itertools import product

import orjson
import pytest

from shared.capture.masking import Masks
from shared.input import shapes
from shared.input.envelope import Envelope
from shared.input.validation import validate
from shared.policies import ExportPolicy
from shared.tables.websocket_connection_logs import RECORDS
from tests.campaigns.fuzz.forms import FORMS
from tests.effort import effort
from tests.records import PARTITION, TEN
from tests.shared.export.plans import record

MOST, MOST_MASKED = effort(1 << 13, 1 << 16), effort(1 << 12, 1 << 14)
RATIO = 3
"""The maximum factor of time for twice the length: 2 is linear, 4 quadratic."""
PLACES = sorted(
    {
        name.removeprefix("properties.")
        for column in RECORDS.columns
        for name in (*column.resource_log, column.table_form)
        if name
    }
    | {"category", "properties", "records", "other"}
)
HOSTILE: dict[str, Callable[[int], str]] = {
    "digits": lambda size: "1" * size + "x",
    "digits_and_points": lambda size: "1." * (size // 2),
    "exponents": lambda size: "1e" * (size // 2),
    "fraction": lambda size: "." + "1" * size + "e",
    "spaces": lambda size: " " * size + "x",
    "slashes": lambda size: "/" * size,
    "subscriptions": lambda size: "/subscriptions/" * (size // 15),
    "times": lambda size: "2026-11-20T09:57:01." + "1" * size,
    "us_times": lambda size: "11/20/2026 10:57:01" + " " * size + "AM",
    "quotes": lambda size: '"' * size,
    "backslashes": lambda size: "\\" * size,
    "braces": lambda size: "{" * size,
    "json": lambda size: '{"a":' * (size // 5),
    "urls": lambda size: "http://a/" * (size // 9),
    "users": lambda size: "a@" * (size // 2),
    "hosts": lambda size: "a." * (size // 2),
    "colons": lambda size: "a:" * (size // 2),
    "underscores": lambda size: "a" + "_" * size,
    "hyphens": lambda size: "a-" * (size // 2),
    "capitals": lambda size: "A" * size,
    "single_quotes": lambda size: "'" * size,
    "emoji": lambda size: "\U0001f9f5" * (size // 4),
}


def cpu(run: Callable[[], object]) -> float:
    """Returns the minimum CPU seconds of two runs that remember no keys."""
    found = []
    for _ in range(2):
        shapes._cached_keys.clear()
        shapes._shapes.clear()
        began = time.thread_time()
        run()
        found.append(time.thread_time() - began)
    return min(found)


def check(run: Callable[[bytes], object], body: Callable[[int], bytes], most: int = MOST) -> None:
    """Doubles a body's length; measures again, alone, what takes too long."""
    size = 1024
    before = max(cpu(lambda: run(body(size))), 0.002)
    while size < most:
        size *= 2
        text = body(size)
        took = cpu(lambda text=text: run(text))  # type: ignore[misc]
        if took > RATIO * before:
            half = body(size // 2)
            before = max(before, *(cpu(lambda half=half: run(half)) for _ in range(3)))  # type: ignore[misc]
            took = min(cpu(lambda text=text: run(text)) for _ in range(3))  # type: ignore[misc]
            assert took <= RATIO * before, (
                f"{size} bytes take {took / before:.1f} times as long as half of them"
            )
        before = max(took, before)


def read(body: bytes) -> None:
    validate(PARTITION, [Envelope(0, TEN, body)], ExportPolicy())


def mask(body: bytes) -> None:
    Masks(b"secret").body(body, 1 << 30)


def field(place: str, hostile: str) -> Callable[[int], bytes]:
    value = HOSTILE[hostile]

    def body(size: int) -> bytes:
        text = value(size)
        outer = record("a") | {place: text}
        inner = record("a", properties={"eventName": "x", place: text})
        return orjson.dumps({"records": [outer, inner, {text: 1}]})

    return body


@pytest.mark.parametrize("hostile", HOSTILE)
def test_reading_a_field_takes_time_linear_in_its_length(hostile: str) -> None:
    for place in PLACES:
        check(read, field(place, hostile))


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("place", ["durationMs", "time", "resourceId", "other"])
def test_masking_a_field_takes_time_linear_in_its_length(place: str, hostile: str) -> None:
    check(mask, field(place, hostile), MOST_MASKED)


@pytest.mark.parametrize(("run", "form"), [*product([read], FORMS), *product([mask], FORMS)])
def test_reading_any_body_takes_time_linear_in_its_length(run: Callable[[bytes], object], form: str) -> None:
    check(run, FORMS[form], MOST if run is read else MOST_MASKED)
