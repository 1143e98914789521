import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input import validation
from shared.input.envelope import Envelope
from shared.input.rejections import Reason
from shared.input.validation import validate
from shared.policies import ExportPolicy
from shared.tables.websocket_connection_logs import RECORDS
from tests.records import PARTITION
from tests.shared.input.checked import ENQUEUED, LOG, POLICY, ROW, TIME, check, reasons, rows, run

FIXTURES = Path(__file__).parents[2] / "fixtures"
FOLDERS = [FIXTURES / "records", *sorted(FIXTURES.glob("captured*"))]
EXPECTED: dict[Path, Any] = {
    folder / name: expected
    for folder in FOLDERS
    for name, expected in json.loads((folder / "expected.json").read_text()).items()
}


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_fixtures_have_the_expected_results(path: Path) -> None:
    become_what_is_expected(path, EXPECTED[path])


def become_what_is_expected(path: Path, expected: Any) -> None:
    envelope = Envelope(7, expected["enqueued"], path.read_bytes())
    validated = validate(PARTITION, [envelope], POLICY)
    check(validated, [envelope])
    table = validated.table
    times = table["TimeGenerated"].cast(pa.int64())
    found = table.select(["_ResourceId", "CorrelationId", "EventName"]).append_column("TimeGenerated", times)
    assert found.append_column("index", table["_RecordIndex"]).to_pylist() == expected["rows"]
    rejections = [{"index": index, "reason": reason} for index, reason, _ in reasons(validated)]
    assert rejections == expected["rejections"]
    assert validated.skipped == expected["skipped"]
    assert validated.taken == 1


def test_a_record_becomes_a_row_with_its_lineage() -> None:
    row = run(b"{}", {"records": [1, LOG]}).table.to_pylist()[0]
    assert {name: value for name, value in row.items() if value is not None} == {
        **{name: value for name, value in ROW.items() if value is not None},
        "TimeGenerated": datetime(2030, 1, 2, 3, 4, 5, 123456, UTC),
        "_EventHubPartition": str(PARTITION),
        "_SequenceNumber": 1,
        "_RecordIndex": 1,
        "_EnqueuedTime": datetime(2030, 1, 2, 3, 10, 0, 1, UTC),
    }


TEXT = st.text(min_size=1).filter(lambda text: not text.isspace())


@given(
    st.fixed_dictionaries(dict.fromkeys(["correlationId", "eventName"], TEXT)),
    st.lists(TEXT, min_size=3, max_size=3),
)
def test_both_forms_and_their_variants_give_the_same_row(ids: dict[str, str], texts: list[str]) -> None:
    source, destination, error = texts
    properties = {"eventName": ids["eventName"], "source": source, "destination": destination, "error": error}
    log = LOG | {"correlationId": ids["correlationId"], "properties": properties}
    flat = {key: value for key, value in log.items() if key != "properties"} | properties
    row = ROW | {"CorrelationId": ids["correlationId"], "EventName": ids["eventName"]}
    row |= {"Source": source, "Destination": destination, "Error": error}
    variants: list[Any] = [
        log,
        flat,
        flat | {"properties": None},
        log | {"properties": orjson.dumps(properties).decode()},
        {key.upper(): value for key, value in flat.items()},
        {key: value for key, value in log.items() if key != "category"},
        row,
        {key.lower(): value for key, value in row.items()},
    ]
    found = rows(run(variants))
    assert len(found) == len(variants)
    assert found == [found[0]] * len(variants)
    assert (found[0]["Source"], found[0]["EventName"]) == (source, ids["eventName"])


def test_keys_without_a_column_are_kept() -> None:
    extra = {
        "Level": 4,
        "Time": "other",
        "": {"a/b": [None, 1.5, "ü\0"]},
        "properties": {"n": 1, "Source": "x"},
    }
    record = LOG | extra | {"properties": LOG["properties"] | extra["properties"]}  # type: ignore[operator]
    encoded = orjson.dumps(record | {"properties": orjson.dumps(record["properties"]).decode()})
    for row in rows(run([record], encoded)):
        assert orjson.loads(row["AdditionalProperties"]) == extra
        assert row["Source"] == "Client"
    assert "AdditionalProperties" not in rows(run(LOG))[0]


@pytest.mark.parametrize("depth", [200, 300, 1000])
def test_values_of_any_depth_can_be_kept(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    properties = f'{{"eventName":"x","deep":{deep}}}'
    found = rows(run([LOG | {"properties": properties}, LOG]))
    assert len(found) == 2
    assert found[0]["AdditionalProperties"] == f'{{"properties":{{"deep":{deep}}}}}'


def test_other_records_do_not_change_values() -> None:
    """Values that are equal in Python but differ in type: 1, 1.0, True."""
    values = [1, 1.0, True, 0, -0.0, False, None, "1"]
    found = rows(run([LOG | {"x": value} for value in values], [LOG, LOG | {"durationMs": 5}, LOG]))
    assert [row.get("AdditionalProperties") for row in found[:8]] == [
        f'{{"x":{json.dumps(value)}}}' for value in values
    ]
    assert [row.get("ReportedDurationMs") for row in found[8:]] == [None, 5.0, None]


@pytest.mark.parametrize("value", [7, [], "{", "[]", "text", True])
def test_properties_other_than_an_object_are_kept(value: Any) -> None:
    flat = {key: each for key, each in LOG.items() if key != "properties"} | {"eventName": "Opened"}
    found = rows(run([LOG, flat | {"properties": value}, flat | {"properties": value, "x": 1}]))
    assert [row["EventName"] for row in found] == ["Opened"] * 3
    kept = orjson.loads(value) if value == "[]" else value
    assert json.loads(found[1]["AdditionalProperties"]) == {"properties": kept}
    assert json.loads(found[2]["AdditionalProperties"]) == {"properties": kept, "x": 1}


def test_properties_in_single_quotes_are_read() -> None:
    text = "{'eventName':'It\\'s \"x\"', 'source': 'Client', 'n': null, \"q\": \"it's\"}"
    row = rows(run([LOG | {"properties": text}]))[0]
    assert (row["EventName"], row["Source"]) == ('It\'s "x"', "Client")
    assert json.loads(row["AdditionalProperties"]) == {"properties": {"n": None, "q": "it's"}}


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_the_first_key_with_a_value_counts(nothing: Any) -> None:
    inner = LOG["properties"] | {"correlationId": "inner"}  # type: ignore[operator]
    change = {"correlationId": nothing, "location": nothing, "region": "r", "properties": inner}
    row = rows(run([LOG | change]))[0]
    assert (row["CorrelationId"], row["Region"]) == ("inner", "r")
    assert json.loads(row["AdditionalProperties"]) == {
        "region": nothing,
        "properties": {"correlationId": nothing},
    }
    assert rows(run([LOG | {"region": "r"}]))[0]["Region"] == "West Europe"


def test_fields_of_an_envelope_fill_missing_columns() -> None:
    bare = {"correlationId": "c", "timeStamp": TIME, "properties": {"eventName": "x", "correlationId": "d"}}
    common = {"category": "WebSocketConnectionLogs", "time": "never", "resourceId": "/r", "Sku": "s"}
    row = rows(run(common | {"records": [bare, LOG, {"category": "GatewayLogs"}]}))[0]
    assert (row["CorrelationId"], row["_ResourceId"]) == ("c", "/r")
    assert json.loads(row["AdditionalProperties"])["envelope"] == {"time": "never", "Sku": "s"}
    assert run(common | {"category": "GatewayLogs", "records": [bare, bare]}).skipped == 2


def test_an_event_that_wraps_an_envelope_is_rejected() -> None:
    event = {"specversion": "1.0", "type": "a.b", "time": TIME}
    validated = run(
        [event | {"data": {"records": [LOG]}}, event | {"data": LOG}, event | {"data": {"a": 1}}, LOG]
    )
    assert [index for index, _, _ in reasons(validated)] == [0, 1]
    assert (validated.table.num_rows, validated.skipped) == (1, 1)


def test_integers_stay_as_they_are() -> None:
    numbers = [2**64, -(2**63) - 1, 10**300, 12345678901234567890123]
    body = json.dumps({"records": [LOG | {"n": number, "m": [number, 1.5]} for number in numbers]}).encode()
    assert [json.loads(row["AdditionalProperties"]) for row in rows(run(body))] == [
        {"n": number, "m": [number, 1.5]} for number in numbers
    ]


def test_a_malformed_record_is_rejected_or_skipped_if_foreign() -> None:
    bad, foreign = b'{"a":NaN}', b'{"category": "GatewayLogs", "v": NaN}'
    ours = orjson.dumps(LOG)[:-1] + b',"v":Infinity}'
    validated = run(b'{"records":[' + b",".join([orjson.dumps(LOG), bad, foreign, ours]) + b"]}")
    assert (validated.table.num_rows, validated.skipped) == (1, 1)
    assert [(each.index, each.reason, each.text) for each in validated.rejected[0].rejections] == [
        (1, Reason.MALFORMED_RECORD, bad.decode()),
        (3, Reason.MALFORMED_RECORD, ours.decode()),
    ]


def test_a_record_with_several_problems_is_rejected_once() -> None:
    validated = run([LOG | {"time": 1, "correlationId": 2}, 1])
    assert [dict(one.counts) for one in validated.rejected] == [
        {Reason.UNPARSEABLE_TIME: 1, Reason.RECORD_NOT_AN_OBJECT: 1}
    ]


@pytest.mark.parametrize(
    ("record", "ours"),
    [
        ({"category": "websocketconnectionlogs"}, True),
        ({"Category": "GatewayLogs"}, False),
        ({"category": ""}, False),
        ({"category": "GatewayLogs", "Type": RECORDS.name}, False),
        ({"Type": "ApiManagementGatewayLogs"}, False),
        ({"Type": RECORDS.name}, True),
        ({"metricName": "Requests"}, False),
        ({"metricName": "Requests", "category": "WebSocketConnectionLogs"}, True),
        ({"category": None}, True),
        ({}, True),
    ],
)
def test_only_other_categories_are_skipped(record: dict[str, Any], ours: bool) -> None:  # noqa: FBT001
    validated = run([record, {"category": "Other"}, LOG, record])
    assert validated.skipped == (1 if ours else 3)
    assert validated.table.num_rows == 1
    assert [index for index, _, _ in reasons(validated)] == ([0, 3] if ours else [])


def test_an_invalid_category_does_not_affect_other_records() -> None:
    values: list[Any] = [7, None, "WebSocketConnectionLogs", [], "Other", {}, True]
    validated = run([LOG | {"category": value} for value in values])
    assert validated.table["_RecordIndex"].to_pylist() == [1, 2]
    assert validated.skipped == 1
    assert reasons(validated) == [(index, Reason.WRONG_TYPE, "/category") for index in (0, 3, 5, 6)]


def test_envelopes_are_taken_up_to_the_inflated_limit() -> None:
    for body in (orjson.dumps(LOG), orjson.dumps(LOG | {"Level": "x" * 20_000})):
        size, packed = len(body), gzip.compress(body)
        assert run(body, packed, body, policy=ExportPolicy(commit_bytes=2 * size)).taken == 2
        assert run(body, packed, body, policy=ExportPolicy(commit_bytes=2 * size - 1)).taken == 1
        assert run(body, body, policy=ExportPolicy(commit_bytes=1)).taken == 1
    assert run().taken == 0


def test_a_body_that_cannot_be_decompressed_is_rejected() -> None:
    body = orjson.dumps(LOG)
    cut, large = gzip.compress(body)[:-9], gzip.compress(b" " * 1000 + body)
    for order in ([body, cut, body, large], [cut, large, body, body], [large, body, body, cut]):
        validated = run(*order, policy=ExportPolicy(max_inflated=1000))
        assert validated.table["_SequenceNumber"].to_pylist() == [
            at for at, each in enumerate(order) if each is body
        ]
        assert [(each.envelope.sequence, each.rejections[0].message) for each in validated.rejected] == [
            (
                at,
                f"expected a complete gzip body, got one cut off after {len(cut)} bytes"
                if each is cut
                else "expected a gzip body that inflates to at most 1000 bytes, got more",
            )
            for at, each in enumerate(order)
            if each is not body
        ]


def test_records_beyond_one_check_are_complete() -> None:
    body = [LOG, {"category": "x"}, 1, LOG | {"time": ""}, ROW] * 5_000
    assert len(body) > validation._RECORDS
    validated = run(body, b"?", body)
    assert validated.table.num_rows == 20_000
    assert validated.skipped == 10_000
    assert [dict(one.counts) for one in validated.rejected] == [
        {Reason.RECORD_NOT_AN_OBJECT: 5_000, Reason.MISSING_REQUIRED_FIELD: 5_000},
        {Reason.UNREADABLE_ENVELOPE: 1},
        {Reason.RECORD_NOT_AN_OBJECT: 5_000, Reason.MISSING_REQUIRED_FIELD: 5_000},
    ]


def test_a_hundred_rejections_are_described_and_all_are_counted() -> None:
    (rejected,) = run([LOG | {"time": "x"}, *range(150), LOG, *range(3)]).rejected
    assert len(rejected.rejections) == 100
    assert rejected.rejections[0].reason is Reason.UNPARSEABLE_TIME
    assert rejected.indexes == ((0, 150), (152, 154))
    assert Counter(rejected.counts) == {Reason.RECORD_NOT_AN_OBJECT: 153, Reason.UNPARSEABLE_TIME: 1}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.just(TIME),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PLACES = [place for column in RECORDS.columns for place in (*column.resource_log, column.table_form) if place]
KEYS = st.sampled_from([place.removeprefix("properties.") for place in PLACES]).flatmap(
    lambda key: st.sampled_from([key, key.upper(), key.lower()])
)
FIELDS = st.dictionaries(KEYS | st.sampled_from(["category", "metricName", "records"]), ANY, max_size=4)
NEARLY = st.builds(
    lambda changes, inner, drop: {
        key: value
        for key, value in (LOG | changes | {"properties": inner(LOG["properties"])}).items()
        if key not in drop
    },
    FIELDS,
    st.one_of(
        FIELDS.map(lambda fields: lambda properties: properties | fields),
        ANY.map(lambda value: lambda _: value),
        st.just(lambda properties: orjson.dumps(properties).decode()),
    ),
    st.sets(st.sampled_from(list(LOG)), max_size=1),
)
BODY = st.lists(NEARLY | FIELDS | ANY | st.just(LOG), max_size=6).map(orjson.dumps) | st.binary(max_size=30)


@given(st.lists(BODY | BODY.map(gzip.compress), max_size=5))
def test_any_record_is_a_row_or_rejected_or_skipped(bodies: list[bytes]) -> None:
    assert run(*bodies).taken == len(bodies)


@given(st.lists(BODY, max_size=4))
def test_batching_of_envelopes_does_not_change_results(bodies: list[bytes]) -> None:
    whole = run(*bodies)
    envelopes = [Envelope(number, ENQUEUED + number, body) for number, body in enumerate(bodies)]
    single = [validate(PARTITION, [envelope], POLICY) for envelope in envelopes]
    assert whole.table.to_pylist() == [row for each in single for row in each.table.to_pylist()]
    assert whole.rejected == tuple(one for each in single for one in each.rejected)
    assert (whole.records, whole.skipped) == (sum(e.records for e in single), sum(e.skipped for e in single))
