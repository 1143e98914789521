"""Prints the container's contents: the folder tree, a few rows, the longest connections."""

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from local.stack import GROUP, HUB, OUTPUT, REJECTED, Stack
from shared.tables.websocket_connection_logs import RECORDS
from shared.wording import counted

COLUMNS = (
    "TimeGenerated",
    "CorrelationId",
    "EventName",
    "Destination",
    "ConnectionDurationMs",
)
ID = 36
"""Number of characters shown of a CorrelationId: enough for a GUID."""
WIDTHS = {"TimeGenerated": 19, "StartTime": 19, "CorrelationId": 36, "EventName": 17, "Destination": 24}
"""Width of columns whose values are wider than their names."""
COPY = Path(".demo/output")
FINISHED = ("CorrelationId", "StartTime", "DurationMs", "Status", "EventCount", "ClosingEvent")


def tree(files: Iterable[str]) -> Tree:
    """Shows the folders of the container with their numbers of files; hours only for the table of records."""
    root = Tree("[bold]websocket-logs[/]")
    nodes: dict[str, Tree] = {}
    inside: dict[str, int] = {}
    for file in files:
        folder = file.rpartition("/")[0]
        if not folder:
            continue
        if RECORDS.name not in folder or not folder.startswith("parquet/"):
            folder = folder.partition("/date=")[0]
        inside[folder] = inside.get(folder, 0) + 1
    for folder, count in sorted(inside.items()):
        parent, path = root, ""
        parts = folder.split("/")
        for depth, part in enumerate(parts):
            path = f"{path}/{part}"
            if path not in nodes:
                text = f"{part}/  [dim]{counted(count, 'file')}[/]" if depth == len(parts) - 1 else f"{part}/"
                nodes[path] = parent.add(text)
            parent = nodes[path]
    return root


def rows(table: pa.Table, columns: Iterable[str], title: str, limit: int = 5) -> Table:
    """Shows the first rows of a table as text."""
    shown = Table(title=title, title_justify="left", header_style="bold")
    for name in columns:
        shown.add_column(name, overflow="ellipsis", no_wrap=True)
    for row in table.slice(0, limit).select(list(columns)).to_pylist():
        shown.add_row(*(cell(name, value) for name, value in row.items()))
    return shown


def cell(column: str, value: object) -> str:
    """Formats a value for people: times to the second, durations as hours, minutes and seconds."""
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


def output(console: Console, files: Iterable[str], records: pa.Table, connections: pa.Table) -> None:
    """Prints everything, in the width of the terminal."""
    console.print(tree(files))
    console.print(rows(records, fitting(COLUMNS, console.width), "A few records"))
    # Otherwise, connections without a known end would be the longest.
    ordinary = connections.filter(pc.equal(connections["Status"], "closed"))
    longest = ordinary.take(pc.sort_indices(ordinary, [("DurationMs", "descending")]))
    console.print(rows(longest, fitting(FINISHED, console.width), "The longest connections"))


def fitting(columns: Sequence[str], width: int) -> list[str]:
    """Returns as many of the first columns as fit."""
    chosen: list[str] = []
    used = 1
    for name in columns:
        used += 3 + WIDTHS.get(name, len(name))
        if used > width:
            break
        chosen.append(name)
    return chosen


def print_next_steps(console: Console, stack: Stack, *, kept: bool) -> None:
    """Prints the next steps with the command line, Storage Explorer and other tools."""
    if not kept:
        console.print("To explore it with your own tools, keep it running: make demo KEEP=1", highlight=False)
        return
    exports = "\n".join(
        f"export {name}={shlex.quote(value)}"
        for name, value in stack.settings.items()
        if not name.startswith("AzureFunctionsJobHost")
    )
    files = f"{COPY}/parquet/{RECORDS.name}/date=*/hour=*/*.parquet"
    query = f"duckdb.read_parquet('{files}').aggregate('EventName, count(*)').show()"
    history = f"print(deltalake.DeltaTable('{COPY}/parquet/{RECORDS.name}').history(3))"
    port = stack.azurite.port
    for prose, commands in (
        (
            "[bold]The command line[/], in another terminal:",
            (
                f"{exports}\n"
                ".venv/bin/python -m shared status\n"
                ".venv/bin/python -m shared audit\n"
                ".venv/bin/python -m shared delta\n"
                ".venv/bin/python -m shared report --output report.html"
            ),
        ),
        (
            (
                '[bold]Azure Storage Explorer[/]: choose "Connect to Azure Storage", "Local storage '
                f'emulator", blobs port {port}. The containers are {OUTPUT} and {REJECTED}. Any other tool '
                "connects with OutputStorage above."
            ),
            "",
        ),
        (
            (
                f"[bold]Event Hub[/] {HUB}, consumer group {GROUP}: any client connects with "
                "EventHubConnection above."
            ),
            "",
        ),
        (
            f"[bold]DuckDB[/], on a copy of the output in {COPY}:",
            f'.venv/bin/python -c "import duckdb; {query}"',
        ),
        ("[bold]deltalake[/], on the same copy:", f'.venv/bin/python -c "import deltalake; {history}"'),
    ):
        console.print(f"\n{prose}", highlight=False)
        if commands:  # not wrapped, so that they can be copied
            console.print(commands, highlight=False, soft_wrap=True)
    console.print("\nCtrl+C stops the emulators.")
