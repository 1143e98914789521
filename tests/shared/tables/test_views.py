"""Views return the newest revisions, and read only the folders that a query needs."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.tables import views
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES
from shared.tables.websocket_connection_logs import RECORDS
from tests import spark

HOURS = range(12)
PLACES = {
    "folder": "date = DATE '2026-11-20' AND hour = 7",
    "several": "hour IN (7, 8)",
    "day": "date = DATE '2026-11-20'",
    "all": "true",
}
READ = {"folder": 1, "several": 4, "day": 12, "all": 24}
"""The number of files, of 24, that each query must read."""
VIEWS = [RECORDS.name, CONNECTIONS.name, "ApiManagementWebSocketConnections"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of 12 hours with a file each, in which x has two revisions and y has one."""
    root = tmp_path_factory.mktemp("output")
    for table in TABLES.values():
        for day in ("2026-11-20", "2026-11-21"):
            for hour in HOURS:
                rows = [
                    {
                        field.name: str(number) if pa.types.is_string(field.type) else number
                        for field in table.arrow
                    }
                    | {
                        "CorrelationId": id_,
                        "_ResourceId": "r",
                        "CommitId": f"{day}{hour}",
                        "Revision": revision,
                    }
                    for number, (id_, revision) in enumerate([("x", 0), ("x", 1), ("y", 0)])
                ]
                path = root / "parquet" / table.name / f"date={day}" / f"hour={hour:02}" / "1.parquet"
                path.parent.mkdir(parents=True)
                pq.write_table(pa.Table.from_pylist(rows, schema=table.arrow), path)
    return root


@pytest.fixture
def database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as one:
        for table in TABLES.values():
            one.execute(views.duckdb(table, str(folder)))
        yield one


def files_read(database: duckdb.DuckDBPyConnection, query: str) -> int:
    """Returns the number of files that DuckDB opened for a query, from its profile."""
    ((_, profile),) = database.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()
    (number,) = re.findall(r'"Total Files Read": "(\d+)"', profile)
    return int(number)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("place", PLACES)
def test_duckdb_reads_only_the_requested_folders(
    view: str, place: str, database: duckdb.DuckDBPyConnection
) -> None:
    query = f"SELECT count(*), sum(length(CorrelationId)) FROM {view} WHERE {PLACES[place]}"
    assert files_read(database, query) == READ[place]


def test_a_view_whose_window_lacks_the_folder_reads_everything(database: duckdb.DuckDBPyConnection) -> None:
    made = views.duckdb(CONNECTIONS, ".").rpartition("CREATE OR REPLACE VIEW ")[2]
    assert "PARTITION BY date, hour, " in made
    without = made.replace("PARTITION BY date, hour, ", "PARTITION BY ")
    database.execute(f"CREATE OR REPLACE VIEW {without}")
    query = f"SELECT count(*), sum(length(CorrelationId)) FROM {VIEWS[2]} WHERE {PLACES['folder']}"
    assert files_read(database, query) == READ["all"]


def test_the_view_shows_the_newest_revisions(database: duckdb.DuckDBPyConnection) -> None:
    query = f"SELECT CorrelationId, Revision, count(*) FROM {VIEWS[2]} GROUP BY ALL ORDER BY ALL"
    assert database.execute(query).fetchall() == [("x", 1, 24), ("y", 0, 24)]
    assert database.execute(f"SELECT count(*) FROM {CONNECTIONS.name}").fetchall() == [(72,)]


SPARK = """
from pyspark.sql import SparkSession
from shared.tables import views
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config(
    "spark.sql.sources.partitionColumnTypeInference.enabled", "false"
).config("spark.sql.warehouse.dir", {warehouse!r}).config(
    "spark.sql.catalogImplementation", "in-memory"
).getOrCreate()
for render in (views.spark, views.fabric):
    for table in TABLES.values():
        for statement in render(table, {folder!r}).split(";\\n"):
            spark.sql(statement.rstrip(";"))
    newest = CONNECTIONS.newest.view
    found = spark.sql(f"SELECT CorrelationId, Revision, count(*) FROM {{newest}} GROUP BY ALL ORDER BY ALL")
    assert [tuple(row) for row in found.collect()] == [("x", 1, 24), ("y", 0, 24)], found.collect()
    for view, rows in (("ApiManagementWebSocketConnectionLogs", 3), (newest, 2)):
        found = spark.sql(f"SELECT * FROM {{view}} WHERE date = '2026-11-20' AND hour = '07'")
        assert found.count() == rows, (view, found.count())
        plan = found._jdf.queryExecution().executedPlan().toString()
        assert "hour" in plan.partition("PartitionFilters: [")[2].partition("]")[0], plan
    if render is views.spark:
        for table in TABLES.values():
            if table.newest:
                spark.sql(f"DROP VIEW {{table.newest.view}}")
            spark.sql(f"DROP TABLE {{table.name}}")
print("done")
"""


@spark.needs_spark
def test_spark_creates_tables_and_views_and_prunes(folder: Path, tmp_path: Path) -> None:
    script = textwrap.dedent(SPARK).format(folder=str(folder), warehouse=str(tmp_path / "warehouse"))
    assert spark.run(script).endswith("done\n")


def test_synapse_finds_folders_by_wildcards() -> None:
    made = views.synapse(CONNECTIONS, "https://a.blob.core.windows.net/c")
    assert "/date=*/hour=*/*.parquet'" in made
    assert "files.filepath(1) AS [date], files.filepath(2) AS [hour]" in made
    assert "PARTITION BY [date], [hour], " in made
    listed = made.partition("VIEW ApiManagementWebSocketConnections AS\nSELECT ")[2].partition("\n")[0]
    assert listed.split(", ") == [f"[{name}]" for name in ("date", "hour", *CONNECTIONS.arrow.names)]
    assert made.count("\nGO") == 2, "a view must be the only statement of its batch"


@pytest.mark.parametrize("render", [views.duckdb, views.spark, views.fabric, views.synapse, views.kql])
def test_the_plain_name_is_the_newest_revision_and_prunes_folders(render: object) -> None:
    assert callable(render)
    made = str(render(CONNECTIONS, "place"))
    assert made.index(CONNECTIONS.name) < made.rindex("ApiManagementWebSocketConnections")
    newest = made[made.rindex("ApiManagementWebSocketConnections") :]
    assert newest.index("date") < newest.index("hour") < newest.index("CorrelationId")
    assert "newest" not in str(render(RECORDS, "place"))
