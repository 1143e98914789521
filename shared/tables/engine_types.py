"""Maps the types of columns to those of JSON Schema, Spark SQL and KQL. Pure data."""

from dataclasses import dataclass

import pyarrow as pa

from shared.tables.table import Column


@dataclass(frozen=True, slots=True)
class EngineType:
    """The names of one type in each language."""

    text: str
    """The name in text and Markdown."""
    json: dict[str, str]
    """The type in JSON Schema."""
    spark: str
    kql: str


TYPES = {
    "timestamp": EngineType("timestamp", {"type": "string", "format": "date-time"}, "TIMESTAMP", "datetime"),
    "string": EngineType("text", {"type": "string"}, "STRING", "string"),
    "double": EngineType("number", {"type": "number"}, "DOUBLE", "real"),
    "int64": EngineType("integer", {"type": "integer"}, "BIGINT", "long"),
    "int32": EngineType("integer", {"type": "integer"}, "INT", "int"),
}
"""The types by Arrow's name."""


def engine_type(column: Column) -> EngineType:
    """Returns the type of a column in each language."""
    return TYPES["timestamp" if pa.types.is_timestamp(column.type) else str(column.type)]
