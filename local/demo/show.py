"""Prints the container's contents: the folder tree, a few rows, the longest connections."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

COLUMNS = (
    "TimeGenerated",
    "CorrelationId",
    "EventName",
    "Destination",
    "ConnectionDurationMs",
)
ID = 36
"""Characters of a CorrelationId that are shown: a GUID whole."""
FINISHED = ("CorrelationId", "StartTime", "DurationMs", "Status", "EventCount", "ClosingEvent")


def tree(files: Iterable[str]) -> Tree:
    """The folders of the container, each with how many files it holds."""
    root = Tree("[bold]websocket-logs[/]")
    nodes: dict[str, Tree] = {}
    inside: dict[str, int] = {}
    for file in files:
        folder = file.rpartition("/")[0]
        inside[folder] = inside.get(folder, 0) + 1
    for folder, count in sorted(inside.items()):
        parent, path = root, ""
        parts = folder.split("/")
        for depth, part in enumerate(parts):
            path = f"{path}/{part}"
            if path not in nodes:
                text = f"{part}/  [dim]{count} files[/]" if depth == len(parts) - 1 else f"{part}/"
                nodes[path] = parent.add(text)
            parent = nodes[path]
    return root


def rows(table: pa.Table, columns: Iterable[str], title: str, limit: int = 5) -> Table:
    """The first rows of a table, as text."""
    shown = Table(title=title, title_justify="left", header_style="bold")
    for name in columns:
        shown.add_column(name, overflow="ellipsis", no_wrap=True)
    for row in table.slice(0, limit).select(list(columns)).to_pylist():
        shown.add_row(*(cell(name, value) for name, value in row.items()))
    return shown


def cell(column: str, value: object) -> str:
    """A value as a person reads it: times to the second, durations as hours, minutes and seconds."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if column == "CorrelationId":
        return str(value)[:ID]
    if isinstance(value, float) and column.endswith("Ms"):
        minutes, seconds = divmod(round(value) / 1000, 60)
        return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{seconds:06.3f}"
    return str(value)


def output(console: Console, files: Iterable[str], records: pa.Table, connections: pa.Table | None) -> None:
    """Prints all of it."""
    console.print(tree(files))
    console.print(rows(records, COLUMNS, "A few records"))
    if connections is not None:
        longest = connections.take(pc.sort_indices(connections, [("DurationMs", "descending")]))
        console.print(rows(longest, FINISHED, "The longest connections"))
