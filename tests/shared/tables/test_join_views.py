"""The view that joins connections with gateway requests pairs the right rows, and reads few files."""

import re
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.tables import join_views, views
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.gateway_logs import GATEWAY_LOGS
from shared.tables.registry import TABLES
from tests import spark
from tests.shared.report import made

JOIN = GATEWAY_LOGS.join
assert JOIN
VIEW = JOIN.view


def at(text: str) -> float:
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC).timestamp()


def request(id_: str, time: str, api: str = "chat", **more: Any) -> dict[str, Any]:
    return {
        "TimeGenerated": round(at(time) * 1_000_000),
        "CorrelationId": id_,
        "_ResourceId": f"{made.RESOURCE}one",
        "ApiId": api,
        "CallerIpAddress": "192.0.2.7",
    } | more


CONNECTED = [
    made.connection("a", at("20 07:10"), 600),
    made.connection("hour before", at("20 07:00:01"), 600),
    made.connection("day before", at("21 00:00:01"), 600),
    made.connection("without", at("20 07:10"), 600),
    made.connection("twice", at("20 07:10"), 600),
    made.connection("other service", at("20 07:10"), 600),
    made.connection("no service", at("20 07:10"), 600, _ResourceId=None),
    made.connection("revised", at("20 07:10"), 600, EventCount=4),
    made.connection("revised", at("20 07:10"), 600, EventCount=5, Revision=1),
    made.connection("logged at its end", at("20 03:10"), 4 * 3600),
]
REQUESTS = [
    request("a", "20 07:10"),
    request("hour before", "20 06:59:59"),
    request("day before", "20 23:59:59"),
    request("twice", "20 07:10:02", "later"),
    request("twice", "20 07:10:01", "earlier"),
    request("other service", "20 07:10", _ResourceId=f"{made.RESOURCE}two"),
    request("no service", "20 07:10", _ResourceId=None),
    request("revised", "20 07:10"),
    request("logged at its end", "20 07:10"),
    request("without", "20 07:04:59"),
    request("without", "20 07:25:01"),
    request("no connection", "20 07:10"),
    *(request(f"elsewhere {day}", f"{day} 12:30") for day in range(10, 30)),
]
PAIRS = [
    ("a", "chat"),
    ("day before", "chat"),
    ("hour before", "chat"),
    ("logged at its end", "chat"),
    ("no service", None),
    ("other service", None),
    ("revised", "chat"),
    ("twice", "earlier"),
    ("without", None),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("output")
    made.write(root, CONNECTIONS, CONNECTED, CONNECTIONS.time_column)
    made.write(root, GATEWAY_LOGS, REQUESTS, GATEWAY_LOGS.time_column)
    return root


@pytest.fixture
def database(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    assert JOIN
    with duckdb.connect() as one:
        for table in (CONNECTIONS, GATEWAY_LOGS):
            one.execute(views.duckdb(table, str(folder)))
        one.execute(join_views.duckdb(GATEWAY_LOGS, JOIN))
        yield one


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_each_connection_has_one_row_with_its_earliest_request(
    zone: str, database: duckdb.DuckDBPyConnection
) -> None:
    database.execute(f"SET TimeZone = '{zone}'")
    query = f"SELECT CorrelationId, ApiId FROM {VIEW} ORDER BY ALL"
    assert database.execute(query).fetchall() == PAIRS
    (revised,) = database.execute(
        f"SELECT EventCount, CallerIpAddress, RequestTime IS NULL FROM {VIEW} WHERE CorrelationId = 'revised'"
    ).fetchall()
    assert revised == (5, "192.0.2.7", False)


def test_the_view_has_the_declared_columns(database: duckdb.DuckDBPyConnection) -> None:
    assert JOIN
    names = [name for name, *_ in database.execute(f"DESCRIBE {VIEW}").fetchall()]
    assert names == [*CONNECTIONS.arrow.names, "date", "hour", "RequestTime", *JOIN.columns]
    assert not {*JOIN.columns} & {*CONNECTIONS.arrow.names}
    assert {*JOIN.columns} <= {*GATEWAY_LOGS.arrow.names}


def test_only_days_that_can_have_a_match_are_read(folder: Path, database: duckdb.DuckDBPyConnection) -> None:
    query = f"SELECT count(*), count(ApiId) FROM {VIEW} WHERE date = DATE '2026-11-21'"
    assert database.execute(query).fetchall() == [(1, 1)]
    ((_, profile),) = database.execute(f"EXPLAIN (ANALYZE, FORMAT json) {query}").fetchall()
    read = sorted(int(number) for number in re.findall(r'"Total Files Read": "(\d+)"', profile))
    folders = len([*(folder / "parquet" / GATEWAY_LOGS.name).glob("*/*")])
    near = len([*(folder / "parquet" / GATEWAY_LOGS.name).glob("date=2026-11-2[01]/*")])
    assert read == [1, near], "a file of connections; requests of the day and of the minutes before it"
    assert near < folders / 3


def test_schema_prints_tables_before_the_view(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from shared import __main__  # noqa: PLC0415

    arguments = ["schema", "duckdb", "--table", "requests", "--location", str(folder)]
    assert __main__.main(arguments) == 0
    with duckdb.connect() as one:
        one.execute(capsys.readouterr().out)
        assert one.execute(f"SELECT count(*), count(ApiId) FROM {VIEW}").fetchall() == [(9, 6)]
    assert __main__.main([*arguments[:3], GATEWAY_LOGS.name]) == 0
    assert VIEW not in capsys.readouterr().out, "without the connections, the view cannot be made"
    assert __main__.main([*arguments[:3], "all"]) == 0
    printed = capsys.readouterr().out
    assert [name for name in (*TABLES, VIEW) if f"VIEW {name} AS" not in printed] == []


SPARK = """
from pyspark.sql import SparkSession
from shared.tables import join_views, views
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.gateway_logs import GATEWAY_LOGS

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config(
    "spark.sql.session.timeZone", "America/New_York"
).config("spark.sql.warehouse.dir", {warehouse!r}).config(
    "spark.sql.catalogImplementation", "in-memory"
).config("spark.sql.shuffle.partitions", "2").getOrCreate()
for tables, render in ((views.spark, join_views.spark), (views.fabric, join_views.fabric)):
    statements = [tables(table, {folder!r}) for table in (CONNECTIONS, GATEWAY_LOGS)]
    statements.append(render(GATEWAY_LOGS, GATEWAY_LOGS.join))
    for statement in ";\\n".join(one.rstrip(";") for one in statements).split(";\\n"):
        spark.sql(statement)
    found = spark.sql(f"SELECT CorrelationId, ApiId FROM {view} ORDER BY CorrelationId")
    assert [tuple(row) for row in found.collect()] == {pairs!r}, (tables, found.collect())
    day = spark.sql(f"SELECT CorrelationId, ApiId FROM {view} WHERE date = '2026-11-21'")
    assert [tuple(row) for row in day.collect()] == [("day before", "chat")], day.collect()
    plan = day._jdf.queryExecution().executedPlan().toString()
    assert "dynamicpruning" in plan, plan
    if tables is views.spark:
        for name in ({view!r}, CONNECTIONS.newest.view):
            spark.sql(f"DROP VIEW {{name}}")
        for table in (CONNECTIONS, GATEWAY_LOGS):
            spark.sql(f"DROP TABLE {{table.name}}")
print("done")
"""


@spark.needs_spark
def test_spark_pairs_the_same_rows_and_skips_folders(folder: Path, tmp_path: Path) -> None:
    script = textwrap.dedent(SPARK).format(
        folder=str(folder), warehouse=str(tmp_path / "warehouse"), view=VIEW, pairs=PAIRS
    )
    assert spark.run(script).endswith("done\n")
