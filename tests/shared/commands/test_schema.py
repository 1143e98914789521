"""`schema` prints schemas and views that fit the files."""

import gzip
from pathlib import Path

import duckdb
import orjson
import pytest

from shared.tables.dialects import DIALECTS
from shared.tables.registry import TABLES
from shared.tables.table import Table
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.commands.running import ran
from tests.shared.exported import Exported


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_dialect_names_every_column(
    dialect: str, table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    status, output = ran(capsys, "schema", dialect, "--table", table.name)
    assert status == 0
    if dialect not in {"duckdb", "fabric", "synapse"}:  # these take the columns from the files
        assert [one.name for one in table.columns if one.name not in output] == []


def test_the_view_for_duckdb_reads_the_files(
    filled: Exported, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in filled.files("parquet/"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(filled.read(name))
    _, view = ran(capsys, "schema", "duckdb", "--location", str(tmp_path))
    with duckdb.connect() as database:
        database.execute(view)
        rows = database.execute(f"SELECT count(*), count(DISTINCT hour) FROM {RECORDS.name}").fetchall()
    assert rows == [(filled.ledger().counts.rows, 2)]


def test_the_json_lines_follow_the_json_schema(filled: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    document = orjson.loads(ran(capsys, "schema", "json-schema")[1])
    types = {"string": str, "number": float, "integer": int, "null": type(None)}
    for name in filled.files("json/"):
        for line in gzip.decompress(filled.read(name)).splitlines():
            row = orjson.loads(line)
            assert row.keys() == document["properties"].keys()
            for key, value in row.items():
                said = document["properties"][key]["type"]
                assert type(value) in {types[one] for one in ([said] if isinstance(said, str) else said)}
            assert all(row[key] is not None for key in document["required"])
