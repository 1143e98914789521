"""Measures a run of the timer and a commit with a given number of connections in the state table.

python -m benchmarks.connections [rows] [observations]
"""

import resource
import sys
import time
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import orjson
import pyarrow as pa

from shared.connections import observations, state_table
from shared.connections.manifest import NAME, Manifest, Part
from shared.connections.observations import OBSERVATIONS, UNKNOWN
from shared.connections.start_times import StartTimes
from shared.connections.timer import Finisher
from shared.export import plan
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.hub import HubState
from shared.protocol.ledger import Ledger, Segment
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Blob
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import MINUTE
from tests.memory import MemoryStorage

NOW = 1_900_000_000_000_000
BATCH = 5_000
PIECE = 60_000
PARTITION = HubPartition("benchmark", "hub", "0")
RESOURCES = tuple(
    f"/subscriptions/{uuid.UUID(int=n)}/resourcegroups/rg/providers/microsoft.apimanagement/service/apim{n}"
    for n in range(10)
)


def ids(numbers: np.ndarray[Any, Any]) -> pa.Array:
    """Returns realistic correlation ids; equal numbers give equal ids."""
    rng = np.random.default_rng(7)
    high = int(rng.integers(1 << 62))
    return pa.array(
        [f"{high ^ n * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF:016x}-{n:019d}" for n in numbers.tolist()]
    )


def made_observations(numbers: np.ndarray[Any, Any], rng: np.random.Generator) -> pa.Table:
    """Returns one observation for each connection with these numbers, from the last two hours."""
    rows = len(numbers)
    first = NOW - rng.integers(0, 120 * MINUTE, rows)
    last = first + rng.integers(0, 10 * MINUTE, rows)
    names = pa.StructArray.from_arrays(
        [
            pa.array(["ConnectionOpened", "MessageReceived"] * rows),
            *(pa.array(np.column_stack([one, two]).ravel()) for one, two in ((first, last), (first, last))),
            pa.array(np.ones(2 * rows, np.int64)),
            pa.nulls(2 * rows, pa.float64()),
        ],
        fields=list(observations.NAMES.value_type),
    )
    columns: dict[str, Any] = {
        "_ResourceId": pa.array(RESOURCES).take(pa.array(numbers % len(RESOURCES))),
        "CorrelationId": ids(numbers),
        "first": first,
        "last": last,
        "first_seen": first + 5 * MINUTE,
        "last_seen": last + 5 * MINUTE,
        "count": np.full(rows, 2),
        "names": pa.ListArray.from_arrays(
            pa.array(np.arange(rows + 1, dtype=np.int32) * 2), names, type=observations.NAMES
        ),
        "Error": pa.nulls(rows, pa.string()),
        **{name: pa.array(["gateway"] * rows) for name in observations.LAST[1:]},
        "Error at": np.full(rows, observations.NEVER),
        **{f"{name} at": last for name in observations.LAST[1:]},
    }
    return pa.table([columns[name] for name in OBSERVATIONS.names], schema=OBSERVATIONS)


class Files(MutableMapping[str, Blob]):
    """Keeps state blobs in files, so that the storage does not use the memory of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Blob:
        path = self._path(name)
        if not path.exists():
            raise KeyError(name)
        return Blob(path.read_bytes(), str(path.stat().st_mtime_ns))

    def __setitem__(self, name: str, blob: Blob) -> None:
        self._path(name).write_bytes(blob.data)

    def __delitem__(self, name: str) -> None:
        self._path(name).unlink()

    def __iter__(self) -> Iterator[str]:
        return (unquote(path.name) for path in self._folder.iterdir())

    def __len__(self) -> int:
        return len(list(self._folder.iterdir()))

    def _path(self, name: str) -> Path:
        return self._folder / quote(name, safe="")


def fill(storage: MemoryStorage, rows: int) -> None:
    """Writes a manifest and a state table with this number of rows."""
    rng = np.random.default_rng(2)
    pieces = [np.arange(begin, min(rows, begin + PIECE)) for begin in range(0, rows, PIECE)]
    hashes = np.concatenate([observations.keys(made_observations(piece, rng)) for piece in pieces])
    parts: list[Part] = []
    for numbers in np.array_split(np.argsort(hashes), len(pieces)):
        table = state_table.keyed([made_observations(numbers, rng)])
        data = observations.dump(table)
        name = state_table.name_of(f"state-table/{0:020d}-{len(parts)}", data)
        storage.put(name, data)
        low = state_table.key_of(table.slice(0, 1)).tobytes().hex()
        parts.append(Part(name=name, low=low, rows=table.num_rows, open=table.num_rows, due=UNKNOWN))
    storage.put(NAME, Manifest(parts=tuple(parts)).dump())


def measure(what: str, work: Callable[[], object]) -> None:
    """Runs a function in a separate process, and prints its cost."""

    def child() -> None:
        pa.set_cpu_count(1)
        began, wall = time.process_time(), time.perf_counter()
        result = work()
        cpu, wall = time.process_time() - began, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{what:50} {cpu:7.2f} s CPU {wall:7.2f} s  peak {peak:5.0f} MB  {result or ''}", flush=True)

    process = get_context("fork").Process(target=child)
    process.start()
    process.join()


class NoHub:
    """Represents a hub that does not answer."""

    def ask(self) -> HubState | None:
        """See shared.protocol.hub.Hub."""
        return None


def main(rows: int, observed: int, folder: Path) -> None:
    """Measures with `rows` rows in the state table and `observed` observations to merge."""
    pa.set_cpu_count(1)
    rng = np.random.default_rng(1)
    storage = MemoryStorage()
    storage.state = Files(folder)  # type: ignore[assignment]
    if rows:
        measure("made the state table", lambda: fill(storage, rows))
        print(f"{rows:,} rows, {sum(path.stat().st_size for path in folder.iterdir()) / rows:.0f} bytes each")
    segments = []
    for n, begin in enumerate(range(0, observed, BATCH)):
        half = BATCH // 2  # half of them new, half known
        numbers = np.concatenate([rng.integers(0, max(1, rows), half), rows + begin + np.arange(half)])
        table = observations.merge([made_observations(np.unique(numbers), rng)])
        name = f"segments/{PARTITION}/l/{n + 1:012d}-x.arrow"
        storage.put(name, observations.dump(table))
        segments.append(Segment(name=name, ordinal=n + 1, observations=table.num_rows, newest=NOW))
    ledger = Ledger(ledger_id="l", partition=str(PARTITION), ordinal=len(segments), segments=tuple(segments))
    storage.put(Ledger.name(PARTITION), ledger.dump())

    tick = count()
    known = StartTimes(storage, 5_000_000, lambda: NOW)
    batch = records(rng, rows)

    def read() -> None:
        known.refresh(ledger)

    def enrich() -> str:
        read()
        return f"{BATCH:,} records: enrich {best(lambda: observations.enrich(batch, known)):.1f} ms"

    def commit() -> str:
        read()
        envelopes = [Envelope(n, NOW, one) for n, one in enumerate(bodies(batch))]
        empty = Ledger(ledger_id="l", partition=str(PARTITION))
        stamp = Stamp("0" * 32, NOW)
        took = best(lambda: plan.plan_commit(PARTITION, envelopes, empty, known, ExportPolicy(), stamp))
        return f"{BATCH:,} records: plan {took:.1f} ms"

    finisher = Finisher(
        storage, NoHub(), FinishPolicy(cap=1 << 30), lambda: NOW, lambda: f"{next(tick):032x}"
    )
    measure("a process reads what is known", read)
    measure("the same, and enriches batches", enrich)
    measure("the same, and plans commits", commit)
    measure(f"a run of the timer, {observed:,} observations", lambda: finisher.run(600))


def best(work: Callable[[], object]) -> float:
    """Returns the minimum CPU milliseconds of 20 runs."""
    times = []
    for _ in range(20):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1000 * min(times)


def bodies(batch: pa.Table) -> Iterator[bytes]:
    """Yields the records as envelopes of 20."""
    rows = [
        {
            "time": f"{np.datetime64(row['TimeGenerated'].replace(tzinfo=None), 'us')}Z",
            "category": "WebSocketConnectionLogs",
            "correlationId": row["CorrelationId"],
            "resourceId": row["_ResourceId"],
            "properties": {"eventName": row["EventName"]},
        }
        for row in batch.to_pylist()
    ]
    return (orjson.dumps({"records": rows[at : at + 20]}) for at in range(0, len(rows), 20))


def records(rng: np.random.Generator, rows: int) -> pa.Table:
    """Returns a batch of records of known connections, if any are known."""
    numbers = rng.integers(0, rows or 600_000, BATCH)
    times = NOW + rng.integers(0, MINUTE, BATCH)
    columns: dict[str, Any] = {field.name: pa.nulls(BATCH, field.type) for field in RECORDS.arrow}
    columns |= {
        "TimeGenerated": pa.array(times).cast(pa.timestamp("us", "UTC")),
        "_EnqueuedTime": pa.array(times + MINUTE).cast(pa.timestamp("us", "UTC")),
        "CorrelationId": ids(numbers),
        "EventName": pa.array(["MessageReceived"] * BATCH),
        "_ResourceId": pa.array(RESOURCES).take(pa.array(numbers % len(RESOURCES))),
    }
    schema = pa.schema([field.with_nullable(nullable=True) for field in RECORDS.arrow])
    return pa.table([columns[name] for name in schema.names], schema=schema)


if __name__ == "__main__":
    wanted = [int(one) for one in sys.argv[1:]] or [600_000, 100_000]
    with TemporaryDirectory() as temporary:
        main(wanted[0], wanted[1], Path(temporary))
