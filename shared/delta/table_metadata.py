"""Describes a table as the `metaData` action of its Delta log. Pure."""

from typing import Any

import orjson
import pyarrow as pa

from shared.delta.actions import MILLISECOND
from shared.delta.snapshot import SCHEMA_VERSION, Metadata, Snapshot
from shared.tables.table import VERSION, Table

RETENTION = "interval 2 days"
"""How long versions are kept (shared/delta/log.py)."""
_TYPES = {"string": "string", "double": "double", "int64": "long", "int32": "integer"}
"""The names of Delta types, by the names of Arrow types."""


def describe(table: Table, table_id: str, now: int) -> Metadata:
    """Returns the metadata of a new table. `now` is µs since 1970 UTC."""
    return Metadata(
        {
            "id": table_id,
            "name": table.name,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": _schema(table),
            "partitionColumns": ["date", "hour"],
            "configuration": {"delta.logRetentionDuration": RETENTION, SCHEMA_VERSION: str(VERSION)},
            "createdTime": now // MILLISECOND,
        }
    )


def extended(table: Table, snapshot: Snapshot) -> list[Metadata]:
    """Returns the metadata with this program's columns if its schema is newer; otherwise an empty list.

    An older instance of the program must not remove columns from the table.
    """
    before = snapshot.metadata
    if before is None or before.schema_version is None or before.schema_version >= VERSION:
        return []
    configuration = before.values["configuration"] | {SCHEMA_VERSION: str(VERSION)}
    return [Metadata({**before.values, "schemaString": _schema(table), "configuration": configuration})]


def _schema(table: Table) -> str:
    fields = [
        _field(column.name, _type(column.type), column.meaning, nullable=not column.required)
        for column in table.columns
    ]
    fields.append(_field("date", "date", "Day of the folder, UTC.", nullable=True))
    fields.append(_field("hour", "string", "Hour of the folder, UTC: `00` to `23`.", nullable=True))
    return orjson.dumps({"type": "struct", "fields": fields}).decode()


def _type(arrow: Any) -> str:
    return "timestamp" if pa.types.is_timestamp(arrow) else _TYPES[str(arrow)]


def _field(name: str, type_: str, meaning: str, *, nullable: bool) -> dict[str, Any]:
    return {"name": name, "type": type_, "nullable": nullable, "metadata": {"comment": meaning}}
