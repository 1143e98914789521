"""What a user would write instead: envelopes to typed Parquet, nothing checked, nothing remembered."""

import io
import json
from collections.abc import Sequence
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from shared.envelope import Envelope

TEXTS = ("correlationId", "resourceId", "location", "operationName", "callerIpAddress")
INNER = ("eventName", "source", "destination", "error")


def floor(envelopes: Sequence[Envelope], table: pa.Table) -> None:
    """What can't be left out: the JSON of the bodies parsed, the rows written."""
    for envelope in envelopes:
        orjson.loads(envelope.body)
    pq.write_table(table, pa.BufferOutputStream(), compression="zstd")


def polars(envelopes: Sequence[Envelope]) -> None:
    """Polars: read as lines, explode, unnest, cast. One thread: set POLARS_MAX_THREADS before."""
    lines = b"\n".join(envelope.body for envelope in envelopes)
    properties = pl.Struct(dict.fromkeys(INNER, pl.String))
    record = pl.Struct({"time": pl.String, **dict.fromkeys(TEXTS, pl.String), "properties": properties})
    frame = pl.read_ndjson(lines, schema={"records": pl.List(record)})
    frame = frame.explode("records").unnest("records").unnest("properties")
    frame = frame.with_columns(pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_zone="UTC"))
    frame.write_parquet(io.BytesIO(), compression="zstd", compression_level=1)


def duck(connection: duckdb.DuckDBPyConnection, envelopes: Sequence[Envelope]) -> None:
    """DuckDB: `read_json` of a file, unnest, cast, COPY. The connection has one thread."""
    inner = ", ".join(f"{name} VARCHAR" for name in INNER)
    outer = ", ".join(f"{name} VARCHAR" for name in TEXTS)
    columns = f"{{records: 'STRUCT(time VARCHAR, {outer}, properties STRUCT({inner}))[]'}}"
    with NamedTemporaryFile(suffix=".json") as source, NamedTemporaryFile(suffix=".parquet") as target:
        source.write(b"\n".join(envelope.body for envelope in envelopes))
        source.flush()
        read = (
            f"read_json('{source.name}', format='newline_delimited', columns={columns},"
            " maximum_object_size=100000000)"
        )
        records = f"SELECT unnest(records, recursive := true) FROM {read}"  # noqa: S608 - names of our own
        connection.execute(
            f"COPY (SELECT * REPLACE (time::TIMESTAMPTZ AS time) FROM ({records}))"  # noqa: S608 - the same
            f" TO '{target.name}' (FORMAT parquet, COMPRESSION zstd)"
        )


def naive(envelopes: Sequence[Envelope]) -> None:
    """The usual function app: json, a dict per record, pandas."""
    rows: list[dict[str, Any]] = []
    for envelope in envelopes:
        for record in json.loads(envelope.body)["records"]:
            row = {key: value for key, value in record.items() if key != "properties"}
            rows.append(row | record["properties"])
    frame = pd.DataFrame(rows)
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    frame.to_parquet(io.BytesIO(), compression="zstd")
