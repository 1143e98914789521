"""Renders the views that join a table to another one, reading only the folders that can match. Pure."""

import textwrap

from shared.tables.table import JOIN_MARGIN, Join, Table
from shared.tables.views import FOLDER, newest_kql
from shared.timeunits import DAY, MINUTE

EXPECTED = "-- That the identities match is not verified: `python -m shared status` says how many do.\n"


def duckdb(table: Table, join: Join) -> str:
    """Renders a view for DuckDB, which needs the views of both tables.

    DuckDB derives limits of the dates from comparisons before it opens files, but not from `IN`.
    """
    first, last = _days(join, "epoch_us", "//")
    return (
        f"{EXPECTED}CREATE OR REPLACE VIEW {join.view} AS\n"
        f"SELECT connections.*, {_shown(table, join)}\nFROM {_left(join)} AS connections\n"
        f"LEFT JOIN {table.name} AS requests\n{_on(table, join)}\n"
        f"AND requests.date >= DATE '1970-01-01' + CAST({first} AS INTEGER)\n"
        f"AND requests.date <= DATE '1970-01-01' + CAST({last} AS INTEGER)\n"
        f"QUALIFY row_number() OVER ({_window(table, join)}) = 1;"
    )


def spark(table: Table, join: Join) -> str:
    """Renders a view in a Spark catalog, which needs the tables and the view of the newest revisions."""
    return _spark(table, join, "VIEW")


def fabric(table: Table, join: Join) -> str:
    """Renders the same view as `spark`, but as a temporary view."""
    return _spark(table, join, "TEMPORARY VIEW")


def _spark(table: Table, join: Join, kind: str) -> str:
    # Spark skips folders only if dates are compared for equality. Days are counted from 1970, because the
    # date of a timestamp depends on the time zone of the session.
    first, last = _days(join, "unix_micros", "div")
    return (
        f"{EXPECTED}CREATE OR REPLACE {kind} {join.view} AS\n"  # noqa: S608 - declared names
        f"SELECT * EXCEPT (day, place)\nFROM (\n  SELECT connections.*, {_shown(table, join)},\n"
        f"    row_number() OVER ({_window(table, join)}) AS place\n"
        f"  FROM (\n    SELECT *, explode(sequence({first}, {last})) AS day\n    FROM {_left(join)}\n"
        f"  ) AS connections\n  LEFT JOIN {table.name} AS requests\n{_on(table, join)}\n"
        "  AND requests.date = date_add(DATE'1970-01-01', CAST(day AS INT))\n)\nWHERE place = 1;"
    )


def kql(table: Table, join: Join) -> str:
    """Renders a function for Azure Data Explorer and Fabric; only its arguments limit the files read."""
    return (
        f"{EXPECTED.replace('--', '//')}.create-or-alter function {join.view}"
        "(since: datetime = datetime(1970-01-01), until: datetime = datetime(2970-01-01)) {\n"
        f"{kql_query(table, join)}\n}}"
    )


def kql_query(table: Table, join: Join) -> str:
    """Renders the query of that function; its arguments are days of the folders of the other table."""
    by = ", ".join(join.identity)
    minutes = JOIN_MARGIN // MINUTE
    days = "    | where ['date'] between (startofday(since) .. startofday(until))\n"
    known = " and ".join(f"isnotempty({name})" for name in join.identity)
    return (
        f"    let connections = materialize(\n{_left_kql(join, days)}\n    );\n"
        f"    let first_day = startofday(toscalar(connections | summarize min({join.begin})) - {minutes}m);\n"
        f"    let last_day = startofday(toscalar(connections | summarize max({join.end})) + {minutes}m);\n"
        f"    let requests = external_table('{table.name}')\n"
        f"    | where ['date'] between (first_day .. last_day)\n    | where {known}\n"
        f"    | summarize arg_min({table.time_column}, {', '.join(join.columns)}) by {by}\n"
        f"    | project-rename {join.time_name} = {table.time_column};\n"
        f"    connections\n    | join kind=leftouter (requests) on {by}\n"
        f"    | project-away {', '.join(f'{name}1' for name in join.identity)}"
    )


def _left_kql(join: Join, condition: str) -> str:
    if join.left.newest:
        return newest_kql(join.left, join.left.newest, condition)
    return f"    external_table('{join.left.name}')\n{condition}".rstrip()


def _left(join: Join) -> str:
    return join.left.newest.view if join.left.newest else join.left.name


def _shown(table: Table, join: Join) -> str:
    time = f"requests.{table.time_column} AS {join.time_name}"
    columns = [time, *(f"requests.{name}" for name in join.columns)]
    return textwrap.fill(", ".join(columns), 100, subsequent_indent="    ", break_long_words=False)


def _days(join: Join, microseconds: str, divided: str) -> tuple[str, str]:
    """Renders the first and the last day, counted from 1970, whose folders can have the matching row."""
    return (
        f"({microseconds}({join.begin}) - {JOIN_MARGIN}) {divided} {DAY}",
        f"({microseconds}({join.end}) + {JOIN_MARGIN}) {divided} {DAY}",
    )


def _on(table: Table, join: Join) -> str:
    equal = " AND ".join(f"requests.{name} = connections.{name}" for name in join.identity)
    margin = f"INTERVAL {JOIN_MARGIN // MINUTE} MINUTE"
    return (
        f"ON {equal}\nAND requests.{table.time_column} BETWEEN connections.{join.begin} - {margin}"
        f" AND connections.{join.end} + {margin}"
    )


def _window(table: Table, join: Join) -> str:
    """Renders a window that selects the earliest matching row for each row of the other table."""
    newest = join.left.newest
    own = newest.identity if newest else join.left.sort_key
    by = ", ".join(f"connections.{name}" for name in (*FOLDER, *own))
    order = dict.fromkeys((table.time_column, *table.sort_key))
    later = ", ".join(f"requests.{name} NULLS LAST" for name in order)
    return f"PARTITION BY {by} ORDER BY {later}"
