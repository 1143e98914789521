"""Delta readers see each row once: in older containers, after swaps and checkpoints, with new columns."""

import subprocess
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from local.emulators.azurite import ACCOUNT, KEY
from shared.compaction.compactor import Compactor
from shared.compaction.summary import CompactionSummary
from shared.delta import log, table_metadata
from shared.erasure.erasure import Erasure
from shared.erasure.selection import Selection
from shared.policies import CompactionPolicy
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES
from shared.tables.table import TEXT, Column
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND
from tests import records
from tests.records import EPOCH, LATER
from tests.shared.exported import Exported, envelopes

DUCKDB = Path(__file__).parents[3] / ".venv-duckdb" / "bin" / "python"
QUALITY = Column("Quality", TEXT, "A column of a newer schema.", resource_log=("properties.quality",))
POLICY = CompactionPolicy(reach=timedelta(days=1), target=1 << 20, delta=True)
LISTING = replace(POLICY, enabled=False)


@pytest.fixture
def filled(exported: Exported) -> Exported:
    """Commits of small batches and finished connections, without any log."""
    exported.finish(39)
    return exported


def run(exported: Exported, policy: CompactionPolicy = POLICY, now: int = LATER) -> CompactionSummary:
    summary = Compactor(exported.storage, policy, lambda: now, lambda: uuid.uuid4().hex).run(600)
    assert summary.alarms == []
    return summary


def options(exported: Exported) -> dict[str, str]:
    return {
        "azure_storage_account_name": ACCOUNT,
        "azure_storage_account_key": KEY,
        "azure_storage_endpoint": exported.output.primary_endpoint.rsplit("/", 1)[0],
        "allow_http": "true",
    }


def uri(exported: Exported, table: str) -> str:
    return f"az://{exported.output.container_name}/parquet/{table}"


def by_deltalake(exported: Exported, table: str) -> pa.Table:
    found = deltalake.DeltaTable(uri(exported, table), storage_options=options(exported))
    return found.to_pyarrow_table()


def by_polars(exported: Exported, table: str) -> pa.Table:
    found = pl.scan_delta(uri(exported, table), storage_options=options(exported))
    return found.collect().to_arrow()


def by_folders(exported: Exported, table: str) -> pa.Table:
    """Returns what a reader of the folders sees, with `date` and `hour` from the path."""
    tables = []
    for name in exported.files(f"parquet/{table}/date="):
        rows = pq.read_table(pa.BufferReader(exported.read(name)), partitioning=None)
        date, hour = (part.partition("=")[2] for part in name.split("/")[2:4])
        for key, value in {"date": date, "hour": hour}.items():
            rows = rows.append_column(key, pa.array([value] * len(rows)))
        tables.append(rows)
    return pa.concat_tables(tables, promote_options="permissive")


def rows(table: pa.Table) -> list[list[tuple[str, Any]]]:
    """Returns all rows with the names of their values, and `date` as text."""
    found = [row | {"date": str(row["date"])} for row in table.to_pylist()]
    return sorted((sorted(row.items()) for row in found), key=repr)


def by_duckdb(exported: Exported, table: str, folder: Path) -> pa.Table:
    """Reads a copy of the table with DuckDB's extension, in an environment with an older DuckDB."""
    root = folder / uuid.uuid4().hex
    for name in exported.files(f"parquet/{table}/"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(exported.read(name))
    found = root / "found.parquet"
    subprocess.run([DUCKDB, "-c", SCAN, root / "parquet" / table, found], check=True)
    return pq.read_table(found)


SCAN = """
import sys, duckdb, duckdb_extension_delta, pathlib
(extension,) = pathlib.Path(duckdb_extension_delta.__file__).parent.rglob("delta.duckdb_extension")
with duckdb.connect() as database:
    database.execute(f"LOAD '{extension}'; SET TimeZone = 'UTC'")
    database.execute(f"COPY (FROM delta_scan('{sys.argv[1]}')) TO '{sys.argv[2]}' (FORMAT parquet)")
"""


def through_all(exported: Exported, patch: pytest.MonkeyPatch, agree: Callable[[str], pa.Table]) -> None:
    """Takes a container through all kinds of changes; `agree` compares a table and returns it."""
    patch.setattr(log, "CHECKPOINT_VERSIONS", 1)
    run(exported, LISTING)
    for table in (RECORDS.name, CONNECTIONS.name):
        agree(table)
    assert run(exported).swaps
    for table in (RECORDS.name, CONNECTIONS.name):
        agree(table)
    # Later commits, a checkpoint, a swap.
    exported.export(envelopes(40, 49))
    exported.confirm()
    run(exported, LISTING, LATER + HOUR)
    assert any(
        name.endswith(".checkpoint.parquet") for name in exported.files(f"parquet/{RECORDS.name}/_delta")
    )
    agree(RECORDS.name)
    assert run(exported, now=LATER + 3 * HOUR).swaps
    agree(RECORDS.name)
    # A newer program has one more column; then a swap joins files of both programs.
    newer = replace(RECORDS, columns=(*RECORDS.columns, QUALITY))
    patch.setitem(TABLES, RECORDS.name, newer)
    patch.setattr(table_metadata, "VERSION", 2)
    exported.export([records.envelope(n, EPOCH + n * SECOND, graded(n)) for n in range(50, 59)])
    exported.confirm()
    for policy, later in ((LISTING, 4), (POLICY, 7)):
        assert len(run(exported, policy, LATER + later * HOUR).swaps) == bool(policy.enabled)
        column = agree(RECORDS.name)[QUALITY.name].to_pylist()
        assert sorted(filter(None, column)) == [f"grade {n}" for n in range(50, 59)]
        assert None in column


def graded(number: int) -> dict[str, Any]:
    properties = {"eventName": "Message", "quality": f"grade {number}"}
    return records.record(EPOCH - HOUR, f"q-{number}", properties=properties)


def test_readers_agree_with_the_folders(filled: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    def agree(table: str) -> pa.Table:
        found = by_deltalake(filled, table)
        expected = rows(by_folders(filled, table))
        assert rows(found) == expected
        assert rows(by_polars(filled, table)) == expected
        return found

    through_all(filled, monkeypatch, agree)


def test_erased_rows_leave_the_snapshot_and_later_the_history(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "CHECKPOINT_VERSIONS", 1)
    exported.finish(29)
    keeping = replace(POLICY, keep=timedelta(hours=6))
    chosen, tables = "c-0-0", (RECORDS.name, CONNECTIONS.name)
    run(exported, LISTING)
    older = {
        table: deltalake.DeltaTable(uri(exported, table), storage_options=options(exported)).version()
        for table in tables
    }
    assert run(exported, keeping).swaps

    def others(table: pa.Table) -> list[list[tuple[str, Any]]]:
        return rows(table.filter(pc.not_equal(table["CorrelationId"], chosen)))

    def ids(table: str, version: int) -> list[str]:
        at = deltalake.DeltaTable(uri(exported, table), version=version, storage_options=options(exported))
        found: list[str] = at.to_pyarrow_table()["CorrelationId"].to_pylist()
        return found

    before = {table: by_deltalake(exported, table) for table in tables}
    assert all(chosen in ids(table, older[table]) for table in tables)
    selection = Selection("CorrelationId", (chosen,))
    erasure = Erasure(
        exported.storage, keeping, selection, lambda: LATER + 2 * HOUR, lambda: uuid.uuid4().hex
    )
    files = erasure.erase(lambda *_: None).files
    assert files.left == {}
    for table in tables:
        newest = deltalake.DeltaTable(uri(exported, table), storage_options=options(exported))
        assert newest.history()[0]["operation"] == "DELETE"
        assert len(before[table]) - len(others(before[table])) == 1
        for read in (by_deltalake, by_polars):
            assert rows(read(exported, table)) == others(before[table])
        with pytest.raises(Exception, match=r"(?i)not ?found"):
            ids(table, newest.version() - 1)  # a snapshot with the file that was replaced
        assert chosen in ids(table, older[table]), "files that compaction replaced are kept"
    assert files.kept == 2, "one file of each table"
    run(exported, keeping, files.kept_until)
    for table in tables:
        with pytest.raises(Exception, match=r"(?i)not ?found"):
            ids(table, older[table])
        for read in (by_deltalake, by_polars):
            assert rows(read(exported, table)) == others(before[table])
    for name in exported.files("parquet/"):
        data = exported.read(name)
        content = str(pq.read_table(pa.BufferReader(data)).to_pylist()) if name.endswith(".parquet") else data
        assert chosen not in str(content), name


@pytest.mark.skipif(
    not DUCKDB.exists(), reason="DuckDB's delta extension is not there: make .venv-duckdb/ready installs it"
)
def test_duckdb_agrees_with_the_folders(
    filled: Exported, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def agree(table: str) -> pa.Table:
        found = by_duckdb(filled, table, tmp_path)
        assert rows(found) == rows(by_folders(filled, table))
        return found

    through_all(filled, monkeypatch, agree)
