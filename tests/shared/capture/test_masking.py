"""Masking removes identifiers, is consistent, and leaves a body that is read like the original."""

import gzip
import itertools
import json
import re
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.capture.masking import Masks
from shared.input.envelope import Envelope
from shared.input.gzip_bodies import inflate
from shared.input.rejections import Unreadable
from shared.input.validation import Validated, validate
from shared.policies import ExportPolicy
from shared.tables.table import Role
from shared.tables.websocket_connection_logs import RECORDS
from tests.campaigns.fuzz.strategies import BODIES
from tests.effort import effort
from tests.records import PARTITION, TEN

FIXTURES = Path(__file__).parents[2] / "fixtures"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "records" / "expected.json").read_text())
LIMIT = 1 << 26
ENQUEUED = 1893553800 * 1_000_000  # 2030-01-02T03:10:00Z
GUID = "0b5f3c6e-8f5d-4f0e-9a53-3d1c2b7a9e10"
RESOURCE = f"/SUBSCRIPTIONS/{GUID}/RESOURCEGROUPS/RG-PROD/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/CONTOSO"
LOG = {
    "time": "2030-01-02T03:04:05.1234567Z",
    "resourceId": RESOURCE,
    "category": "WebSocketConnectionLogs",
    "operationName": "Microsoft.ApiManagement/WebSocketConnectionLogs",
    "location": "West Europe",
    "correlationId": GUID,
    "properties": {
        "eventName": "ConnectionClosed",
        "source": "Client",
        "destination": "wss://chat.contoso.com:8443/rooms/17?user=alice",
        "error": f"The client 203.0.113.77 closed the connection {GUID} with status 1006, says alice.smith",
    },
}
seeds = itertools.count()


def masks(days: int = 0, secret: bytes = b"secret") -> Masks:
    return Masks(secret, days)


def masked(value: Any, days: int = 0) -> Any:
    return orjson.loads(masks(days).body(orjson.dumps(value), LIMIT))


def result(body: bytes, enqueued: int = ENQUEUED) -> Validated:
    return validate(PARTITION, [Envelope(7, enqueued, body)], ExportPolicy())


def shape(validated: Validated) -> Any:
    """Returns everything that validation found, except for texts."""
    inputs = [column.name for column in RECORDS.of(Role.INPUT)] + ["_RecordIndex"]
    filled = [
        {name: value is not None and (bool(value) or value != "") for name, value in row.items()}
        for row in validated.table.select(inputs).to_pylist()
    ]
    rejections = [
        [(one.index, one.reason) for one in rejected.rejections] + [*rejected.indexes]
        for rejected in validated.rejected
    ]
    times = validated.table["TimeGenerated"].to_pylist()
    return filled, rejections, times, validated.records, validated.skipped


def test_a_masked_record_keeps_its_structure_and_loses_identities() -> None:
    new = masked({"records": [LOG]})["records"][0]
    kept = ("time", "category", "operationName", "location")
    assert {key: new[key] for key in kept} == {key: LOG[key] for key in kept}
    inside = new["properties"]
    assert (inside["eventName"], inside["source"]) == ("ConnectionClosed", "Client")
    assert re.fullmatch(
        r"/SUBSCRIPTIONS/[0-9a-f-]{36}/RESOURCEGROUPS/[A-Z]{2}-[A-Z]{4}/PROVIDERS/MICROSOFT.APIMANAGEMENT/"
        r"SERVICE/[A-Z]{7}",
        new["resourceId"],
    )
    assert re.fullmatch(
        r"wss://\w{4}\.\w{7}\.\w{3}\.example:8443/\w{5}/\d\d\?\w{4}=\w{5}", inside["destination"]
    )
    assert re.fullmatch(
        r"The client 192\.0\.2\.\d+ closed the connection [0-9a-f-]{36} with status 1006, \w+ \S+",
        inside["error"],
    )


def test_equal_values_get_equal_masks_in_any_place_and_case() -> None:
    new = masked({"records": [LOG, LOG | {"resourceId": RESOURCE.lower()}]})["records"]
    subscription = new[0]["resourceId"].split("/")[2]
    assert UUID(subscription).version == 4
    assert subscription != GUID
    assert new[0]["correlationId"] == subscription
    assert f" {subscription} " in new[0]["properties"]["error"]
    assert new[1]["resourceId"] == new[0]["resourceId"].lower()
    service = new[1]["resourceId"].rpartition("/")[2]
    assert f".{service}." in new[0]["properties"]["destination"], "a name inside of an address"
    assert masked({"a": "x-1"}) == masked({"a": "x-1"})


def test_another_secret_gives_other_names() -> None:
    body = orjson.dumps(LOG)
    assert masks(secret=b"a").body(body, LIMIT) != masks(secret=b"b").body(body, LIMIT)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (GUID, r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}"),
        (GUID.upper().replace("-", ""), r"[0-9A-F]{32}"),
        ("10.1.2.3", r"192\.0\.2\.\d+"),
        ("10.1.2.3:443", r"192\.0\.2\.\d+:\d\d\d"),
        ("2a02:8109::17", r"2001:db8:[0-9a-f:]+"),
        ("[2a02:8109::17]:443", r"\[2001:db8:[0-9a-f:]+\]:\d\d\d"),
        ("contoso.azure-api.net", r"[a-z]{7}\.azure-api\.net"),
        ("api.contoso.com", r"[a-z]{3}\.[a-z]{7}\.[a-z]{3}\.example"),
        (
            "https://contoso.com/a/b?c=d#e",
            r"https://[a-z]{7}\.[a-z]{3}\.example/\w/\w\?\w=\w#\w",
        ),
        ("alice.smith@contoso.com", r"[a-z]{5}\.[a-z]{5}@[a-z]{7}\.[a-z]{3}\.example"),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln_-x",
            r"\w{20}\.\w{15}\.[\w-]{7}",
        ),
        ("c2VjcmV0+/==", r"[A-Za-z0-9]{8}\+/=="),
        ("Ünïcode-名前", "[^ -~][a-z][^ -~][a-z]{4}-[^ -~]{2}"),
        ("+49 (30) 901820", r"\+\d\d \(\d\d\) \d{6}"),
    ],
)
def test_a_masked_value_keeps_its_form(value: str, form: str) -> None:
    new = masked({"anything": value})["anything"]
    assert new != value
    assert re.fullmatch(form, new), new


@pytest.mark.parametrize(
    "value",
    [
        {"level": 4, "isRequestSuccess": True, "x": None, "y": -1.5e3, "Sku": "Developer", "z": ""},
        {"DeploymentVersion": "0.99.1.0", "durationMs": 123456789012, "Level": "Informational"},
        {
            "a": "true",
            "b": "NULL",
            "durationMs": "12",
            "time": "01/02/2030 03:04:05",
            "c": "2030-01-02T03:04:05Z",
        },
        {"error": "WebSocketException: the remote endpoint closed the connection, code 1006"},
    ],
)
def test_values_that_identify_nobody_stay(value: Any) -> None:
    assert masked(value) == value


@pytest.mark.parametrize(
    "value",
    [
        {
            "category": GUID,
            "eventName": "mail alice@contoso.com",
            "location": "10.1.2.3",
            "level": "123456789",
        },
        {"sku": "https://contoso.com", "type": "x" * 200},
    ],
)
def test_under_a_key_for_names_only_names_stay(value: dict[str, str]) -> None:
    new = masked(value)
    assert all(new[key] != text for key, text in value.items())


def test_long_numbers_are_masked() -> None:
    new = masks().body(b'{"phone": 4930901820, "at": [52.5200066, 1], "exp": -1.2345678e+07}', LIMIT).decode()
    assert re.fullmatch(r'\{"phone": [1-9]\d{9}, "at": \[\d\d\.\d{7}, 1\], "exp": -\d\.\d{7}e\+07\}', new), (
        new
    )
    assert not re.search("4930901820|52.5200066|1.2345678", new)


def test_keys_that_look_like_keys_stay_and_are_reported() -> None:
    mask = masks()
    body = orjson.dumps(
        {
            "x-forwarded-for": 1,
            "TenantId": "",
            GUID: 1,
            "alice@contoso.com": 2,
            "10.1.2.3": 3,
            "Jane Doe": 4,
            "a1b2c3d4e5f6g7": 5,
        }
    )
    new = orjson.loads(mask.body(body, LIMIT))
    assert [*new][:2] == ["x-forwarded-for", "TenantId"]
    assert not {GUID, "alice@contoso.com", "10.1.2.3", "Jane Doe", "a1b2c3d4e5f6g7"} & set(new)
    assert dict(mask.keys) == {"x-forwarded-for": 1}


def test_unmasked_values_are_reported() -> None:
    mask = masks()
    mask.body(orjson.dumps([LOG, LOG]), LIMIT)
    assert mask.kept["eventname", "ConnectionClosed"] == 2
    assert [text for key, text in mask.kept if key == "error"]
    assert mask.keys == {}


def test_text_that_is_json_is_masked_as_such() -> None:
    record = LOG | {"properties": json.dumps(LOG["properties"])}
    inside = json.loads(masked(record)["properties"])
    assert inside == masked(LOG)["properties"]


def test_nothing_but_texts_changes() -> None:
    text = '\ufeff\r\n {"Records" :[ {"B":"ab\\/c", "a":1.50, "A" : "x\\u00e9y","":null}\t]}\n\n'
    new = masks().body(text.encode(), LIMIT).decode()
    start, end = '\ufeff\r\n {"Records" :[ {"B":"', '","":null}\t]}\n\n'
    assert new.startswith(start)
    assert new.endswith(end)
    middle = new[len(start) : -len(end)]
    assert re.fullmatch(r'[a-z]{2}\\/[a-z]", "a":1.50, "A" : "[a-z]\\u03[bc][0-9a-f][a-z]', middle)


def test_days_shift_and_clocks_stay() -> None:
    record = {
        "time": "2030-01-02T03:04:05.1234567Z",
        "x": "01/02/2030 03:04:05",
        "error": "at 2030-01-02 03:04:05",
    }
    assert masked(record, days=2)["time"] == "2029-12-31T03:04:05.1234567Z"
    assert masked(record | {"time": record["x"]}, days=2)["time"] == "12/31/2029 03:04:05"
    assert masked(record, days=2)["error"] == "at 2029-12-31 03:04:05"
    impossible = {"time": "2030-02-30T00:00:00Z"}
    assert masked(impossible, days=2) == impossible


def test_compressed_bodies_stay_compressed_and_damaged_ones_are_refused() -> None:
    body = gzip.compress(orjson.dumps(LOG))
    new = masks().body(body, LIMIT)
    assert gzip.decompress(new) == masks().body(orjson.dumps(LOG), LIMIT)
    with pytest.raises(Unreadable):
        masks().body(body[:-9], LIMIT)


@pytest.mark.parametrize("days", [0, 1000])
@pytest.mark.parametrize("name", EXPECTED)
def test_a_masked_fixture_is_read_like_the_original(name: str, days: int) -> None:
    body, enqueued = (FIXTURES / "records" / name).read_bytes(), EXPECTED[name]["enqueued"]
    try:
        new = masks(days).body(body, LIMIT)
    except Unreadable:
        assert "gzip" in name
        return
    before, after = shape(result(body, enqueued)), shape(result(new, enqueued - days * 86_400_000_000))
    assert (before[:2], before[3:]) == (after[:2], after[3:])
    shifted = [(one - other).total_seconds() for one, other in zip(before[2], after[2], strict=True)]
    assert set(shifted) <= {days * 86_400}


@settings(max_examples=effort(15, 40), suppress_health_check=list(HealthCheck))
@given(BODIES)
def test_any_masked_body_is_read_like_the_original(bodies: list[bytes]) -> None:
    for body in bodies:
        try:
            new = masks().body(body, LIMIT)
        except Unreadable:
            continue
        assert shape(result(new, TEN)) == shape(result(body, TEN)), (body, new)


@pytest.mark.parametrize("form", [b"%b\0\n", b"\x1e%b\n\x1e%b\n", b"%b%b", b'{"records":[NaN]}%b'])
@pytest.mark.parametrize(
    "time", [b"11/20/2026 10:57:01 AM +01:00", b"11/20/2026 10:57:01", b"2026-11-20T09:57:01Z"]
)
def test_times_in_text_other_than_json_stay_times(form: bytes, time: bytes) -> None:
    record = b'{"time": "%b", "category": "WebSocketConnectionLogs", "correlationId": "c-1"}' % time
    body = form.replace(b"%b", record)
    new = masks().body(body, LIMIT)
    assert shape(result(new, TEN)) == shape(result(body, TEN)), new
    assert b'"c-1"' not in new


HOSTILE = sorted(
    path for path in (FIXTURES / "hostile").glob("*.*") if not re.search("objects|100000", path.name)
)


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.name)
def test_hostile_bodies_take_seconds_and_are_read_as_before(path: Path) -> None:
    body = path.read_bytes()
    began = time.monotonic()
    try:
        new = masks().body(body, LIMIT)
    except Unreadable:
        return
    assert time.monotonic() - began < 60
    before, after = result(body, TEN), result(new, TEN)
    assert (before.table.num_rows, before.skipped) == (after.table.num_rows, after.skipped)
    assert [one.counts for one in before.rejected] == [one.counts for one in after.rejected]


label = st.text("abcdefghijklmnopqrstuvwxyz", min_size=7, max_size=12)
identifying = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda one: one.hex.upper()),
    st.ip_addresses(v=4).filter(lambda one: one.is_global).map(str),
    st.ip_addresses(v=6).filter(lambda one: one.is_global).map(str),
    label.map(lambda one: f"{one}.com"),
    label.map(lambda one: f"wss://{one}.azure-api.net/{one}"),
    label.map(lambda one: f"{one}@{one}.org"),
    label.map(lambda one: f"/subscriptions/{one}/resourceGroups/{one}/providers/Microsoft.X/service/{one}"),
    st.integers(10**8, 10**14).map(str),
    st.text(st.characters(codec="utf-8", categories=["Lu", "Ll", "Lo", "Nd"]), min_size=7, max_size=20),
)
keys = st.sampled_from(
    ["error", "source", "correlationId", "resourceId", "category", "anything", "time", "url"]
)


PUBLIC = {"subscriptions", "resourcegroups", "providers", "microsoft.x", "microsoft", "service", "azure-api"}


def parts(value: str) -> set[str]:
    """Returns the parts of a value that would identify somebody."""
    return ({one for one in re.split(r"[/:@.]", value.lower()) if len(one) >= 7} | {value.lower()}) - PUBLIC


@given(st.lists(st.tuples(keys, identifying), min_size=1, max_size=8), st.booleans(), st.booleans())
def test_nothing_that_identifies_remains(values: list[tuple[str, str]], nested: bool, keyed: bool) -> None:  # noqa: FBT001
    records = []
    for key, value in values:
        text = f"a {value}, closed" if key == "error" else value
        inner: Any = {key: text, "n": [text, {"o": text}]}
        if keyed and re.search(r"[^\w-]|\d{7}", value):
            inner[value] = 1
        records.append({"properties": json.dumps(inner) if nested else inner})
    new = masks(secret=str(next(seeds)).encode()).body(orjson.dumps({"records": records}), LIMIT)
    text = json.dumps(orjson.loads(new), ensure_ascii=False).lower()
    if nested:
        text = text.replace("\\", "") + "".join(
            json.dumps(json.loads(one["properties"]), ensure_ascii=False).lower()
            for one in orjson.loads(new)["records"]
        )
    for key, value in values:
        if key == "category" and re.fullmatch(r"\w{7,20}", value):
            continue  # could be a name that Azure assigns
        for part in parts(value):
            assert part not in text, (part, text)


def test_bodies_are_masked_after_decompression() -> None:
    assert inflate(masks().body(gzip.compress(b"{}"), LIMIT), LIMIT) == b"{}"


def test_a_string_with_any_escape_is_escaped_completely() -> None:
    body = '{"records": [{"source": "\\u00e9\u00e9-alice"}]}'.encode()
    assert not body.isascii()
    assert masks().body(body, LIMIT).isascii()
