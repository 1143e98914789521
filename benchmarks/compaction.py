"""Measures two typical queries before and after compaction, with DuckDB on files of a local disk."""

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.timing import Figure
from benchmarks.workload import LEDGER, NOW, PARTITION, Nothing, envelopes
from shared import digests
from shared.compaction import grouping
from shared.compaction.compactor import Compactor
from shared.connections.observations import enrich
from shared.input.validation import validate
from shared.output import parquet
from shared.policies import CompactionPolicy, ExportPolicy
from shared.protocol.ledger import Ledger, PendingFile, StagedFile
from shared.tables import connection_revisions, websocket_connection_logs
from shared.timeunits import HOUR
from tests.memory import MemoryStorage

BEGAN = NOW // (24 * HOUR) * 24 * HOUR
DAYS = 30
RECORDS = websocket_connection_logs.RECORDS.name
CONNECTIONS = connection_revisions.CONNECTIONS.name
BACKENDS = pa.array([f"backend-{n}.example" for n in range(12)])


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the generated container."""

    day_files: int = 60
    """Files of connections in each hour of one day: one per minute."""
    day_rows: int = 500
    month_files: int = 6
    """Files of records in each hour of a month."""
    month_rows: int = 400


def compare(rounds: int = 5, size: Size | None = None) -> dict[str, Figure]:
    """Runs both queries on small files and on compacted ones; returns ratios by name."""
    size = size or Size()
    results: dict[str, Figure] = {}
    storage = MemoryStorage(lambda: NOW)
    wanted = fill(storage, size)
    questions = {
        "percentiles of a day": percentiles,
        "an id in a month": lambda root: by_id(root, wanted),
    }
    with tempfile.TemporaryDirectory() as temporary:
        before, after = Path(temporary) / "before", Path(temporary) / "after"
        written = {"before": dump(storage, before)}
        seconds = compact(storage)
        written["after"] = dump(storage, after)
        for name, (files, bytes_) in written.items():
            print(f"{name:8} {files:6,} files {bytes_ / 1e6:8.1f} MB")
        print(f"compacted in {seconds:.1f} s CPU")
        for name, question in questions.items():
            costs = [asked(question, root, rounds) for root in (before, after)]
            print(f"\n{name}")
            for label, cost in zip(written, costs, strict=True):
                print(f"{label:8} {cost}")
            one, other = costs
            assert one.answer == other.answer
            results[f"{name}, time before/after swaps"] = Figure([one.ms / other.ms])
            results[f"{name}, bytes read before/after swaps"] = Figure([one.read / other.read])
    return results


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one query."""

    ms: float
    read: int
    calls: int
    answer: Any

    def __str__(self) -> str:
        return f"{self.ms:8.1f} ms {self.read / 1e6:9.2f} MB read in {self.calls:,} reads"


def asked(question: Callable[[Path], Any], root: Path, rounds: int) -> Cost:
    """Returns wall time with a warm file cache, and the bytes read from files according to Linux."""
    times = []
    for _ in range(rounds + 1):
        read, began = _io(), time.perf_counter()
        answer = question(root)
        times.append(1000 * (time.perf_counter() - began))
        bytes_, calls = (after - before for after, before in zip(_io(), read, strict=True))
    return Cost(median(times[1:]), bytes_, calls, answer)


def percentiles(root: Path) -> Any:
    """Queries how long connections lasted on one day, by destination."""
    day = datetime.fromtimestamp(BEGAN / 1e6, UTC).strftime("%Y-%m-%d")
    return _ask(
        f"""SELECT Destination, count(*), quantile_cont(DurationMs, [0.5, 0.95, 0.99])
        FROM read_parquet('{root}/parquet/{CONNECTIONS}/**/*.parquet', hive_partitioning = true)
        WHERE date = '{day}' GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - our own names
    )


def by_id(root: Path, wanted: str) -> Any:
    """Queries all records of one connection at some time in a month."""
    return _ask(
        f"""SELECT epoch_us(TimeGenerated), EventName, Destination
        FROM read_parquet('{root}/parquet/{RECORDS}/**/*.parquet', hive_partitioning = true)
        WHERE CorrelationId = '{wanted}' ORDER BY ALL"""  # noqa: S608 - our own names
    )


def _ask(query: str) -> Any:
    with duckdb.connect(config={"threads": 2}) as database:
        return database.execute(query).fetchall()


def _io() -> tuple[int, int]:
    """Returns the bytes and calls with which this process has read so far."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"]), int(lines["syscr"])


# -- the container -----------------------------------------------------------------------------------


def fill(storage: MemoryStorage, size: Size) -> str:
    """Writes a day of finished connections and a month of records; returns the id of a connection."""
    storage.put(Ledger.name(PARTITION), LEDGER.dump())
    rng = np.random.default_rng(1)
    base = enrich(validate(PARTITION, envelopes(100, 50), ExportPolicy()).table, Nothing())[0]
    wanted = ""
    for hour in range(24 * DAYS):
        began = BEGAN + (23 - hour) * HOUR
        ids = names(rng, size.month_files * size.month_rows // 4)
        if hour == 12 * DAYS:
            wanted = ids[0].as_py()
        for file in range(size.month_files):
            put(storage, RECORDS, began, file, records(rng, base, began, file, ids, size))
        if hour < 24:  # noqa: PLR2004 - a day
            for file in range(size.day_files):
                put(storage, CONNECTIONS, began, file, connections(rng, began, size.day_rows))
    return str(wanted)


def names(rng: np.random.Generator, number: int) -> pa.Array:
    return pa.array([str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(number)])


def records(
    rng: np.random.Generator, base: pa.Table, began: int, file: int, ids: pa.Array, size: Size
) -> pa.Table:
    """Generates records; each connection has four, most of them in this file or the next ones."""
    rows = size.month_rows
    table = base.slice(int(rng.integers(0, base.num_rows - rows)), rows)
    times = began + (file * HOUR + np.sort(rng.integers(0, HOUR, rows))) // size.month_files
    which = (file * rows // 4 + rng.integers(0, rows // 2, rows)) % len(ids)
    columns = {
        "TimeGenerated": pa.array(times).cast(pa.timestamp("us", "UTC")),
        "CorrelationId": ids.take(pa.array(which)),
        "Destination": BACKENDS.take(pa.array(rng.integers(0, 12, rows))),
        "_SequenceNumber": pa.array(np.arange(rows) // 50 + began // HOUR * 1000 + file),
    }
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    return table


def connections(rng: np.random.Generator, began: int, rows: int) -> pa.Table:
    columns: dict[str, Any] = {}
    ends = began + rng.integers(0, HOUR, rows)
    durations = np.round(rng.lognormal(10, 2, rows) * 1000).astype(np.int64)
    for field in connection_revisions.CONNECTIONS.arrow:
        match field.name:
            case "CorrelationId":
                columns[field.name] = names(rng, rows)
            case "Destination":
                columns[field.name] = BACKENDS.take(pa.array(rng.integers(0, 12, rows)))
            case "DurationMs" | "ArrivalDurationMs":
                columns[field.name] = pa.array(durations / 1000)
            case "StartTime" | "FirstSeen":
                columns[field.name] = pa.array(ends - durations).cast(field.type)
            case "EndTime" | "LastSeen":
                columns[field.name] = pa.array(ends).cast(field.type)
            case "EventCount" | "Revision":
                columns[field.name] = pa.array(rng.integers(0, 4, rows)).cast(field.type)
            case _:
                columns[field.name] = pa.array([field.name.lower()] * rows)
    return pa.table(columns, schema=connection_revisions.CONNECTIONS.arrow)


def put(storage: MemoryStorage, table: str, began: int, file: int, rows: pa.Table) -> None:
    """Stores a file as the exporter would have left it."""
    commit_id = uuid.uuid4().hex
    hour = datetime.fromtimestamp(began / 1e6, UTC)
    folder = f"parquet/{table}/{hour:date=%Y-%m-%d/hour=%H}/"
    data = parquet.encode(rows, {}, "snappy")
    said = {
        **dict.fromkeys(("ordinal", "incarnation", "commit_files", "commit_rows"), "1"),
        **dict.fromkeys(("files_before", "rows_before", "rejected_before", "skipped_before"), "0"),
        **dict.fromkeys(("envelopes_before", "commit_rejected", "commit_skipped"), "0"),
        "chain_before": digests.GENESIS,
        "manifest_id": "1",
        "partition": str(PARTITION),
        "ledger_id": LEDGER.ledger_id,
        "commit_id": commit_id,
        "sequences": f"{file}-{file}",
        "formats": "parquet",
        "verdict": "new",
        "committed_at": str(began + HOUR),
        "rows": str(rows.num_rows),
        "bytes": str(len(data)),
        "folder": folder,
        "sha256": digests.of_bytes(data),
    }
    listed = PendingFile(
        name=f"{folder}ns-hub-0-i0-{file:020d}-{file}-{commit_id}.parquet",
        block_ids=("0",),
        content_type=parquet.CONTENT_TYPE,
        metadata=said,
        staged_at=0,
    )
    storage.stage([StagedFile(listed, data)])
    storage.publish([listed])


def compact(storage: MemoryStorage) -> float:
    """Compacts everything like the runs of the timer; returns CPU seconds."""
    policy = CompactionPolicy(reach=timedelta(days=DAYS))
    began = time.process_time()
    for run in range(grouping.ROUND):
        now = BEGAN + 48 * HOUR + run * grouping.SLOT
        Compactor(storage, policy, lambda now=now: now, lambda: uuid.uuid4().hex).run(1e9)  # type: ignore[misc]
    return time.process_time() - began


def dump(storage: MemoryStorage, root: Path) -> tuple[int, int]:
    """Writes all visible files to a disk; returns their number and bytes."""
    number = size = 0
    for name, data in _visible(storage):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        number, size = number + 1, size + len(data)
    os.sync()
    return number, size


def _visible(storage: MemoryStorage) -> Iterator[tuple[str, bytes]]:
    for name, blob in sorted(storage.output.items()):
        if blob.data is not None:
            yield name, blob.data


if __name__ == "__main__":
    for name, ratio in compare().items():
        print(f"bench: {name} {ratio}")
