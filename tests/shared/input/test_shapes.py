import pytest

from shared.input import shapes
from shared.tables.websocket_connection_logs import RECORDS

NAMES = [column.name for column in RECORDS.input]


def places(keys: tuple[str, ...], inner: tuple[str, ...] | None = None) -> dict[str, str]:
    """Returns the JSON pointer of each column."""
    shape = shapes.shape(RECORDS, keys, inner)
    return {name: shape.pointer(at) for at, name in enumerate(NAMES) if shape.pointer(at)}


def test_the_documented_form() -> None:
    outer = ("time", "resourceId", "category", "location", "correlationId", "durationMs", "properties")
    assert places(outer, ("eventName", "source", "destination", "error")) == {
        "TimeGenerated": "/time",
        "_ResourceId": "/resourceId",
        "Region": "/location",
        "CorrelationId": "/correlationId",
        "ReportedDurationMs": "/durationMs",
        "EventName": "/properties/eventName",
        "Source": "/properties/source",
        "Destination": "/properties/destination",
        "Error": "/properties/error",
    }


def test_the_tables_own_columns() -> None:
    keys = tuple(column.table_form for column in RECORDS.input if column.table_form)
    assert places((*keys, "Type")) == {key: f"/{key}" for key in keys}
    assert not shapes.shape(RECORDS, (*keys, "Type"), None).rest


@pytest.mark.parametrize(
    ("keys", "inner", "column", "pointer"),
    [
        (("EVENTNAME",), None, "EventName", "/EVENTNAME"),
        (("Eventname", "eventName"), None, "EventName", "/eventName"),
        (("eventName", "properties"), ("EVENTname",), "EventName", "/properties/EVENTname"),
        (("eventName", "PROPERTIES"), ("EventName", "eventName"), "EventName", "/PROPERTIES/eventName"),
        (("region", "location"), None, "Region", "/location"),
        (("TimeGenerated", "time"), None, "TimeGenerated", "/time"),
        (("category", "TimeGenerated"), None, "TimeGenerated", "/TimeGenerated"),
        (("properties",), ("correlationId",), "CorrelationId", "/properties/correlationId"),
        (("properties",), ("durationMs",), "ReportedDurationMs", "/properties/durationMs"),
    ],
)
def test_the_first_place_counts_and_an_exact_key_wins(
    keys: tuple[str, ...], inner: tuple[str, ...] | None, column: str, pointer: str
) -> None:
    assert places(keys, inner)[column] == pointer
    rest = (
        len(keys)
        + len(inner or ())
        - len(places(keys, inner))
        - len({"category", "properties"} & set(map(str.lower, keys)))
    )
    shape = shapes.shape(RECORDS, keys, inner)
    assert len(shape.rest) + len(shape.rest_inner) == rest


def test_workspace_columns_are_read_only_from_the_table_form() -> None:
    assert places(("category", "tenantId", "_BilledSize")) == {}
    assert places(("tenantId", "_BilledSize")) == {"TenantId": "/tenantId", "_BilledSize": "/_BilledSize"}


def test_the_first_missing_required_column_is_named() -> None:
    assert NAMES[shapes.shape(RECORDS, ("time", "eventName"), None).missing or 0] == "CorrelationId"
    assert shapes.shape(RECORDS, ("time", "eventName", "correlationId"), None).missing is None


def test_a_metric_without_category_or_type_is_skipped() -> None:
    assert shapes.record_keys(("time", "metricName")).foreign
    assert not shapes.record_keys(("time", "metricName", "Category")).foreign
    assert not shapes.record_keys(("time", "metricName", "type")).foreign
    assert not shapes.record_keys(("time",)).foreign


def test_input_does_not_decide_how_much_is_cached() -> None:
    for number in range(5000):
        shapes.shape(RECORDS, (f"key{number}",), (f"inner{number}",))
        shapes.record_keys((f"key{number}",))
    shapes.shape(RECORDS, ("k" * 1_000_000,), None)
    assert len(shapes._shapes) <= 1024
    assert len(shapes._cached_keys) <= 1024
    assert all(len(key) < 5000 for _, keys, _ in shapes._shapes for key in keys)
