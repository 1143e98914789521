"""The whole on one machine: how soon a fresh process works, and records through broker, worker and Azurite."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from benchmarks.timing import Figure
from benchmarks.workload import records
from local.stack import HUB, ROOT, Stack
from local.traffic.send import producer, send
from local.traffic.sends import Send
from shared.telemetry import COMMIT

SOURCES = 2
EACH = 50
ENVELOPES = 3_072
"""Twelve full batches."""
STARTS = 5
FIRST = """
import sys, time
class Without:  # pyarrow would load it: a tool of the benchmarks that is not there in Azure
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
began = time.perf_counter()
import function_app
imported = time.perf_counter()
from shared.envelope import Envelope, Source
now = time.time_ns() // 1000
source = Source("benchmark", "start", sys.argv[1])
function_app.exporter.run(source, [Envelope(0, now, sys.stdin.buffer.read())])
done = time.perf_counter()
sys.stdout.write(f"{imported - began} {done - imported}")
"""
TICKS = os.sysconf("SC_CLK_TCK")


def measured() -> dict[str, Figure]:
    """Both, in one stack; prints where the time goes."""
    with TemporaryDirectory(prefix="benchmark-") as folder:
        settings = {"OUTPUT_FORMATS": "parquet"}
        with Stack(Path(folder), SOURCES, settings) as stack:
            return _start(stack) | _throughput(stack)


def _start(stack: Stack) -> dict[str, Figure]:
    """Import of the app, and its first invocation, in fresh processes."""
    body = orjson.dumps({"records": list(records(EACH, datetime.now(UTC) - timedelta(minutes=10)))})
    found: list[tuple[float, float]] = []
    for n in range(STARTS + 1):
        run = subprocess.run(
            [sys.executable, "-c", FIRST, str(n)],
            cwd=ROOT,
            env=os.environ | stack.settings,
            input=body,
            stdout=subprocess.PIPE,
            check=True,
        )
        imported, first = map(float, run.stdout.split())
        if n:  # the first one reads the files from disk
            found.append((imported, first))
    return {
        "cold start, import": Figure([one for one, _ in found], "s"),
        "cold start, first invocation": Figure([two for _, two in found], "s"),
        "cold start": Figure([one + two for one, two in found], "s"),
    }


def _throughput(stack: Stack) -> dict[str, Figure]:
    """Records that wait in the hub, exported by one host."""
    asyncio.run(_fill(stack))
    host = stack.host()
    pids = {"broker": stack.broker.pid, "host": host.pid, "Azurite": stack.azurite.pid}
    ready = host.wait_ready()
    pids["worker"] = int(ready["worker_pid"])
    before = {name: _cpu(pid) for name, pid in pids.items()}
    began = datetime.now(UTC)
    exported, invoked = 0, 0.0
    for event in host.events(timeout=60):
        if event["event"] == "invocation" and event["function"] == "export_logs":
            assert event["ok"], event
            exported += event["count"]
            invoked += event["seconds"]
            if exported >= ENVELOPES:
                break
    took = (datetime.now(UTC) - began).total_seconds()
    cpu = {name: _cpu(pid) - before[name] for name, pid in pids.items()}
    steps = _steps(host.log)
    host.stop()
    assert stack.counts().rows == ENVELOPES * EACH + (STARTS + 1) * EACH
    total = ENVELOPES * EACH
    print(f"\n{total:,} records through the stack, {EACH} to an envelope, in {took:.1f} s")
    print("CPU seconds: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in cpu.items()))
    print(f"of {invoked:.2f} s in invocations: " + ", ".join(f"{name} {part:.2f}" for name, part in steps.items()))
    return {
        "stack, records/s": Figure([total / took]),
        "stack, worker CPU": Figure([1e6 * cpu["worker"] / total], "µs a record"),
    }


async def _fill(stack: Stack) -> None:
    began = datetime.now(UTC) - timedelta(minutes=10)
    async with producer(stack.broker.connection_string, HUB) as client:
        await send(_sends(began), client)


def _sends(began: datetime) -> Iterator[Send]:
    for n, some in enumerate(batched(records(ENVELOPES * EACH, began), EACH, strict=True)):
        yield Send(str(n % SOURCES), orjson.dumps({"records": some}))


def _cpu(pid: int) -> float:
    """CPU seconds of a process so far, those of its threads too."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def _steps(log: str) -> Counter[str]:
    """Seconds of each step of the commits in a worker's log."""
    total: Counter[str] = Counter()
    for line in log.splitlines():
        before, found, after = line.partition(f" {COMMIT} {{")
        if found and "shared.export" in before:
            total.update(orjson.loads("{" + after)["seconds"])
    return total
