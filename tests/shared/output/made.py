"""Tables of every type of column, and what readers make of their files."""

import gzip
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from shared.tables.websocket_connection_logs import RECORDS

TIME = datetime(2030, 1, 2, 3, 4, 5, 120000, UTC)
EXAMPLES: dict[pa.DataType, Any] = {
    pa.string(): 'ü "\n\0',
    pa.float64(): 1.5,
    pa.int64(): 2**62,
    pa.int32(): 7,
    pa.timestamp("us", "UTC"): TIME,
}


def table(rows: int = 3) -> pa.Table:
    """Returns a table with all columns filled, and a last row in which nullable ones are null."""
    full = [{column.name: EXAMPLES[column.type] for column in RECORDS.columns}] * (rows - 1)
    least = {column.name: EXAMPLES[column.type] for column in RECORDS.columns if column.required}
    return pa.Table.from_pylist([*full, least], schema=RECORDS.arrow)


def lines(data: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in gzip.decompress(data).splitlines()]
