"""Renders a table declaration as text, Markdown, JSON Schema, Arrow, SQL or KQL."""

from collections.abc import Callable

import orjson
import pyarrow as pa

from shared.tables.column import VERSION, Column, Table
from shared.tables.connection_revisions import CONNECTIONS

_TYPES = {
    "timestamp": ("timestamp", {"type": "string", "format": "date-time"}, "TIMESTAMP", "datetime"),
    "string": ("text", {"type": "string"}, "STRING", "string"),
    "double": ("number", {"type": "number"}, "DOUBLE", "real"),
    "int64": ("integer", {"type": "integer"}, "BIGINT", "long"),
    "int32": ("integer", {"type": "integer"}, "INT", "int"),
}
"""Arrow's type: for people, in JSON Schema, in Spark SQL, in KQL."""


def text(table: Table, _: str) -> str:
    """For a terminal."""
    width = max(len(column.name) for column in table.columns)
    lines = [f"{table.name} (schema version {VERSION})"]
    for one in table.columns:
        null = "required" if one.required else ""
        lines.append(f"  {one.name:<{width}}  {_type(one)[0]:<9}  {null:<8}  {one.meaning}")
    return "\n".join(lines)


def markdown(table: Table, _: str) -> str:
    """A heading and a table."""
    rows = [
        f"| `{one.name}` | {_type(one)[0]} | {required} | {_origin(one)} | {one.meaning} |"
        for one in table.columns
        for required in ["yes" if one.required else ""]
    ]
    heading = ["| Column | Type | Required | From | Meaning |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"## {table.name}", "", *heading, *rows])


def json_schema(table: Table, _: str) -> str:
    """Of a line of the JSON Lines files: JSON Schema, draft 2020-12."""
    properties = {}
    for one in table.columns:
        type_ = _type(one)[1]
        nullable = {} if one.required else {"type": [type_["type"], "null"]}
        properties[one.name] = type_ | nullable | {"description": one.meaning}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": table.name,
        "description": f"Schema version {VERSION}; later versions only add properties.",
        "type": "object",
        "properties": properties,
        "required": [one.name for one in table.columns if one.required],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def arrow(table: Table, _: str) -> str:
    """As pyarrow prints a schema."""
    schema: pa.Schema = table.arrow
    return str(schema.to_string(show_field_metadata=False, show_schema_metadata=True))


def duckdb(table: Table, location: str) -> str:
    """A view on the Parquet files; of connections, on the newest revision of each."""
    newest = (
        "\nQUALIFY row_number() OVER ("
        "PARTITION BY _ResourceId, CorrelationId, CommitId ORDER BY Revision DESC) = 1"
        if table is CONNECTIONS
        else ""
    )
    return (
        f"CREATE OR REPLACE VIEW {table.name} AS\n"
        f"SELECT * FROM read_parquet({_quoted(f'{location}/parquet/{table.name}/date=*/hour=*/*.parquet')}, "
        f"hive_partitioning = true, union_by_name = true){newest};"
    )


def spark(table: Table, location: str) -> str:
    """DDL of an external table for Spark SQL (Databricks, Fabric, Synapse)."""
    columns = [f"  `{one.name}` {_type(one)[2]} COMMENT {_escaped(one.meaning)}" for one in table.columns]
    body = ",\n".join([*columns, "  `date` DATE", "  `hour` STRING"])
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n{body}\n)\n"
        "USING PARQUET\nPARTITIONED BY (`date`, `hour`)\n"
        f"LOCATION {_escaped(f'{location}/parquet/{table.name}')};\nMSCK REPAIR TABLE {table.name};"
    )


def kql(table: Table, location: str) -> str:
    """An external table for Azure Data Explorer and Fabric, read with the identity of whoever asks."""
    columns = ",\n".join(f"  ['{one.name}']: {_type(one)[3]}" for one in table.columns)
    return (
        f".create-or-alter external table {table.name} (\n{columns}\n)\nkind=storage\n"
        "partition by (['date']: datetime, ['hour']: string)\n"
        'pathformat=("date=" datetime_pattern("yyyy-MM-dd", [\'date\']) "/hour=" [\'hour\'])\n'
        f"dataformat=parquet\n(h@{_quoted(f'{location}/parquet/{table.name};impersonate')})"
    )


DIALECTS: dict[str, tuple[Callable[[Table, str], str], str]] = {
    "text": (text, ""),
    "markdown": (markdown, ""),
    "json-schema": (json_schema, ""),
    "arrow": (arrow, ""),
    "duckdb": (duckdb, "."),
    "spark": (spark, "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net"),
    "kql": (kql, "https://ACCOUNT.blob.core.windows.net/CONTAINER"),
}
"""Each with where the container lies by default, as far as that is part of it."""


def _type(column: Column) -> tuple[str, dict[str, str], str, str]:
    return _TYPES["timestamp" if pa.types.is_timestamp(column.type) else str(column.type)]


def _origin(column: Column) -> str:
    names = [f"`{name}`" for name in column.resource_log]
    return ", ".join(names) or column.role.value


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _escaped(value: str) -> str:
    """As Spark SQL quotes: to it, two quotes are the end of one text and the start of the next."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
