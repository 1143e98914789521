"""Hypothesis strategies for hostile bodies: JSON put together from fragments that no encoder would write."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import orjson
from hypothesis import strategies as st

from shared.tables.websocket_connection_logs import RECORDS

FIXTURES = Path(__file__).parents[2] / "fixtures"
TIME = "2026-11-20T09:59:00.1234567Z"
LOG = orjson.dumps(
    {
        "time": TIME,
        "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/A",
        "category": "WebSocketConnectionLogs",
        "correlationId": "c",
        "properties": {"eventName": "Opened", "source": "Client"},
    }
)
ROW = orjson.dumps({"Type": RECORDS.name, "TimeGenerated": TIME, "CorrelationId": "c", "EventName": "Opened"})
BASES = (LOG, LOG, LOG, ROW, b"{}", b'{"category":"GatewayLogs"}')

FRAGMENTS = (
    *(b"null", b"true", b"0", b"-0.0", b"1e999", b"-1e-999", b"NaN", b"Infinity", b"01", b"1.", b"9" * 31),
    *(b"18446744073709551616", b"-9223372036854775809", b"9" * 400, b"0.1" + b"1" * 400),
    *(b'""', b'" "', b'"\\u0000"', b'"a\\u0000b"', b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"'),
    *(b'"\xff\xfe"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\x00"', b'"\n"', b'"\\x"'),
    *(
        b'"../../../etc"',
        b'"..\\\\..\\\\x"',
        b'"/date=2026-01-01/hour=00/"',
        b'"%2e%2e%2f"',
        b'"CON"',
        b'"~"',
    ),
    *(b'"\\u001b[31m\\r\\ncommit {}"', b'"%s%n{0}${jndi:x}"', "\u202e\u2028\ufeff".encode().join([b'"'] * 2)),
    *(b'"' + b"x" * 5000 + b'"', b'"' + "\U0001f9f5".encode() * 500 + b'"', b'"' + b"\\u0041" * 300 + b'"'),
    *(b"[" * 40 + b"]" * 40, b"[" * 2000 + b"]" * 2000, b'{"a":' * 300 + b"1" + b"}" * 300, b"[" * 3000),
    *(b"{}", b"[]", b"[{}]", b'{"records":[]}', b'{"a":1,"a":2}', b'{"":{"":""}}', b'{"eventName":"x"}'),
    *(b'"{}"', b'"{\\"eventName\\":\\"x\\"}"', b'"[1,2]"', b'"null"', b'"{\\"eventName\\":NaN}"'),
    *(b'"WebSocketConnectionLogs"', b'"WEBSOCKETCONNECTIONLOGS"', b'"GatewayLogs"'),
    *(
        b'"2026-11-20T09:59:00Z"',
        b'"0000-00-00T00:00:00Z"',
        b'"2026-02-30T00:00:00Z"',
        b'"9999-12-31T23:59:59Z"',
    ),
    *(
        b'"2026-11-13T10:00:00Z"',
        b'"2026-11-20T24:00:00Z"',
        b'"2026-11-20T09:59:60Z"',
        b'"1969-12-31T23:59:59Z"',
    ),
    *(b'"2026-11-20T09:59:00+99:99"', b'"11/20/2026 09:59:00"', b'"\xd9\xa3"', b'"-2026-11-20T09:59:00Z"'),
    *(b'"1e3"', b'"12.5"', b'"nan"', b'"1_000"', b'"5\\u001c"', b'"\\u001f5"'),
    *(
        b'"' + b"1" * 4000 + b'x"',
        b'"' + b" " * 4000 + b'x"',
        b"\"{'a':'" + b"\\\\'" * 900 + b'"',
        b"{'a':'b'}",
    ),
    *(b"1e300", b"1e22", b"3e-324", b"[1e300,1.5]", b'{"a":-1.25}'),
)
"""Texts of JSON values, valid and invalid."""

PLACES = {
    name.removeprefix("properties.")
    for column in RECORDS.columns
    for name in (*column.resource_log, column.table_form)
    if name
}
KEYS = (
    *(orjson.dumps(name) for name in sorted(PLACES)),
    *(orjson.dumps(name.upper()) for name in sorted(PLACES)),
    *(b'"records"', b'"Records"', b'"properties"', b'"PROPERTIES"', b'"properties.eventName"', b'"category"'),
    *(
        b'""',
        b'"__proto__"',
        b'"_EventHubPartition"',
        b'"_RecordIndex"',
        b'"a/b~c"',
        b'"\\ud800"',
        b'"\\u0000"',
        b"1:",
    ),
    *(b'"../x"', b'"metricName"', b'"' + b"k" * 3000 + b'"', b'"\xff"'),
)


def _parses(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _mostly_json(texts: Sequence[bytes]) -> list[bytes]:
    """Invalid JSON makes the whole envelope unreadable, so few invalid values let more be tried."""
    return [text for text in texts for _ in range(20 if _parses(text) else 1)]


VALUE = st.one_of(
    st.sampled_from(_mostly_json(FRAGMENTS)),
    st.sampled_from(_mostly_json(FRAGMENTS)),
    st.text(max_size=6).map(lambda text: orjson.dumps(text.encode("utf-8", "replace").decode())),
    st.integers().map(lambda number: str(number).encode()),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number).encode()),
)


def _record(base: bytes, changes: Sequence[tuple[bytes, bytes]], *, inner: bool) -> bytes:
    """Adds members to the base, at its end or in its `properties`; keys may be repeated."""
    more = b",".join(key + b":" + value for key, value in changes)
    at = base.rfind(b"}}") if inner and b"}}" in base else len(base) - 1
    comma = b"," if more and base[at - 1 : at] != b"{" else b""
    return base[:at] + comma + more + base[at:]


RECORD = st.builds(
    _record,
    st.sampled_from(BASES),
    st.lists(st.tuples(st.sampled_from(_mostly_json(KEYS)), VALUE), max_size=2),
    inner=st.booleans(),
)
ELEMENTS = st.lists(st.sampled_from([RECORD] * 7 + [VALUE]).flatmap(lambda one: one), max_size=4)

CONTAINERS = (
    lambda elements: b'{"records":[' + b",".join(elements) + b"]}",
    lambda elements: b'{"records":[' + b",".join(elements) + b"]}",
    lambda elements: b"[" + b",".join(elements) + b"]",
    lambda elements: b'[{"records":[' + b",".join(elements) + b']},{"Records":[]}]',
    b"\n".join,
    lambda elements: b'{"records":[],"records":[' + b",".join(elements) + b"]}",
    lambda elements: b'{"records":' + b"".join(elements[:1]) + b"}",
    lambda elements: b"".join(b'{"records":[' + element + b"]}\r\n" for element in elements),
)
ENCODINGS = (
    *[lambda body, _: body] * 8,
    lambda body, _: gzip.compress(body, 1, mtime=0),
    lambda body, place: body[: place % (len(body) + 1)],
    lambda body, place: (
        body[: place % (len(body) + 1)] + bytes([place % 256]) + body[place % (len(body) + 1) + 1 :]
    ),
    lambda body, place: gzip.compress(body, 1, mtime=0)[: place % 60],
    lambda body, _: b"\xef\xbb\xbf \r\n" + body,
    lambda body, _: body.decode("latin-1").encode("utf-16"),
    lambda body, _: body + b"\x00\n",
)
BODY = st.builds(
    lambda elements, container, encoding, place: encoding(container(elements), place),
    ELEMENTS,
    st.sampled_from(CONTAINERS),
    st.sampled_from(ENCODINGS),
    st.integers(0, 2000),
)
"""One body, drawn from few choices so that many can be generated per second."""
CASES = [path.read_bytes() for path in sorted((FIXTURES / "inputs").glob("*.bin"))]
"""Bodies of kinds that real senders write, with changes."""
CHANGED = st.builds(
    lambda body, encoding, place: encoding(body, place),
    st.sampled_from(CASES),
    st.sampled_from(ENCODINGS),
    st.integers(0, 2000),
)
BODIES = st.lists(st.one_of(BODY, BODY, BODY, CHANGED), min_size=16, max_size=24)
