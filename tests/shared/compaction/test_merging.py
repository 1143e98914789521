"""Merging returns all rows in order and unchanged, however large the files and unusual the keys."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.compaction import merging
from shared.errors import DamagedFile
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.table import Table
from shared.tables.websocket_connection_logs import RECORDS

type Rows = list[dict[str, Any]]


def table_of(table: Table, rows: int, rng: np.random.Generator, ids: int) -> pa.Table:
    columns = {}
    for column in table.columns:
        field = column.field
        if column.name == "CorrelationId":
            values: Any = [f"c-{number:05d}" for number in rng.integers(0, ids, rows)]
        elif pa.types.is_string(field.type):
            values = [None if field.nullable and number % 3 == 0 else f"x{number}" for number in range(rows)]
        else:
            values = rng.integers(0, 1_000_000, rows)
        columns[column.name] = pa.array(values).cast(field.type)
    return pa.table(columns, schema=table.arrow)


def stored(tables: list[pa.Table], folder: Path) -> list[Path]:
    paths = []
    for number, table in enumerate(tables):
        paths.append(folder / f"{number}.parquet")
        pq.write_table(table, paths[-1])
    return paths


def merged(table: Table, paths: list[Path], scratch: Path) -> list[pa.Table]:
    scratch.mkdir(exist_ok=True)
    return list(merging.merge(table, paths, merging.schema_of(table, paths), scratch))


def in_order(table: Table, tables: list[pa.Table]) -> Rows:
    order = [(name, "ascending") for name in table.sort_key]
    rows: Rows = pa.concat_tables(tables).sort_by(order).to_pylist()
    return rows


@pytest.mark.parametrize("table", [RECORDS, CONNECTIONS], ids=lambda table: table.name)
@pytest.mark.parametrize("ids", [1, 7, 100_000])
def test_rows_of_many_runs_are_sorted_and_complete(
    table: Table, ids: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that there are many runs, batches and ranges.
    monkeypatch.setattr(merging, "RUN", 20_000)
    monkeypatch.setattr(merging, "RANGE", 10_000)
    monkeypatch.setattr(merging, "BATCH", 2_000)
    monkeypatch.setattr(merging, "_READ", 50)
    rng = np.random.default_rng(ids)
    tables = [table_of(table, rows, rng, ids) for rows in (1, 700, 0, 333, 50)]
    pieces = merged(table, stored(tables, tmp_path), tmp_path / "runs")
    assert len(list((tmp_path / "runs").iterdir())) > 5
    assert pa.concat_tables(pieces).to_pylist() == in_order(table, tables)


def test_rows_that_fit_into_memory_need_no_disk(tmp_path: Path) -> None:
    tables = [table_of(RECORDS, 100, np.random.default_rng(n), 9) for n in range(3)]
    (piece,) = merged(RECORDS, stored(tables, tmp_path), tmp_path / "runs")
    assert piece.to_pylist() == in_order(RECORDS, tables)
    assert not list((tmp_path / "runs").iterdir())


def test_row_groups_have_the_requested_size_except_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "ROWS", 64)
    tables = [table_of(RECORDS, 150, np.random.default_rng(n), 9) for n in range(2)]
    pieces = merged(RECORDS, stored(tables, tmp_path), tmp_path / "runs")
    assert [piece.num_rows for piece in pieces] == [64, 64, 64, 64, 44]
    assert pa.concat_tables(pieces).to_pylist() == in_order(RECORDS, tables)


def test_large_rows_make_small_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "GROUP", 100_000)
    table = table_of(RECORDS, 100, np.random.default_rng(1), 9)
    place = table.schema.get_field_index("AdditionalProperties")
    table = table.set_column(place, table.schema.field(place), pa.array(["x" * 10_000] * 100))
    pieces = merged(RECORDS, stored([table], tmp_path), tmp_path / "runs")
    assert all(piece.nbytes < 120_000 for piece in pieces)
    assert sum(piece.num_rows for piece in pieces) == 100


def test_files_of_an_older_version_have_nulls_in_new_columns(tmp_path: Path) -> None:
    old = table_of(RECORDS, 5, np.random.default_rng(1), 9)
    old = old.drop_columns(["ReportedDurationMs", "TenantId"])
    new = table_of(RECORDS, 5, np.random.default_rng(2), 9)
    (piece,) = merged(RECORDS, stored([old, new], tmp_path), tmp_path / "runs")
    assert piece.schema.equals(RECORDS.arrow, check_metadata=True)
    assert piece["ReportedDurationMs"].null_count == 5
    assert piece.drop_columns(["ReportedDurationMs", "TenantId"]).num_rows == 10


def test_columns_of_a_newer_version_are_kept(tmp_path: Path) -> None:
    old = table_of(RECORDS, 5, np.random.default_rng(1), 9)
    new = table_of(RECORDS, 5, np.random.default_rng(2), 9)
    new = new.append_column(pa.field("Later", pa.string(), nullable=False), pa.array(["x"] * 5))
    (piece,) = merged(RECORDS, stored([old, new], tmp_path), tmp_path / "runs")
    assert piece.schema.names == [*RECORDS.arrow.names, "Later"]
    assert sorted(piece["Later"].to_pylist(), key=str) == [None] * 5 + ["x"] * 5


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    paths = stored([table_of(RECORDS, 500, np.random.default_rng(1), 99)], tmp_path)
    data = bytearray(paths[0].read_bytes())
    data[2000:3000] = bytes(1000)
    paths[0].write_bytes(data)
    with pytest.raises(DamagedFile, match=r"0\.parquet"):
        merged(RECORDS, paths, tmp_path / "runs")
