"""Renders the declaration of a table as text, Markdown, JSON Schema or Arrow, and lists all dialects."""

from collections.abc import Callable

import orjson

from shared.tables import join_views, views
from shared.tables.engine_types import engine_type
from shared.tables.table import VERSION, Column, Join, Table


def text(table: Table, _: str) -> str:
    """Renders a table for a terminal."""
    width = max(len(column.name) for column in table.columns)
    lines = [f"{table.name} (schema version {VERSION})"]
    for one in table.columns:
        null = "required" if one.required else ""
        lines.append(f"  {one.name:<{width}}  {engine_type(one).text:<9}  {null:<8}  {one.meaning}")
    return "\n".join(lines)


def markdown(table: Table, _: str) -> str:
    """Renders a heading and a Markdown table."""
    rows = [
        f"| `{one.name}` | {engine_type(one).text} | {required} | {_origin(one)} | {one.meaning} |"
        for one in table.columns
        for required in ["yes" if one.required else ""]
    ]
    heading = ["| Column | Type | Required | From | Meaning |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"## {table.name}", "", *heading, *rows])


def json_schema(table: Table, _: str) -> str:
    """Renders the JSON Schema (draft 2020-12) of a line of the JSON Lines files."""
    properties = {}
    for one in table.columns:
        type_ = engine_type(one).json
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
    """Renders the Arrow schema as pyarrow prints it."""
    return str(table.arrow.to_string(show_field_metadata=False, show_schema_metadata=True))


DIALECTS: dict[str, tuple[Callable[[Table, str], str], str]] = {
    "text": (text, ""),
    "markdown": (markdown, ""),
    "json-schema": (json_schema, ""),
    "arrow": (arrow, ""),
    "duckdb": (views.duckdb, "."),
    "spark": (views.spark, "abfss://CONTAINER@ACCOUNT.dfs.core.windows.net"),
    "fabric": (views.fabric, "Files/CONTAINER"),
    "synapse": (views.synapse, "https://ACCOUNT.blob.core.windows.net/CONTAINER"),
    "kql": (views.kql, "https://ACCOUNT.blob.core.windows.net/CONTAINER"),
}
"""Each dialect with the default location of the container, if it needs one."""
JOINS: dict[str, Callable[[Table, Join], str]] = {
    "duckdb": join_views.duckdb,
    "spark": join_views.spark,
    "fabric": join_views.fabric,
    "kql": join_views.kql,
}
"""The dialects that have views of joined tables."""


def _origin(column: Column) -> str:
    names = [f"`{name}`" for name in column.resource_log]
    return ", ".join(names) or column.role.value
