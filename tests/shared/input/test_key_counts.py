"""Keys that no column takes are counted, and COLUMN_KEYS gives them to columns."""

from typing import Any

import orjson
import pyarrow as pa
import pytest

from shared.input.envelope import Envelope
from shared.input.key_counts import SAMPLE, KeyCounts
from shared.input.rejections import Reason
from shared.input.validation import Validated, validate
from shared.policies import ExportPolicy
from shared.tables.column_keys import parse
from shared.tables.websocket_connection_logs import RECORDS
from tests.records import PARTITION, TEN

TIME = "2026-11-20T09:59:00.1234567Z"
LOG = {"time": TIME, "category": "WebSocketConnectionLogs", "correlationId": "c"}


def run(body: Any, column_keys: str = "") -> Validated:
    policy = ExportPolicy(column_keys=parse(column_keys))
    return validate(PARTITION, [Envelope(0, TEN, orjson.dumps(body))], policy)


def counts(validated: Validated) -> KeyCounts:
    return validated.keys[RECORDS.name]


@pytest.mark.parametrize(
    ("keys", "record", "found"),
    [
        ("EventName=properties.event|operation", {"properties": {"event": "a"}, "operation": "b"}, "a"),
        ("EventName=properties.event|operation", {"properties": {"event": " "}, "operation": "b"}, "b"),
        ("EventName=operation", {"properties": {"eventName": "a"}, "operation": "b"}, "a"),
        ("EventName=operation", {"properties": {"eventName": None}, "OPERATION": "b"}, "b"),
        ("EventName=operation", {"properties": '{"x": 1}', "operation": ["b"]}, '["b"]'),
        (f"{RECORDS.name}.EventName=operation", {"operation": "b"}, "b"),
    ],
)
def test_added_keys_are_tried_after_declared_ones(keys: str, record: Any, found: str) -> None:
    assert run({"records": [LOG | record]}, keys).table["EventName"].to_pylist() == [found]
    assert run({"records": [LOG | record]}, keys).rows == 1


def test_added_keys_apply_to_the_table_form() -> None:
    row = {"TimeGenerated": TIME, "Type": RECORDS.name, "CorrelationId": "c", "op": "x"}
    assert run([row], "EventName=op").table["EventName"].to_pylist() == ["x"]


def test_added_keys_of_an_envelope_apply_to_its_records() -> None:
    body = {"records": [LOG, LOG | {"operation": "mine"}], "operation": "all"}
    assert run(body, "EventName=operation").table["EventName"].to_pylist() == ["all", "mine"]
    assert run(body).table["EventName"].to_pylist() == [None, None]


def test_a_required_column_is_found_under_its_new_key() -> None:
    record = {"when": TIME, "category": "WebSocketConnectionLogs", "request": "c"}
    before = run({"records": [record]})
    assert [each.reason for one in before.rejected for each in one.rejections] == [
        Reason.MISSING_REQUIRED_FIELD
    ]
    after = run({"records": [record]}, "TimeGenerated=when;CorrelationId=request")
    assert (after.rows, after.rejected) == (1, ())
    assert after.table["AdditionalProperties"].to_pylist() == [None]


def test_a_message_about_a_missing_column_names_new_keys() -> None:
    ((rejection,),) = (one.rejections for one in run({"records": [{}]}, "TimeGenerated=when").rejected)
    assert "when" in rejection.message


def test_keys_of_rows_and_of_rejected_records_are_counted() -> None:
    good = LOG | {"level": 1, "properties": {"eventName": "x", "method": "GET"}}
    lacking = {key: value for key, value in good.items() if key != "time"}
    found = counts(run({"records": [good, good | {"time": None}, lacking, {"category": "x", "y": 1}]}))
    assert found.records == 3
    assert found.keys == {"level": 3, "properties.method": 3}


def test_envelope_keys_are_counted_under_the_settings_names() -> None:
    assert counts(run({"records": [LOG, LOG], "operation": "x"})).keys == {"operation": 2}


def test_other_texts_and_large_rows_are_not_counted() -> None:
    names = {"": 1, "a=b": 1, "x" * 65: 1, "ü": 1, "\n": 1, "sig%2B": 1}
    assert counts(run({"records": [LOG | names]})).keys == {}
    assert counts(run({"records": [LOG | {"large": "x" * (1 << 16)}]})).keys == {}
    assert len(counts(run({"records": [LOG | {f"k{n}": n for n in range(1000)}]})).keys) == 64


def test_sampling_is_bounded_and_unbiased() -> None:
    rows = [
        orjson.dumps({"every": 1, "odd" if at % 2 else "even": 1, f"k{at}": 1}).decode() for at in range(9999)
    ]
    found = KeyCounts()
    found.sample(pa.array(rows))
    assert found.records == found.keys["every"] == 9999
    assert 3000 < found.keys["odd"] < 7000
    assert len(found.keys) <= 3 + SAMPLE
