"""A Log Analytics workspace on this machine: tables in DuckDB, and alert rules run on them at any moment."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Self

import duckdb
import pyarrow as pa
from duckdb_kql import to_sql

WALL_CLOCK = "(now() AT TIME ZONE 'UTC')"
"""The SQL into which duckdb-kql translates `now()`."""
COLUMNS = {
    "AppMetrics": ("TimeGenerated", "Name", "Sum", "Properties"),
    "AppTraces": ("TimeGenerated", "Message", "AppRoleInstance"),
}
LATENCY = timedelta(minutes=2)
"""Seconds until a query finds a row: 20 s to 3 minutes according to Azure Monitor."""
STEP = timedelta(minutes=5)
"""The interval at which rules are evaluated."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of AppMetrics, as the Application Insights exporter sends it each minute."""

    time: datetime
    name: str
    """Without the prefix `websocketlogs.`."""
    value: float
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of AppTraces."""

    time: datetime
    message: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A row that a rule returns: the alert that fires, and its subject."""

    severity: int
    name: str
    subject: str
    value: float
    page: str


@cache
def _sql(query: str, tables: Sequence[str]) -> str:
    """Translates a rule for a workspace that has these tables."""
    sql = str(to_sql(query, schema={table: list(COLUMNS[table]) for table in tables}))
    return sql.replace(WALL_CLOCK, "getvariable('now')")


class Workspace:
    """Tables with these rows, and rules by severity. As in Azure, a table without rows does not exist."""

    def __init__(
        self, rules: dict[int, str], metrics: Iterable[Metric] = (), lines: Iterable[Line] = ()
    ) -> None:
        self._database = duckdb.connect(config={"threads": 1})
        rows: dict[str, list[tuple[Any, ...]]] = {
            "AppMetrics": [
                (one.time, f"websocketlogs.{one.name}", float(one.value), json.dumps(one.properties))
                for one in metrics
            ],
            "AppTraces": [(one.time, one.message, "instance") for one in lines],
        }
        there = tuple(table for table, values in rows.items() if values)
        for table in there:
            self._make(table, rows[table])
        self._rules = {severity: _sql(query, there) for severity, query in rules.items()}

    def _make(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        columns = dict(zip(COLUMNS[table], zip(*sorted(rows), strict=True), strict=True))
        everything = pa.table(columns)
        self._database.execute(f"CREATE TABLE all_{table} AS SELECT * FROM everything")
        if "Properties" in columns:
            self._database.execute(f"ALTER TABLE all_{table} ALTER Properties TYPE JSON")
        # Without later rows, and those that have not arrived yet.
        seen = "TimeGenerated <= getvariable('arrived')"
        self._database.execute(f"CREATE VIEW {table} AS SELECT * FROM all_{table} WHERE {seen}")
        del everything

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def firing(self, now: datetime) -> list[Alert]:
        """Returns the alerts that fire when the rules are evaluated at this moment."""
        self._database.execute(f"SET VARIABLE now = TIMESTAMP '{now}'")
        self._database.execute(f"SET VARIABLE arrived = TIMESTAMP '{now - LATENCY}'")
        found = []
        for severity, query in self._rules.items():
            result = self._database.execute(query)
            names = [column[0] for column in result.description or ()]
            for row in result.fetchall():
                values = dict(zip(names, row, strict=True))
                found.append(
                    Alert(severity, values["alert"], values["subject"], values["value"], values["page"])
                )
        return found

    def first(self, alert: str, start: datetime, end: datetime) -> datetime | None:
        """Returns the first evaluation between these moments at which the alert fires."""
        now = start
        while now <= end:
            if any(one.name == alert for one in self.firing(now)):
                return now
            now += STEP
        return None
