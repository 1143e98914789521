"""Each value becomes the type of its column, or its row is rejected or keeps it elsewhere."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.input.rejections import Reason
from shared.policies import ExportPolicy
from tests.shared.input.checked import LOG, ROW, reasons, rows, run


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5.0),
        (1.5, 1.5),
        ("12", 12.0),
        (" -1.5e3 ", -1500.0),
        ("\x1f5\x1c", 5.0),
        (None, None),
        (2**63, 2.0**63),
        (2**53 + 1, 2.0**53),
    ],
)
def test_a_duration_is_a_number_or_text_of_one(value: Any, number: float | None) -> None:
    inner = LOG | {"properties": LOG["properties"] | {"durationMs": value}}  # type: ignore[operator]
    for row in rows(
        run([LOG | {"durationMs": value}, inner, LOG | {"durationMs": 1}, LOG | {"durationMs": "2"}])
    )[:2]:
        assert row.get("ReportedDurationMs") == number


@pytest.mark.parametrize("value", ["", "soon", "nan", "1e999", "1_0", "٣", True, [], {}])
@pytest.mark.parametrize("inner", [False, True])
def test_a_duration_other_than_a_number_becomes_a_property(value: Any, inner: bool) -> None:  # noqa: FBT001
    changed = LOG | {"durationMs": value, "x": {"y": 1}}
    if inner:
        changed = LOG | {"x": {"y": 1}, "properties": LOG["properties"] | {"durationMs": value}}  # type: ignore[operator]
    body = json.dumps({"records": [LOG, changed, LOG]}).encode()
    found = rows(run(body))
    rest = json.loads(found[1]["AdditionalProperties"])
    assert rest == {"x": {"y": 1}} | (
        {"properties": {"durationMs": value}} if inner else {"durationMs": value}
    )
    assert [row.get("ReportedDurationMs") for row in found] == [None] * 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (True, "true"),
        ({"code": 1006}, '{"code":1006}'),
        ([1, "é"], '[1,"é"]'),
        (1.5, "1.5"),
        ("", ""),
    ],
)
def test_an_optional_value_of_another_type_becomes_json_text(value: Any, text: str) -> None:
    for column, change in {
        "Error": {"properties": LOG["properties"] | {"error": value}},  # type: ignore[operator]
        "EventName": {"properties": {"eventName": value}},
        "Region": {"location": value},
    }.items():
        assert rows(run([LOG, LOG | change, LOG]))[1][column] == text


@pytest.mark.parametrize("id_", ["/a/b", "a/b", "/A/B/", " /a/B ", "//a/b//"])
def test_resource_ids_have_one_form(id_: str) -> None:
    assert [
        row.get("_ResourceId") for row in rows(run([LOG | {"resourceId": id_}, LOG | {"resourceId": "/"}]))
    ] == [
        "/a/b",
        None,
    ]


@pytest.mark.parametrize(
    ("change", "reason", "pointer"),
    [
        ({"correlationId": " \t\u2003"}, Reason.MISSING_REQUIRED_FIELD, "/correlationId"),
        ({"correlationId": None}, Reason.MISSING_REQUIRED_FIELD, "/correlationId"),
        ({"correlationId": 7}, Reason.WRONG_TYPE, "/correlationId"),
        ({"time": ""}, Reason.MISSING_REQUIRED_FIELD, "/time"),
        ({"time": 7}, Reason.UNPARSEABLE_TIME, "/time"),
        ({"time": "x"}, Reason.UNPARSEABLE_TIME, "/time"),
        ({"time": "1601-01-01T00:00:00Z"}, Reason.IMPLAUSIBLE_TIME, "/time"),
        ({"correlationId": ["é\n" * 500]}, Reason.WRONG_TYPE, "/correlationId"),
        ({"category": 7}, Reason.WRONG_TYPE, "/category"),
        ({"category": []}, Reason.WRONG_TYPE, "/category"),
    ],
)
def test_one_bad_value_rejects_its_record_alone(change: dict[str, Any], reason: Reason, pointer: str) -> None:
    validated = run([LOG, LOG | change, LOG], [LOG | change])
    assert reasons(validated) == [(1, reason, pointer), (0, reason, pointer)]
    assert validated.table["_RecordIndex"].to_pylist() == [0, 2]
    assert [one.indexes for one in validated.rejected] == [((1, 1),), ((0, 0),)]


def test_subscription_is_the_tables_own_or_from_the_resource() -> None:
    own = ROW | {"_SubscriptionId": "own"}
    without = {key: value for key, value in ROW.items() if key != "_SubscriptionId"}
    found = rows(run([own, ROW | {"_SubscriptionId": None}, without, without | {"_ResourceId": "/x"}]))
    assert [row.get("_SubscriptionId") for row in found] == ["own", "s-1", "s-1", None]


def test_the_bounds_of_a_plausible_time_are_settings() -> None:
    policy = ExportPolicy(max_age=timedelta(seconds=1), max_lead=timedelta(0))
    times = [
        "2030-01-02T03:09:58.999999Z",
        "2030-01-02T03:09:59Z",
        "2030-01-02T03:10:00Z",
        "2030-01-02T03:10:00.000001Z",
    ]
    validated = run([LOG | {"time": time} for time in times], policy=policy)
    assert validated.table["_RecordIndex"].to_pylist() == [1, 2]
    assert {reason for _, reason, _ in reasons(validated)} == {Reason.IMPLAUSIBLE_TIME}
