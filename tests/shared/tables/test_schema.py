import pyarrow as pa

from shared.tables.table import VERSION, Role
from shared.tables.websocket_connection_logs import RECORDS

AZURE = [
    *("TimeGenerated", "CorrelationId", "EventName", "Source", "Destination", "Error", "Region"),
    *("_ResourceId", "_SubscriptionId", "SourceSystem", "Type", "TenantId", "_BilledSize", "_IsBillable"),
]


def test_the_table_begins_with_the_columns_that_azure_documents() -> None:
    assert RECORDS.name == "ApiManagementWebSocketConnectionLogs"
    assert [column.name for column in RECORDS.columns[: len(AZURE)]] == AZURE


def test_the_table_form_reads_every_azure_column_by_name() -> None:
    for column in RECORDS.columns[: len(AZURE)]:
        assert column.table_form == column.name


def test_no_two_columns_share_a_key() -> None:
    for form in ("resource_log", "table_form"):
        wanted = [getattr(column, form) or () for column in RECORDS.columns]
        keys = [key for each in wanted for key in ([each] if isinstance(each, str) else each)]
        assert len(set(map(str.lower, keys))) == len(keys)
    table = {(column.table_form or "").lower(): column.name for column in RECORDS.columns}
    for column in RECORDS.columns:
        assert {table.get(key.lower(), column.name) for key in column.resource_log} <= {column.name}


def test_the_arrow_schema_has_the_whole_declaration() -> None:
    schema = RECORDS.arrow
    assert schema.metadata == {b"table": RECORDS.name.encode(), b"schema_version": str(VERSION).encode()}
    assert schema.names == [column.name for column in RECORDS.columns]
    assert len(set(map(str.lower, schema.names))) == len(schema.names)
    for column in RECORDS.columns:
        field = schema.field(column.name)
        assert field.type == column.type
        assert field.nullable != column.required
        assert field.metadata == {b"description": column.meaning.encode()}
        assert column.meaning.endswith(".")


def test_times_are_microseconds_of_utc() -> None:
    times = [field.type for field in RECORDS.arrow if pa.types.is_timestamp(field.type)]
    assert times
    assert set(times) == {pa.timestamp("us", "UTC")}


def test_derived_columns_can_be_null() -> None:
    assert [column.name for column in RECORDS.of(Role.DERIVED)] == [
        "ConnectionStartTime",
        "ConnectionDurationMs",
        "ConnectionArrivalDurationMs",
    ]
    assert not any(column.required for column in RECORDS.of(Role.DERIVED))
