"""Renders the statements that define a table in SQL and KQL engines: external tables and views."""

from shared.tables.engine_types import engine_type
from shared.tables.table import Newest, Table

FOLDER = ("date", "hour")
"""Columns that come from folder names. All revisions of a row are in one folder, so the windows of views
include these columns: with a condition on them, engines do not read the files of other folders."""
GLOB = "date=*/hour=*/*.parquet"


def duckdb(table: Table, location: str) -> str:
    """Renders a view of the Parquet files, and one of the newest revisions if the table has revisions."""
    files = _quoted(f"{location}/parquet/{table.name}/{GLOB}")
    made = (
        f"CREATE OR REPLACE VIEW {table.name} AS\n"
        f"SELECT * FROM read_parquet({files}, union_by_name = true, hive_partitioning = true,\n"
        "    hive_types = {date: DATE, hour: INTEGER});"
    )
    if table.newest:
        made += (
            f"\nCREATE OR REPLACE VIEW {table.newest.view} AS\nSELECT * FROM {table.name}\n"
            f"QUALIFY row_number() OVER ({_window(table.newest)}) = 1;"
        )
    return made


def spark(table: Table, location: str) -> str:
    """Renders a catalog's external table (Databricks, Synapse Spark, open-source Spark), and its view."""
    columns = [
        f"  `{one.name}` {engine_type(one).spark} COMMENT {_escaped(one.meaning)}" for one in table.columns
    ]
    body = ",\n".join([*columns, "  `date` DATE", "  `hour` STRING"])
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n{body}\n)\n"
        "USING PARQUET\nPARTITIONED BY (`date`, `hour`)\n"
        f"LOCATION {_escaped(f'{location}/parquet/{table.name}')};\n"
        f"MSCK REPAIR TABLE {table.name};{_spark_view(table, 'VIEW')}"
    )


def fabric(table: Table, location: str) -> str:
    """Renders temporary views for a Microsoft Fabric notebook, or any Spark without a catalog."""
    options = f"path {_escaped(f'{location}/parquet/{table.name}')}, mergeSchema 'true'"
    return (
        f"CREATE OR REPLACE TEMPORARY VIEW {table.name}\nUSING PARQUET OPTIONS ({options});"
        f"{_spark_view(table, 'TEMPORARY VIEW')}"
    )


def synapse(table: Table, location: str) -> str:
    """Renders views for a serverless SQL pool of Synapse, where folders are available only by `filepath`."""
    made = (
        f"CREATE OR ALTER VIEW {table.name} AS\n"
        "SELECT files.filepath(1) AS [date], files.filepath(2) AS [hour], files.*\n"
        f"FROM OPENROWSET(\n    BULK {_quoted(f'{location}/parquet/{table.name}/{GLOB}')},\n"
        "    FORMAT = 'PARQUET'\n) AS files;\nGO"
    )
    if table.newest:
        names = ", ".join(f"[{name}]" for name in (*FOLDER, *(one.name for one in table.columns)))
        made += (
            f"\nCREATE OR ALTER VIEW {table.newest.view} AS\nSELECT {names}\n"  # noqa: S608 - declared names
            f"FROM (\n    SELECT *, ROW_NUMBER() OVER ({_window(table.newest, '[', ']')}) AS newest\n"
            f"    FROM {table.name}\n) AS numbered\nWHERE newest = 1;\nGO"
        )
    return made


def kql(table: Table, location: str) -> str:
    """Renders an external table for Azure Data Explorer and Fabric, read with the identity of the user."""
    columns = ",\n".join(f"  ['{one.name}']: {engine_type(one).kql}" for one in table.columns)
    made = (
        f".create-or-alter external table {table.name} (\n{columns}\n)\nkind=storage\n"
        "partition by (['date']: datetime, ['hour']: string)\n"
        'pathformat=("date=" datetime_pattern("yyyy-MM-dd", [\'date\']) "/hour=" [\'hour\'])\n'
        f"dataformat=parquet\n(h@{_quoted(f'{location}/parquet/{table.name};impersonate')})"
    )
    if table.newest:
        query = newest_kql(table, table.newest)
        made += f"\n\n.create-or-alter function {table.newest.view}() {{\n{query}\n}}"
    return made


def newest_kql(table: Table, newest: Newest, condition: str = "") -> str:
    """Renders the query of the newest revisions. `condition`: lines of KQL that select the rows to read."""
    by = ", ".join(f"['{name}']" for name in (*FOLDER, *newest.identity))
    summary = f"    | summarize arg_max({newest.revision}, *) by {by}"
    return f"    external_table('{table.name}')\n{condition}{summary}"


def _spark_view(table: Table, kind: str) -> str:
    if not table.newest:
        return ""
    return (
        f"\nCREATE OR REPLACE {kind} {table.newest.view} AS\n"  # noqa: S608 - declared names
        "SELECT * EXCEPT (newest)\nFROM (\n"
        f"  SELECT *, row_number() OVER ({_window(table.newest, '`', '`')}) AS newest\n"
        f"  FROM {table.name}\n)\nWHERE newest = 1;"
    )


def _window(newest: Newest, begin: str = "", end: str = "") -> str:
    by = ", ".join(f"{begin}{name}{end}" for name in (*FOLDER, *newest.identity))
    return f"PARTITION BY {by} ORDER BY {newest.revision} DESC"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _escaped(value: str) -> str:
    """Quotes text for Spark SQL, which reads two quotes as the end of one text and the start of the next."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
