"""A redacted body has no secret in any escape or at any depth, and stays valid JSON."""

import json
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from shared.input.redacted_bodies import redact_body, redact_message
from shared.policies import RedactionPolicy
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.input.test_redaction import HARMLESS, SECRETS

POLICY = RedactionPolicy(bodies="redacted")
URL = "wss://h/chat?room=7&access_token=hunter2hunter2"
CLEAN = "wss://h/chat?room=7&access_token=[redacted:parameter]"


def redacted(body: bytes, policy: RedactionPolicy = POLICY) -> str:
    text = redact_body(body, policy, [RECORDS]).text
    assert text is not None
    return text


def escaped(value: object) -> bytes:
    """Escapes like .NET's serializer: `&`, `+` and `<` as `\\u0026` and so on."""
    text = json.dumps(value)
    for character in "&+<>'":
        text = text.replace(character, f"\\u{ord(character):04X}")
    return text.encode()


def nested(value: object) -> bytes:
    """JSON in a string of JSON."""
    return json.dumps({"properties": json.dumps({"source": value})}).encode()


WRITERS: dict[str, Callable[[Any], bytes]] = {
    "compact": orjson.dumps,
    "spaced": lambda value: json.dumps(value, indent=2).encode(),
    "escaped": escaped,
    "nested": nested,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("secret", SECRETS)
def test_every_secret_is_removed_however_the_text_was_written(writer: str, secret: str) -> None:
    body = WRITERS[writer]({"source": secret, "destination": "wss://host/path"})
    value = orjson.loads(redacted(body))
    if writer == "nested":
        value = orjson.loads(value["properties"])["source"]
    if not secret.startswith("{"):
        assert value == {"source": SECRETS[secret], "destination": "wss://host/path"}
    else:
        assert "hunter2" not in str(value)
        assert 'a\\"b' not in str(value)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_body_without_secrets_stays_byte_for_byte(writer: str) -> None:
    body = WRITERS[writer]([*HARMLESS, 1.0, 2**60, "ü", {"a": 1}])
    found = redact_body(body, POLICY, [RECORDS])
    assert found.text == body.decode()
    assert not found.replaced


def test_text_around_a_secret_stays_unchanged() -> None:
    body = f'{{"n":1.50, "big":123456789012345678901,"n":2,"u":{json.dumps(URL)}, "e":"\\u00fc"}}'
    assert redacted(body.encode()) == body.replace(URL, CLEAN)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"source":"{URL}","cut',
        f'{{"source":"{URL}',
        f"not json {URL}",
        f'a stray " quote {URL}',
        f'{{"source":"{URL}\\',
        f'{{"bad":"\\x {URL}"}}',
        f'{{"lone":"\\ud800 {URL}"}}',
    ],
)
def test_text_other_than_json_is_redacted_as_text(body: str) -> None:
    assert "hunter2" not in redacted(body.encode())
    assert "[redacted:parameter]" in redacted(body.encode())


@pytest.mark.parametrize("body", [b"\x1f\x8b\x08gzip", "ü".encode("latin-1"), b"\xff\xfe{\x00}\x00"])
def test_nothing_is_kept_of_binary_bodies(body: bytes) -> None:
    assert redact_body(body, POLICY, [RECORDS]).text is None


@pytest.mark.parametrize("writer", ["compact", "spaced", "escaped", "nested"])
def test_hashed_and_dropped_columns_are_removed_wherever_their_keys_are(writer: str) -> None:
    policy = RedactionPolicy("off", ("Source",), b"k" * 16, ("Error",), bodies="redacted")
    record = {"source": "10.1.2.3", "properties": {"Error": "alice", "error": 5, "destination": "wss://h"}}
    found = redact_body(WRITERS[writer](record), policy, [RECORDS])
    assert found.text is not None
    orjson.loads(found.text)
    assert not {one for one in ("10.1.2.3", "alice", ": 5", ":5") if one in found.text}
    assert "wss://h" in found.text
    assert found.replaced["column"] >= 1


def test_messages_of_rejections_quote_no_value() -> None:
    assert redact_message('expected JSON, came "abc\\"def...: unexpected end') == (
        "expected JSON, came [redacted:value]"
    )
    assert redact_message('expected a string, came "abc" in 5') == (
        "expected a string, came [redacted:value] in 5"
    )
    assert redact_message("expected a string, came 5") == "expected a string, came 5"


@pytest.mark.parametrize("unit", ['"', '\\"', '"\\', '{"a":"', "[", '"a"', "?token=", '"token":"', "\\"])
def test_hostile_text_takes_time_in_proportion_to_its_length(unit: str) -> None:
    def seconds(count: int) -> float:
        body = (unit * count).encode()
        began = time.process_time()
        redact_body(body, POLICY, [RECORDS])
        return time.process_time() - began

    seconds(100)
    short = min(seconds(4_000) for _ in range(3))
    assert min(seconds(32_000) for _ in range(2)) < 40 * short + 0.01
