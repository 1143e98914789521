"""Implements what a user might write instead: envelopes to typed Parquet, without checks and without state.

Like the pipeline, all of them keep every key of a record, but only keys that are declared in advance.
"""

import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from dateutil.parser import parse  # type: ignore[import-untyped]

from shared.input.envelope import Envelope

TEXTS = (
    "time",
    "resourceId",
    "category",
    "operationName",
    "Sku",
    "DeploymentVersion",
    "callerIpAddress",
    "location",
    "correlationId",
)
INTEGERS = ("Level", "truncated")
INNER = ("eventName", "source", "destination", "error")

_RECORD = pl.Struct(
    dict.fromkeys(TEXTS, pl.String)
    | dict.fromkeys(INTEGERS, pl.Int64)
    | {"properties": pl.Struct(dict.fromkeys(INNER, pl.String))}
)
_ENVELOPE = pl.Struct({"records": pl.List(_RECORD)})
_RECORD_SQL = json.dumps(
    dict.fromkeys(TEXTS, "VARCHAR")
    | dict.fromkeys(INTEGERS, "BIGINT")
    | {"properties": dict.fromkeys(INNER, "VARCHAR")}
)


def floor(envelopes: Sequence[Envelope], *tables: pa.Table) -> None:
    """Does the minimum: parses the JSON of the bodies and writes the rows."""
    for envelope in envelopes:
        orjson.loads(envelope.body)
    for table in tables:
        pq.write_table(table, pa.BufferOutputStream(), compression="zstd")


def polars(envelopes: Sequence[Envelope]) -> None:
    """Polars: a column of bodies, `json_decode`, explode. For one thread, set POLARS_MAX_THREADS first."""
    bodies = pl.DataFrame({"body": [envelope.body.decode() for envelope in envelopes]})
    _written(bodies.select(pl.col("body").str.json_decode(_ENVELOPE)).unnest("body"))


def polars_lines(envelopes: Sequence[Envelope]) -> None:
    """Polars: the bodies as lines, `read_ndjson`, explode."""
    lines = b"\n".join(envelope.body for envelope in envelopes)
    _written(pl.read_ndjson(lines, schema=dict(_ENVELOPE)))


def _written(frame: pl.DataFrame) -> None:
    frame = frame.explode("records").unnest("records").unnest("properties")
    frame = frame.with_columns(pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_zone="UTC"))
    frame.write_parquet(io.BytesIO(), compression="zstd", compression_level=1)


def duck(connection: duckdb.DuckDBPyConnection, envelopes: Sequence[Envelope]) -> None:
    """DuckDB: a column of bodies, `from_json`, unnest, COPY. The connection has one thread."""
    connection.register("bodies", pa.table({"body": [envelope.body.decode() for envelope in envelopes]}))
    parsed = f"from_json(body, '{{\"records\": [{_RECORD_SQL}]}}')"
    _copied(connection, f"SELECT unnest({parsed}.records) AS record FROM bodies")  # noqa: S608 - names of our own


def duck_file(connection: duckdb.DuckDBPyConnection, envelopes: Sequence[Envelope]) -> None:
    """DuckDB: the bodies as lines of a file, `read_json`, unnest, COPY."""
    fields = ", ".join(
        [f"{name} VARCHAR" for name in TEXTS]
        + [f"{name} BIGINT" for name in INTEGERS]
        + [f"properties STRUCT({', '.join(f'{name} VARCHAR' for name in INNER)})"]
    )
    with NamedTemporaryFile(suffix=".json") as source:
        source.write(b"\n".join(envelope.body for envelope in envelopes))
        source.flush()
        lines = (
            f"read_json('{source.name}', format='newline_delimited',"
            f" columns={{records: 'STRUCT({fields})[]'}}, maximum_object_size=100000000)"
        )
        _copied(connection, f"SELECT unnest(records) AS record FROM {lines}")  # noqa: S608 - the same


def _copied(connection: duckdb.DuckDBPyConnection, records: str) -> None:
    with NamedTemporaryFile(suffix=".parquet") as target:
        connection.execute(
            "COPY (SELECT * REPLACE (time::TIMESTAMPTZ AS time) FROM"  # noqa: S608 - the same
            f" (SELECT unnest(record, recursive := true) FROM ({records})))"
            f" TO '{target.name}' (FORMAT parquet, COMPRESSION zstd)"
        )


def naive(envelopes: Sequence[Envelope], parse: Callable[[str], Any] = datetime.fromisoformat) -> None:
    """A typical function app: json, a dict per record, pandas; `parse` reads a time."""
    rows: list[dict[str, Any]] = []
    for envelope in envelopes:
        for record in json.loads(envelope.body.decode("utf-8"))["records"]:
            properties = record.get("properties") or {}
            row = {name: record.get(name) for name in (*TEXTS, *INTEGERS)}
            row |= {name: properties.get(name) for name in INNER}
            row["time"] = parse(row["time"])
            rows.append(row)
    pd.DataFrame(rows).to_parquet(io.BytesIO(), compression="zstd")


def normalized(envelopes: Sequence[Envelope]) -> None:
    """A typical notebook: `json_normalize` of each envelope, `concat`, `to_datetime`."""
    frame = pd.concat([pd.json_normalize(json.loads(envelope.body)["records"]) for envelope in envelopes])
    frame["time"] = pd.to_datetime(frame["time"])
    frame.to_parquet(io.BytesIO(), compression="zstd")


def naive_dateutil(envelopes: Sequence[Envelope]) -> None:
    """The same with the parser of dateutil, the usual way to read such times before Python 3.11."""
    naive(envelopes, parse)
