"""Reads an export of a Log Analytics workspace: CSV, JSON or JSON Lines, or Parquet."""

import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from shared.errors import ReconcileError
from shared.input import timestamps
from shared.input.gzip_bodies import GZIP
from shared.tables.table import TIME, Table

UTC_MARK = " [UTC]"
"""The suffix that the portal adds to the names of time columns in CSV."""
PARQUET = b"PAR1"


def read(path: Path) -> pa.Table:
    """Returns the rows of a file with its columns, whose types depend on the format.

    Raises ReconcileError if the file has none of these formats.
    """
    try:
        data = path.read_bytes()
        if data.startswith(PARQUET):
            return pq.read_table(io.BytesIO(data))
        data = gzip.decompress(data) if data.startswith(GZIP) else data
        text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
        if text.startswith((b"{", b"[")):
            return _json(text)
        return _csv(text)
    except (ValueError, pa.ArrowException, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ReconcileError(
            f"{path} cannot be read as CSV, JSON Lines or Parquet: {str(error).splitlines()[0]}"
        ) from error


def _json(text: bytes) -> pa.Table:
    """Reads an array of rows, as printed by `az monitor log-analytics query`, or one row per line."""
    if text.startswith(b"["):
        rows = orjson.loads(text)
    else:
        rows = [orjson.loads(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("expected an object for each row")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names})


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _csv(text: bytes) -> pa.Table:
    header = text.partition(b"\n")[0].decode()
    names = next(iter(pc_csv.read_csv(io.BytesIO(header.encode() + b"\n")).schema.names for _ in "1"))
    table = pc_csv.read_csv(
        io.BytesIO(text),
        parse_options=pc_csv.ParseOptions(newlines_in_values=True),
        convert_options=pc_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    return table.rename_columns([name.removesuffix(UTC_MARK) for name in names])


def typed(rows: pa.Table, table: Table, path: Path) -> pa.Table:
    """Returns the columns of a table that the file has, with their types.

    Raises ReconcileError if the time column is missing, or if a value does not fit its column's type.
    """
    found = {name.lower(): name for name in rows.column_names}
    columns: dict[str, pa.Array] = {}
    for column in table.input:
        name = found.get((column.table_form or "").lower())
        if name is None:
            continue
        try:
            columns[column.name] = _as(rows[name], column.type)
        except (pa.ArrowException, ValueError) as error:
            raise ReconcileError(f"{path}: column {name}: {error}") from error
    if table.time_column not in columns:
        raise ReconcileError(f"{path} has no column {table.time_column}; it has {_some(rows.column_names)}")
    return pa.table(columns)


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    whole = pa.chunked_array(column.chunks, column.type).combine_chunks()
    if kind != TIME:
        text = whole.cast(pa.string()) if whole.type != kind else whole
        return pa.array([value or None for value in text.to_pylist()], pa.string()).cast(kind)
    if pa.types.is_timestamp(whole.type):
        return whole.cast(pa.timestamp("us", whole.type.tz), safe=False).cast(TIME)
    texts = whole.cast(pa.string())
    times, good = timestamps.read(texts)
    if not good.all():
        wrong = texts[int(np.flatnonzero(~good)[0])].as_py()
        raise ValueError(f"expected a time, got {wrong!r}")
    return pa.array(times, pa.int64()).cast(TIME)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")  # noqa: PLR2004
