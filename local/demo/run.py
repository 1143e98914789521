"""Runs the pipeline locally on generated traffic and checks it against the ground truth."""

import argparse
import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.demo import delta, drive, show
from local.demo.report import location, report
from local.emulators import child
from local.emulators.azurite import AzuriteError
from local.stack import HUB, Stack
from local.traffic.check import Records, check, check_durations
from local.traffic.generate import Traffic, generate
from local.traffic.send import next_sequences, producer, send
from local.traffic.truth import OTHER_ROWS, ROW
from shared.matching.sample import samples
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES, categories, of_categories
from shared.tables.table import Table
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import SECOND
from shared.wording import counted

EXIT_WRONG, EXIT_FAILED = 1, 2
PARTITIONS = 4


def run() -> int:
    """Runs the demo and prints the result in its last line; returns the exit status."""
    options = arguments()
    console = Console()
    # The name is known before the folder exists, so that any interruption removes it.
    folder = Path(tempfile.gettempdir()) / f"websocket-logs-demo-{os.getpid()}"
    try:
        settings = {"EXPORT_CATEGORIES": ",".join(categories()), "DELTA_LOG": "true"}
        with Stack(folder, PARTITIONS, settings, ports=(options.blob_port, options.hub_port)) as stack:
            status = demonstrate(stack, console, options)
            show.print_next_steps(console, stack, kept=options.keep)
            if options.keep:
                stay(stack, console)
    except (AzuriteError, RuntimeError) as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return EXIT_FAILED
    finally:
        child.end_all()
        shutil.rmtree(folder, ignore_errors=True)
    return status


def arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--connections", type=int, default=10_000, help="number of connections in the traffic"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the traffic; equal seeds give equal traffic"
    )
    parser.add_argument("--bad", type=float, default=0.01, help="share of bad records")
    parser.add_argument("--foreign", type=float, default=0.45, help="share of records of other categories")
    parser.add_argument("--blob-port", type=int, default=0, help="port of Azurite; 0 chooses a free one")
    parser.add_argument(
        "--hub-port", type=int, default=0, help="port of the Event Hubs broker; 0 chooses a free one"
    )
    parser.add_argument("--keep", action="store_true", help="keep the emulators running at the end")
    return parser.parse_args()


def demonstrate(stack: Stack, console: Console, options: argparse.Namespace) -> int:
    """Sends traffic, exports it, and compares the output with the ground truth."""
    now = datetime.now(UTC)
    traffic = generate(
        options.seed,
        options.connections,
        now - timedelta(hours=4),
        now,
        bad=options.bad,
        foreign=options.foreign,
        exported=categories(),
    )
    bars = Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    with bars:
        expected = sent(stack, traffic, bars)
        task = bars.add_task("export", total=sum(expected.values()))
        began = time.monotonic()
        drained = drive.drain(stack, expected, lambda done: bars.update(task, completed=done))
        seconds = time.monotonic() - began
        finished = bars.add_task("finish", total=options.connections)
        drive.finish(
            stack, drained.host, options.connections, lambda done: bars.update(finished, completed=done)
        )
    delta.update_logs(drained.host)
    drained.host.stop()
    tables = {table: stack.table(table.name) for table in TABLES.values()}
    records, connections = tables[RECORDS], tables[CONNECTIONS]
    counts = stack.counts()
    rejected = stack.rejected()
    show.output(console, stack.files(""), records, connections)
    console.print(
        f"{counted(counts.records, 'record')} in {counted(sum(expected.values()), 'envelope')} "
        f"from {PARTITIONS} partitions, exported in {seconds:.0f} s; the host was killed once, and "
        f"{counted(drained.redelivered, 'envelope was', 'envelopes were')} delivered again",
        highlight=False,
    )
    for sample in samples(location(stack).files, int(time.time()) * SECOND):
        console.print(sample.sentence, highlight=False)
    page = report(stack, now - timedelta(hours=5), datetime.now(UTC))
    console.print(f"report: open {page} in a browser", highlight=False)
    results = compared(traffic, tables, rejected, counts.skipped, console)
    durations = check_durations(traffic.truth, connections)
    for example in durations.examples:
        console.print(f"[red]{example}[/]", highlight=False)
    balanced = counts.records == counts.rows + sum(counts.rejected.values()) + counts.skipped
    print(
        f"durations: {counted(durations.connections, 'connection')}, {durations.exact} exact, "
        f"{durations.wrong} wrong, "
        f"{durations.missing} missing"
    )
    rows, lost, duplicated = (
        sum(getattr(one, name) for one in results) for name in ("rows", "lost", "duplicated")
    )
    same = delta.compare(stack, traffic.truth)
    print(
        f"demo: {counted(counts.records, 'record')} in, {counted(rows, 'row')}, "
        f"{sum(rejected.values())} rejected, "
        f"{counts.skipped} skipped, {lost} lost, {duplicated} duplicated",
        flush=True,
    )
    exact = all(one.exact for one in results) and not (durations.wrong or durations.missing)
    good = exact and balanced and same
    return 0 if good else EXIT_WRONG


def compared(
    traffic: Traffic,
    tables: Mapping[Table, pa.Table],
    rejected: Mapping[str, int],
    skipped: int,
    console: Console,
) -> list[Records]:
    """Compares the rows of each category with the truth, and prints the result of each."""
    results = []
    for category, table in zip(categories(), of_categories(categories()), strict=True):
        outcome = OTHER_ROWS.get(category, ROW)
        found = check(traffic.truth, tables[table], outcome=outcome, rejected=rejected, skipped=skipped)
        console.print(
            f"{table.name}: {counted(found.rows, 'row')}, {found.lost} lost, {found.duplicated} duplicated",
            highlight=False,
        )
        for example in found.examples:
            console.print(f"[red]{example}[/]", highlight=False)
        results.append(found)
    return results


def sent(stack: Stack, traffic: Traffic, bars: Progress) -> dict[str, int]:
    """Sends the traffic; returns the sequence number after the last one of each partition."""
    task = bars.add_task("send", total=len(traffic.sends))

    async def go() -> dict[str, int]:
        async with producer(stack.broker.connection_string, HUB) as client:
            await send(traffic.sends, client, progress=lambda done: bars.update(task, completed=done))
            return await next_sequences(client)

    return asyncio.run(go())


def stay(stack: Stack, console: Console) -> None:
    """Keeps the emulators running until Ctrl+C, with a copy of the output."""
    shutil.rmtree(show.COPY, ignore_errors=True)
    stack.download(stack.files(""), show.COPY)
    try:
        while True:
            signal.pause()
    except child.Interrupted:
        console.print("stopped")
