"""Compares host.json `minEventBatchSize` 1 with 64 and `maxWaitTime` 30 s: freshness, commits, cost.

Days of sparse traffic would take too long, so time is virtual: Poisson arrivals go through the batching of
the local Functions host (`local/emulators/functions_host/batches.py`), which follows the real trigger.
`--validate` compares some points with the real app on the local stack. Azure Monitor's delay of minutes is
not included.
"""

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timing import Figure
from benchmarks.workload import records
from local.emulators.functions_host.batches import Batches
from local.stack import HUB, OUTPUT, Stack
from local.traffic.envelopes import Send
from local.traffic.send import producer, send
from shared.commands import cost_model
from shared.commands.cost_model import Workload
from shared.tables.websocket_connection_logs import RECORDS

PRICES = cost_model.prices(Path(cost_model.__file__).with_name("prices.json").read_bytes())
PARTITIONS = 4
MONTH = 30.4 * 86400
"""Seconds in a month."""
MESSAGES = 20_000
"""Messages of one partition, at each point."""
RATES = (0.1, 1, 100, 1000)
"""Records per second, in all partitions."""
EACH = (1, 20, 200)
"""Records in a message."""
CALL = 0.05
"""Seconds of a storage call, as docs/sizing.md assumes."""
COMMIT = 0.05 + 3 * CALL
"""Seconds of an invocation: stage, ledger and publish, one after the other, and everything else."""


@dataclass(frozen=True, slots=True)
class Batching:
    """The settings of host.json that decide when a batch is dispatched."""

    minimum: int
    wait: float
    maximum: int = 256

    @property
    def name(self) -> str:
        """Returns the settings as the table shows them."""
        return "1" if self.minimum == 1 else f"{self.minimum}, {self.wait:.0f} s"


CHOICES = (Batching(1, 30), Batching(64, 30))
POINTS = ((1, 1), (100, 20), (100, 200), (1000, 200))
"""The points that the stack repeats: records per second, and records in a message."""
SECONDS = 120
"""Seconds of traffic at each of these points."""
POLL = 0.05
"""Seconds between two listings of what is visible."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The outcome for the messages of one partition."""

    fresh: np.ndarray
    """For each message, the seconds until it was visible."""
    commits: int
    seconds: float

    def percentile(self, share: float) -> float:
        """Returns the seconds within which this share of the messages (in %) was visible."""
        return float(np.percentile(self.fresh, share))


def simulated(
    batching: Batching,
    messages_a_second: float,
    commit: float,
    checkpoint: float,
    seed: int,
    messages: int = MESSAGES,
) -> Seen:
    """Simulates one partition in virtual time; `commit` and `checkpoint`: their durations in seconds."""
    choose = random.Random(seed)
    batches: Batches[float] = Batches(batching.minimum, batching.maximum, batching.wait, checkpoint_age=0)
    now, due, left = 0.0, 0.0, messages
    arrival = choose.expovariate(messages_a_second)
    fresh: list[float] = []
    commits = 0
    while left or len(batches):
        while left and arrival <= now:
            if not len(batches):
                due = arrival + (batching.wait if batching.minimum > 1 else 0)
            batches.add([arrival], arrival)
            arrival += choose.expovariate(messages_a_second)
            left -= 1
        batch = batches.take(now)
        if batch is None:
            waits = [arrival] if left else []
            now = min([*waits, due]) if len(batches) and due > now else min(waits, default=due + 1e-6)
            continue
        now += commit
        fresh += [now - enqueued for enqueued in batch.events]
        commits += 1
        now += checkpoint
        due = now - commit - checkpoint + batching.wait  # of what is left
    return Seen(np.array(fresh), commits, now)


def cost(commits_a_month: float, rate: float, each: int) -> float:
    """Returns the maximum USD per month for this number of commits, by the formulas of docs/sizing.md."""
    symbols = cost_model.values(Workload(R=rate * 86400, r=each, P=PARTITIONS)) | {"N": commits_a_month}
    for name in ("F", "C"):
        symbols[name] = cost_model.evaluate(cost_model.DERIVED[name][1], symbols)
    return sum(
        PRICES[price].of(cost_model.evaluate(formula, symbols))
        for formula, price in cost_model.LINES.values()
    )


def table() -> Iterator[str]:
    """Yields the comparison as Markdown."""
    yield (
        "| records/s | records per message | minimum | p50, s | p99, s | commits a month | files a day"
        " | USD a month |"
    )
    yield "| --- " * 8 + "|"
    for rate in RATES:
        for each in EACH:
            for batching in CHOICES:
                seen = simulated(batching, rate / each / PARTITIONS, COMMIT, CALL, seed=1)
                month = seen.commits * PARTITIONS * MONTH / seen.seconds
                yield (
                    f"| {rate:,} | {each} | {batching.name} | {seen.percentile(50):.1f}"
                    f" | {seen.percentile(99):.1f} | {month:,.0f} | {month / 30.4:,.0f}"
                    f" | {cost(month, rate, each):,.0f} |"
                )


async def _trickle(stack: Stack, seconds: float, rate: float, each: int) -> int:
    """Sends messages at random times to random partitions; returns their number."""
    choose = random.Random(1)
    sent, clock = 0, asyncio.get_running_loop().time
    until = clock() + seconds
    due = clock() + choose.expovariate(rate / each)
    async with producer(stack.broker.connection_string, HUB) as client:
        while due < until:
            body = orjson.dumps({"records": list(records(each, datetime.now(UTC)))})
            await asyncio.sleep(due - clock())
            await send(iter([Send(str(choose.randrange(PARTITIONS)), body)]), client)
            sent += 1
            due += choose.expovariate(rate / each)
    return sent


def _watch(stack: Stack, visible: dict[tuple[str, int], float], stop: Event) -> None:
    """Notes for each message how many seconds after it was enqueued the last of its rows was visible."""
    container, read = stack.container(OUTPUT), set[str]()
    while not stop.wait(POLL):
        listed = set(container.list_blob_names(name_starts_with=f"parquet/{RECORDS.name}/date="))
        now = time.time()
        for name in listed - read:
            columns = ["_EventHubPartition", "_SequenceNumber", "_EnqueuedTime"]
            table = pq.read_table(pa.BufferReader(container.download_blob(name).readall()), columns=columns)
            for partition, number, enqueued in set(zip(*table.to_pydict().values(), strict=True)):
                visible[partition, number] = now - enqueued.timestamp()
        read |= listed


def validated(batching: Batching, rate: float, each: int) -> str:
    """Runs one point on the local stack with the real app, and in the model with the measured duration.

    Returns:
        a row of Markdown: what was measured, and in parentheses the range of five runs of the model.
    """
    prefix = "AzureFunctionsJobHost__extensions__eventHubs__"
    settings = {
        "OUTPUT_FORMATS": "parquet",
        f"{prefix}minEventBatchSize": str(batching.minimum),
        f"{prefix}maxWaitTime": f"00:00:{batching.wait:02.0f}",
    }
    visible: dict[tuple[str, int], float] = {}
    with (
        TemporaryDirectory(prefix="benchmark-") as folder,
        Stack(Path(folder), PARTITIONS, settings) as stack,
    ):
        host = stack.host()
        host.wait_ready()
        stop = Event()
        watch = Thread(target=_watch, args=(stack, visible, stop))
        watch.start()
        messages = asyncio.run(_trickle(stack, SECONDS, rate, each))
        commits, spent, deadline = 0, 0.0, time.monotonic() + 2 * batching.wait + 10
        for event in host.events(timeout=60):
            if event["event"] == "invocation" and event["function"] == "export_logs":
                commits, spent = commits + 1, spent + event["seconds"]
            if len(visible) == messages or time.monotonic() > deadline:
                break
        stop.set()
        watch.join()
        host.stop()
    if len(visible) != messages:
        raise RuntimeError(f"{len(visible)} of {messages} messages became visible")
    runs = [
        simulated(batching, rate / each / PARTITIONS, spent / commits, 0.01, seed, messages // PARTITIONS)
        for seed in range(5)
    ]
    fresh = list(visible.values())
    cells = [f"{rate:,}", str(each), batching.name, str(messages)]
    for one, modeled, digits in (
        (commits, [run.commits * PARTITIONS for run in runs], 0),
        (np.percentile(fresh, 50), [run.percentile(50) for run in runs], 1),
        (np.percentile(fresh, 99), [run.percentile(99) for run in runs], 1),
    ):
        cells.append(f"{one:.{digits}f} ({min(modeled):.{digits}f} to {max(modeled):.{digits}f})")
    return f"| {' | '.join(cells)} |"


def measured() -> dict[str, Figure]:
    """Prints the table; returns the freshness that host.json gives at one record a second."""
    print("\n" + "\n".join(table()))
    seen = simulated(CHOICES[-1], 1 / PARTITIONS, COMMIT, CALL, seed=1)
    return {f"freshness, p{share}": Figure([seen.percentile(share)], "s, modeled") for share in (50, 99)}


def main() -> None:
    """Prints the table; with `--validate`, compares some points with the stack first."""
    if "--validate" in sys.argv:
        print("| records/s | records per message | minimum | messages | commits | p50, s | p99, s |")
        print("| --- " * 7 + "|")
        for rate, each in POINTS:
            for batching in CHOICES:
                print(validated(batching, rate, each), flush=True)
    print("\n".join(table()))


if __name__ == "__main__":
    main()
