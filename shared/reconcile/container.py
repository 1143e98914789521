"""Reads each exported row of a time range once, even while compaction shows it twice."""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from shared.arrays import integers
from shared.errors import StorageError
from shared.output import json_lines
from shared.protocol.storage import BlobInfo, Storage
from shared.tables.table import Table
from shared.timeunits import SECOND

KEYS = ("_EventHubPartition", "_SequenceNumber", "_RecordIndex")


def read(storage: Storage, table: Table, names: Sequence[str], since: int, until: int) -> pa.Table:
    """Reads these columns of the rows from `since` on and before `until` (µs since 1970 UTC).

    Reads Parquet if there is any, and JSON Lines otherwise. Raises StorageError.
    """
    columns = list(dict.fromkeys([*names, table.time_column, *KEYS]))
    schema = pa.schema([table.arrow.field(name) for name in columns])
    pieces = list(_pieces(storage, f"parquet/{table.name}/", schema, since, until))
    if not pieces:
        pieces = list(_pieces(storage, f"json/{table.name}/", schema, since, until))
    rows = pa.concat_tables(pieces) if pieces else schema.empty_table()
    times = integers(rows[table.time_column].combine_chunks()) if rows.num_rows else None
    if times is not None:
        rows = rows.filter(pa.array((times >= since) & (times < until)))
    each = [name for name in columns if name not in KEYS]
    once = rows.group_by(list(KEYS)).aggregate([(name, "min") for name in each])
    return once.rename_columns([name.removesuffix("_min") for name in once.column_names]).select(list(names))


def _pieces(storage: Storage, prefix: str, schema: pa.Schema, since: int, until: int) -> Iterator[pa.Table]:
    for folder in _folders(since, until):
        for file in storage.outputs(f"{prefix}{folder}"):
            if file.visible and (piece := _piece(storage, file, schema)) is not None:
                yield piece


def _piece(storage: Storage, file: BlobInfo, schema: pa.Schema) -> pa.Table | None:
    """Reads a file; None if it was compacted since it was listed, because its rows are in another file."""
    try:
        data = io.BytesIO(storage.part(file.name, 0, file.size))
    except StorageError:
        if storage.exists(file.name):
            raise
        return None
    if file.name.endswith(".parquet"):
        table = pq.read_table(data)
        missing = [field for field in schema if field.name not in table.column_names]
        for field in missing:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        return table.select(schema.names).cast(schema)
    rows = list(json_lines.read_lines(data))
    texts = {field.name: [row.get(field.name) for row in rows] for field in schema}
    return pa.table({name: _column(values, schema.field(name)) for name, values in texts.items()})


def _column(values: list[object], field: pa.Field) -> pa.Array:
    if pa.types.is_timestamp(field.type):
        values = [None if value is None else datetime.fromisoformat(str(value)) for value in values]
    return pa.array(values, field.type)


def _folders(since: int, until: int) -> Iterator[str]:
    """Yields `date=YYYY-MM-DD/` for every day of the range."""
    day = datetime.fromtimestamp(since // SECOND, UTC).date()
    while day <= datetime.fromtimestamp((until - 1) // SECOND, UTC).date():
        yield f"date={day.isoformat()}/"
        day += timedelta(days=1)
