"""Measures the whole stack on one machine: the start of a process, the throughput, and the CPU time."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import numpy as np
import orjson

from benchmarks.timing import Figure
from benchmarks.workload import records
from local.stack import HUB, ROOT, Stack
from local.traffic.envelopes import Send
from local.traffic.send import producer, send
from shared.export.commit_telemetry import COMMIT

PARTITIONS = 2
EACH = 50
BATCH = 256
"""Events of a full batch, as in host.json."""
ENVELOPES = 12 * BATCH
FITTED = ((1, BATCH, 48), (1, 32, 96), (EACH, BATCH, 18), (EACH, 16, 96))
"""The runs to which the model is fitted: records per envelope, envelopes per batch, and batches."""
STARTS = 5
FIRST = """
import os, sys, time
class Without:  # other packages import these if they are installed; in Azure they are not
    def find_spec(self, name, path=None, target=None):
        if name in ("aiohttp", "pandas"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
began = time.perf_counter()
import function_app
imported = time.perf_counter()
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
now = time.time_ns() // 1000
partition = HubPartition("benchmark", "start", sys.argv[1])
function_app.exporter.run(partition, [Envelope(0, now, sys.stdin.buffer.read())])
done = time.perf_counter()
os.write(1, f"{done - began} {time.process_time()} {done - imported}".encode())
os._exit(0)  # the collected telemetry has no destination
"""
INSIGHTS = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": (
        "InstrumentationKey=00000000-0000-4000-8000-000000000000;IngestionEndpoint=http://127.0.0.1:9/"
    )
}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """The work of one host on records that were waiting in the hub."""

    records: int
    envelopes: int
    commits: int
    seconds: float
    """Seconds of wall time since it was ready."""
    cpu: Mapping[str, float]
    """CPU seconds of each process in that time."""
    invoked: float
    """Seconds inside invocations."""
    steps: Mapping[str, float]
    """The part of these in each step of its commits."""


def measured() -> dict[str, Figure]:
    """Runs all measurements, and prints where the time goes."""
    with _stack() as stack:
        started = _start(stack)
        run = _run(stack, EACH, ENVELOPES)
    return started | _throughput(run) | _model()


@contextmanager
def _stack(batch: int | None = None) -> Iterator[Stack]:
    """Starts a stack whose batches have this number of envelopes; None: as in host.json."""
    settings = {"OUTPUT_FORMATS": "parquet"}
    if batch:
        for name in ("minEventBatchSize", "maxEventBatchSize"):
            settings[f"AzureFunctionsJobHost__extensions__eventHubs__{name}"] = str(batch)
    with (
        TemporaryDirectory(prefix="benchmark-") as folder,
        Stack(Path(folder), PARTITIONS, settings) as stack,
    ):
        yield stack


def _start(stack: Stack) -> dict[str, Figure]:
    """Measures the import of the app and its first invocation, in new processes."""
    plain = [_first(stack, n) for n in range(STARTS + 1)][1:]  # the first one reads the files from disk
    telling = [_first(stack, n + len(plain) + 1, INSIGHTS) for n in range(STARTS)]
    found = {}
    for name, runs in (("cold start", plain), ("cold start with Application Insights", telling)):
        wall, cpu, first = map(list, zip(*runs, strict=True))
        found[name] = Figure(wall, "s")
        found[f"{name}, CPU"] = Figure(cpu, "s")
        found[f"{name}, its first invocation"] = Figure(first, "s")
    return found


def _first(
    stack: Stack, partition: int, settings: Mapping[str, str] = MappingProxyType({})
) -> tuple[float, float, float]:
    """Returns the seconds and CPU seconds of both, and the seconds of the invocation, for a new partition."""
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", FIRST, str(partition)],
        cwd=ROOT,
        env={**os.environ, **stack.settings, **settings},
        input=orjson.dumps({"records": list(records(EACH, datetime.now(UTC) - timedelta(minutes=10)))}),
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    wall, cpu, first = map(float, run.stdout.split())
    return wall, cpu, first


def _run(stack: Stack, each: int, envelopes: int) -> Run:
    """Exports records that are waiting in the hub with one host."""
    asyncio.run(_fill(stack, each, envelopes))
    host = stack.host()
    pids = {"broker": stack.broker.pid, "host": host.pid, "Azurite": stack.azurite.pid}
    ready = host.wait_ready()
    pids["worker"] = int(ready["worker_pid"])
    before = {name: _cpu(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    exported, commits, invoked = 0, 0, 0.0
    for event in host.events(timeout=60):
        if event["event"] == "invocation" and event["function"] == "export_logs":
            assert event["ok"], event
            exported += event["count"]
            commits += 1
            invoked += event["seconds"]
            if exported >= envelopes:
                break
    took = time.perf_counter() - began
    cpu = {name: _cpu(pid) - before[name] for name, pid in pids.items()}
    steps = _steps(host.log)
    host.stop()
    assert stack.counts().envelopes >= envelopes
    return Run(envelopes * each, envelopes, commits, took, cpu, invoked, steps)


def _throughput(run: Run) -> dict[str, Figure]:
    """Returns the records per second, and prints where the time went."""
    print(f"\n{run.records:,} records through the stack, {EACH} to an envelope, in {run.seconds:.1f} s")
    print("CPU seconds: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in run.cpu.items()))
    print(
        f"of {run.invoked:.2f} s in invocations: "
        + ", ".join(f"{name} {part:.2f}" for name, part in run.steps.items())
    )
    return {
        "stack, records/s": Figure([run.records / run.seconds]),
        "stack, worker CPU": Figure([1e6 * run.cpu["worker"] / run.records], "µs a record"),
    }


def _model() -> dict[str, Figure]:
    """Fits a worker's CPU time for a record, an envelope and a commit to several runs."""
    print("\nrecords  envelopes  commits  worker's CPU s  by the model")
    runs = []
    for each, batch, batches in FITTED:
        with _stack(batch) as stack:
            runs.append(_run(stack, each, batch * batches))
    took = np.array([run.cpu["worker"] for run in runs])
    counts = np.array([(run.records, run.envelopes, run.commits) for run in runs])
    found = np.linalg.lstsq(counts / took[:, None], np.ones(len(runs)))[0]  # smallest relative errors
    for run, fitted in zip(runs, counts @ found, strict=True):
        print(
            f"{run.records:7}  {run.envelopes:9}  {run.commits:7}  {run.cpu['worker']:14.2f}  {fitted:12.2f}"
        )
    record, envelope, commit = found.tolist()
    return {
        "model, CPU of a record": Figure([1e6 * record], "µs"),
        "model, CPU of an envelope": Figure([1e6 * envelope], "µs"),
        "model, CPU of a commit": Figure([1e3 * commit], "ms"),
    }


async def _fill(stack: Stack, each: int, envelopes: int) -> None:
    began = datetime.now(UTC) - timedelta(minutes=10)
    async with producer(stack.broker.connection_string, HUB) as client:
        await send(_sends(began, each, envelopes), client)


def _sends(began: datetime, each: int, envelopes: int) -> Iterator[Send]:
    for n, some in enumerate(batched(records(envelopes * each, began), each, strict=True)):
        yield Send(str(n % PARTITIONS), orjson.dumps({"records": some}))


def _cpu(pid: int) -> float:
    """Returns the CPU seconds of a process so far, including its threads."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def _steps(log: str) -> Counter[str]:
    """Returns the seconds of each step of the commits in a worker's log."""
    total: Counter[str] = Counter()
    for line in log.splitlines():
        before, found, after = line.partition(f" {COMMIT} {{")
        if found and "shared.export.exporter" in before:
            total.update(orjson.loads("{" + after)["seconds"])
    return total
