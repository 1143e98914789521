"""AMQP values and sequences become JSON that says what they were."""

import orjson
import pytest

from shared.input.amqp_bodies import as_json


@pytest.mark.parametrize(
    ("body", "json"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (-(1 << 63), -(1 << 63)),
        (-(1 << 63) - 1, "-9223372036854775809"),
        ((1 << 64) - 1, (1 << 64) - 1),
        (1 << 64, "18446744073709551616"),
        ("\ud800é", "?é"),
        ("é".encode(), "é"),
        (bytearray(b"\xff"), {"base64": "/w=="}),
        (memoryview(b"a"), "a"),
        ([1, (b"x", {2: b"y"})], [1, ["x", {"2": "y"}]]),
        (1j, "1j"),
    ],
)
def test_each_type_has_one_form_in_json(body: object, json: object) -> None:
    found = orjson.loads(as_json("value", body, {b"key": body}, None))
    assert found == {
        "amqp_body_type": "value",
        "body": json,
        "application_properties": {"key": json},
        "annotations": {},
    }
