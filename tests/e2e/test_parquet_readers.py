"""Parquet readers in several languages read every value of small and compacted files of both tables."""

import io
import math
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import datafusion
import duckdb
import fastparquet  # type: ignore[import-untyped]
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES
from shared.tables.table import Table
from shared.tables.websocket_connection_logs import RECORDS
from tests import spark
from tests.shared.audit.test_tampering import made

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("readers.mjs")

type Rows = list[dict[str, Any]]


def by_pyarrow(path: Path) -> Rows:
    return ds.dataset(path).to_table().to_pylist()  # type: ignore[no-any-return]


def by_pandas(path: Path) -> Rows:
    rows: Rows = pd.read_parquet(path).to_dict("records")
    return rows


def by_fastparquet(path: Path) -> Rows:
    return fastparquet.ParquetFile(str(path)).to_pandas().to_dict("records")  # type: ignore[no-any-return]


def by_polars(path: Path) -> Rows:
    return pl.read_parquet(path).to_dicts()


def by_duckdb(path: Path) -> Rows:
    with duckdb.connect() as database:
        found = database.sql(f"FROM read_parquet('{path}')").to_arrow_table()
    return found.to_pylist()  # type: ignore[no-any-return]


def by_datafusion(path: Path) -> Rows:
    return datafusion.SessionContext().read_parquet(str(path)).to_pylist()


def by_node(reader: str) -> Callable[[Path], Rows]:
    def read(path: Path) -> Rows:
        columns: Sequence[str] = pq.read_schema(path).names
        command = ["node", str(SCRIPT), reader, str(path), *columns]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        if reader == "parquet-wasm":
            return pa.ipc.open_stream(done.stdout).read_all().to_pylist()  # type: ignore[no-any-return]
        return [dict(zip(columns, row, strict=True)) for row in orjson.loads(done.stdout)]

    return read


READERS: dict[str, Callable[[Path], Rows]] = {
    "PyArrow": by_pyarrow,
    "pandas": by_pandas,
    "fastparquet": by_fastparquet,
    "Polars": by_polars,
    "DuckDB": by_duckdb,
    "DataFusion": by_datafusion,
    "@dsnp/parquetjs": by_node("parquetjs"),
    "hyparquet": by_node("hyparquet"),
    "parquet-wasm": by_node("parquet-wasm"),
}


def values(rows: Rows, table: Table) -> list[tuple[Any, ...]]:
    """The declared columns in a form that all languages have: times in ms since 1970, None for null."""
    return sorted(
        (
            tuple(
                _value(row.get(column.name), is_time=pa.types.is_timestamp(column.type))
                for column in table.columns
            )
            for row in rows
        ),
        key=repr,
    )


def _value(value: Any, *, is_time: bool) -> Any:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if not is_time:
        return float(value) if isinstance(value, int | float) else value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return round(moment.timestamp() * 1000)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """One exported and one compacted file of each table."""
    folder = tmp_path_factory.mktemp("parquet")
    found = {}
    for kind, storage in zip(("small", "compacted"), made(), strict=True):
        for table in (RECORDS, CONNECTIONS):
            name = max(
                (name for name in storage.output if name.startswith(f"parquet/{table.name}/")),
                key=lambda name: len(storage.output[name].data or b""),
            )
            assert ("compacted-" in name) == (kind == "compacted")
            found[kind, table.name] = path = folder / f"{kind}-{table.name}.parquet"
            path.write_bytes(storage.output[name].data or b"")
    return found


def cases() -> Iterator[tuple[str, str, Table]]:
    for reader in READERS:
        for kind in ("small", "compacted"):
            for table in (RECORDS, CONNECTIONS):
                yield reader, kind, table


@pytest.mark.filterwarnings("ignore:The 'generic' unit:DeprecationWarning")  # of fastparquet
@pytest.mark.parametrize(("reader", "kind", "table"), [*cases()], ids=lambda one: getattr(one, "name", one))
def test_a_reader_returns_every_value(
    files: dict[tuple[str, str], Path], reader: str, kind: str, table: Table
) -> None:
    path = files[kind, table.name]
    expected = values(pq.read_table(io.BytesIO(path.read_bytes())).to_pylist(), table)
    assert len(expected) > 1 or kind == "small"
    assert values(READERS[reader](path), table) == expected


SPARK = """
import sys
from pyspark.sql import SparkSession, functions

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config(
    "spark.sql.session.timeZone", "UTC").getOrCreate()
times = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
for path in sys.argv[1:]:
    rows = spark.read.parquet(path).select(functions.to_json(functions.struct("*"), times)).collect()
    print("[" + ",".join(row[0] for row in rows) + "]")
"""


@spark.needs_spark
def test_spark_returns_every_value(files: dict[tuple[str, str], Path]) -> None:
    printed = spark.run(SPARK, *files.values())
    for ((_, name), path), line in zip(files.items(), printed.splitlines(), strict=True):
        expected = pq.read_table(io.BytesIO(path.read_bytes())).to_pylist()
        assert values(orjson.loads(line), TABLES[name]) == values(expected, TABLES[name])


def test_the_page_lists_the_tested_readers() -> None:
    page = (ROOT / "docs" / "reading.md").read_text()
    assert re.findall(r"^\| (.+?) \| by a test \|", page, re.MULTILINE) == [*READERS]
