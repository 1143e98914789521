"""Loads the rows of files into DuckDB one day at a time, and returns the aggregates for the page."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow.parquet as pq

from shared.errors import ReportError
from shared.report.locations import Range
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import DAY, HOUR, MINUTE

MEMORY = "1GB"
"""Maximum memory of DuckDB before it spills to its folder on disk."""
THREADS = 4
"""Number of threads; each takes part of that memory."""
LABELS, LONGEST = 12, 20
"""Maximum number of destinations, regions and errors shown, and of connections listed in a group."""
DIMENSIONS = ("Destination", "Region", "Source", "Instance")
"""Columns to group connections by, the most informative first. Instance means API Management instance."""

type Rows = list[tuple[Any, ...]]
type Aggregates = dict[str, Rows]
"""The rows of each query of aggregates.sql."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Intervals of one length that cover a range; times in µs."""

    first: int
    """The number of the first interval, counted from 1970."""
    step: int
    count: int

    @classmethod
    def over(cls, range_: Range, steps: Sequence[int], most: int) -> "Grid":
        """Returns a grid of at most `most` intervals: the first step that fits, or a multiple of the last."""
        span = range_.until - range_.since
        step = next((one for one in steps if span <= one * most), -(-span // (steps[-1] * most)) * steps[-1])
        first = range_.since // step
        return cls(first, step, max(1, -(-range_.until // step) - first))


def bars(range_: Range) -> Grid:
    """Returns a grid of bars: 5 minutes (up to half a day), hours (10 days), days (240 days) or weeks."""
    half_a_day = range_.until - range_.since <= 12 * HOUR
    return Grid.over(range_, [*([5 * MINUTE] if half_a_day else []), HOUR, DAY, 7 * DAY], 240)


def points(range_: Range) -> Grid:
    """Returns a finer grid for curves."""
    return Grid.over(range_, [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY], 300)


def _statements(name: str) -> dict[str, str]:
    text = (files("shared.report") / name).read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def distinguishing(columns: Rows) -> tuple[str, str]:
    """Returns the two columns to group connections by: the first of DIMENSIONS that distinguish connections.

    Each row of `columns` has a name, the number of values, and whether it names the leg of an event.
    """
    values = {name: 0 if leg else number for name, number, leg in columns}
    first, second = sorted(DIMENSIONS, key=lambda name: -min(values[name], 2))[:2]
    return first, second


class Database:
    """A DuckDB file in a temporary folder, with bounded memory."""

    def __init__(self, folder: Path, range_: Range) -> None:
        self._connection = duckdb.connect(
            folder / "report.duckdb",
            config={
                "memory_limit": MEMORY,
                "threads": min(THREADS, os.cpu_count() or 1),
                "temp_directory": str(folder / "spilled"),
                "preserve_insertion_order": False,
                # The built-in extensions are enough; nothing is downloaded.
                "autoinstall_known_extensions": False,
            },
        )
        self._load = _statements("load.sql")
        self._empty = {}
        for table in (CONNECTIONS, RECORDS):
            # With files of an older schema, every column exists but may be null.
            self._empty[table.name] = folder / f"{table.name}.parquet"
            pq.write_table(table.arrow.empty_table(), self._empty[table.name])
        grid, curve = bars(range_), points(range_)
        self._set(
            since=range_.since,
            until=range_.until,
            first=grid.first,
            step=grid.step,
            point_first=curve.first,
            point_step=curve.step,
            labels=LABELS,
            longest=LONGEST,
        )
        self._run(self._load["prepare"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def connections(self, paths: Sequence[Path]) -> None:
        """Adds the connections of a day from all its files, which may hold revisions of the same row."""
        self._set(files=[str(one) for one in (*paths, self._empty[CONNECTIONS.name])])
        self._run(self._load["connections"])

    def records(self, committed: Mapping[Path, int | None]) -> None:
        """Adds the records in files, each with its commit time if known (µs since 1970 UTC)."""
        known = {str(path): at for path, at in committed.items() if at is not None}
        self._connection.execute("DELETE FROM commits")
        self._connection.execute(
            "INSERT INTO commits SELECT unnest(?), unnest(?)", [list(known), list(known.values())]
        )
        self._set(files=[str(one) for one in (*committed, self._empty[RECORDS.name])])
        self._run(self._load["records"])

    def letters(self, paths: Sequence[Path]) -> None:
        """Adds dead letters."""
        self._set(files=[str(one) for one in paths])
        self._run(self._load["letters"])

    def aggregates(self, progress: Callable[[int, int], None]) -> Aggregates:
        """Returns the aggregates of all loaded rows. `progress` receives the number done and the total."""
        queries = _statements("aggregates.sql")
        found: Aggregates = {}
        for done, (name, query) in enumerate(queries.items()):
            progress(done, len(queries))
            rows = self._run(query)
            match name:
                case "estimated":
                    self._set(estimated=bool(rows[0][0]))
                    found[name] = rows
                case "dimensions":
                    first, second = distinguishing(rows)
                    self._set(dimension1=first, dimension2=second)
                    found[name] = [(first,), (second,)]
                case "known" | "prepare":
                    pass
                case _:
                    found[name] = rows
        return found

    def _set(self, **variables: object) -> None:
        for name, value in variables.items():
            self._connection.execute(f"SET VARIABLE {name} = ?", [value])

    def _run(self, statement: str) -> Rows:
        try:
            rows: Rows = self._connection.execute(statement).fetchall()
        except duckdb.Error as error:
            problem = str(error).strip().partition("\n")[0]
            raise ReportError(f"the files cannot be aggregated ({problem}): run audit --deep") from error
        return rows
