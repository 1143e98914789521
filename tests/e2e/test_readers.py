"""The readers that the documentation shows work on exported folders, and agree on the rows."""

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from local.traffic.generate import Traffic, generate
from local.traffic.truth import ROW
from shared.connections.timer import Finisher
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.hub import HubState, Position
from shared.tables import join_views, views
from shared.tables.registry import TABLES, categories
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR
from tests.documents import Block, blocks
from tests.memory import MemoryStorage, StillHub

SNIPPETS = [
    (one.about.splitlines()[-1], one.code)
    for one in blocks("python")
    if one.exercised and "result" in one.code
]
QUERIES = [one for one in blocks("sql") if one.exercised]
CATEGORIES = categories()
NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return generate(1, 800, NOW - timedelta(hours=26), NOW, exported=CATEGORIES)


@pytest.fixture(scope="module")
def output(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the container after an export."""
    now = int(NOW.timestamp() * 1_000_000)
    storage = MemoryStorage(lambda: now)
    ids = iter(range(1, 1000))
    exporter = Exporter(
        storage,
        ExportPolicy(formats=("parquet", "json"), categories=CATEGORIES),
        1 << 26,
        lambda: now,
        lambda: f"{next(ids):032x}",
    )
    bodies: dict[str, list[bytes]] = {}
    for one in traffic.sends:
        bodies.setdefault(one.partition, []).append(one.body)
    for partition, mine in bodies.items():
        envelopes = [Envelope(n, now, body) for n, body in enumerate(mine)]
        for at in range(0, len(envelopes), 256):
            exporter.run(HubPartition("ns", "hub", partition), envelopes[at : at + 256])
    positions = {
        HubPartition("ns", "hub", partition): Position(len(mine) - 1, now, empty=False)
        for partition, mine in bodies.items()
    }
    later = now + 48 * HOUR
    finisher = Finisher(
        storage,
        StillHub(HubState(0, positions)),
        FinishPolicy(idle=timedelta(hours=1)),
        lambda: later,
        lambda: uuid.uuid4().hex,
    )
    assert finisher.run(60).finished
    folder = tmp_path_factory.mktemp("output")
    for name, blob in storage.output.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(blob.data or b"")
    for table in [*folder.glob("*/ApiManagement*"), folder / "_dead_letters"]:
        for stranger in ("_delta_log/00.checkpoint.parquet", "_delta_log/00.json", "notes/x.jsonl.gz"):
            # PyArrow and pandas read a whole folder, and skip only names that begin with an underscore.
            if stranger.startswith("_") or table.parent.name != "parquet":
                (table / stranger).parent.mkdir(parents=True, exist_ok=True)
                (table / stranger).write_bytes(b"not data")
    return folder


@pytest.fixture
def inside(output: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(output)
    yield output
    os.chdir(before)


def hours(output: Path) -> Counter[tuple[str, int]]:
    """Rows by folder, from the files' own footers."""
    found: Counter[tuple[str, int]] = Counter()
    for file in (output / "parquet" / RECORDS.name).glob("date=*/hour=*/*.parquet"):
        date, hour = file.parent.parent.name.removeprefix("date="), file.parent.name.removeprefix("hour=")
        found[date, int(hour)] += pq.read_metadata(file).num_rows
    return found


@pytest.mark.parametrize("snippet", [code for _, code in SNIPPETS], ids=[name for name, _ in SNIPPETS])
def test_a_documented_reader_sees_date_and_hour_and_every_row(
    snippet: str, inside: Path, traffic: Traffic
) -> None:
    scope: dict[str, Any] = {}
    exec(snippet, scope)
    result = {(str(date)[:10], int(hour)): count for date, hour, count in scope["result"]}
    assert sum(result.values()) == traffic.truth.outcomes[ROW]
    assert result == hours(inside)


@pytest.mark.parametrize("query", QUERIES, ids=str)
@pytest.mark.usefixtures("inside")
def test_a_documented_query_returns_rows(query: Block) -> None:
    with duckdb.connect() as database:
        for table in TABLES.values():
            database.execute(views.duckdb(table, "."))
        for table in TABLES.values():
            if table.join:
                database.execute(join_views.duckdb(table, table.join))
        # Not as Python objects: DuckDB would need another package for times.
        found = database.sql(query.code).to_arrow_table()
    assert found.num_rows
    assert found.num_columns > 1


def test_the_docs_have_a_snippet_for_each_reader() -> None:
    names = " ".join(name for name, _ in SNIPPETS)
    assert len(SNIPPETS) == 5
    for reader in ("DuckDB", "JSON Lines", "Polars", "pandas", "PyArrow"):
        assert reader in names


def test_files_have_no_date_and_hour_columns(output: Path) -> None:
    for file in (output / "parquet" / RECORDS.name).glob("date=*/hour=*/*.parquet"):
        assert not {"date", "hour"} & set(pq.read_schema(file).names)


def test_old_files_stay_readable_next_to_files_with_new_columns(output: Path, tmp_path: Path) -> None:
    old = next((output / "parquet" / RECORDS.name).glob("date=*/hour=*/*.parquet"))
    table = pq.read_table(old)
    folder = tmp_path / "date=2026-11-20" / "hour=09"
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "1.parquet")
    pq.write_table(table.append_column("Later", [["x"] * table.num_rows]), folder / "2.parquet")
    found = duckdb.sql(
        f"SELECT count(*), count(Later) FROM read_parquet('{tmp_path}/**/*.parquet', union_by_name=true)"
    )
    assert found
    assert found.fetchall() == [(2 * table.num_rows, table.num_rows)]
    scanned = pl.scan_parquet(tmp_path, missing_columns="insert", extra_columns="ignore").collect()
    assert len(scanned) == 2 * table.num_rows
