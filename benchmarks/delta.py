"""Measures what a Delta log costs: runs of compact_logs, and opening it, by the number of files.

Run it on demand: `python -m benchmarks.delta`. Listings are generated while they are read, so the memory is
that of the run alone; data files are never opened.
"""

import resource
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pyarrow as pa

from benchmarks.timing import HEADER, Job, interleaved
from benchmarks.workload import LEDGER, PARTITION
from shared.compaction.compactor import Compactor
from shared.delta.log import DeltaLog
from shared.policies import CompactionPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.storage import Blob, BlobInfo
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, MINUTE
from tests.memory import PAGE, CountingStorage, Output

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = round(BEGAN.timestamp() * 1e6)
FOLDER = f"parquet/{RECORDS.name}/"
LARGE = 100 << 20
"""Bytes of a compacted file, which is too large to be compacted again."""
VERSIONS = 19
"""Maximum versions after the last checkpoint that a reader finds: the next one leads to a checkpoint."""


@dataclass(frozen=True, slots=True)
class Size:
    """A table as compaction leaves it: large files of past hours, and small ones of the last two hours."""

    files: int
    days: int
    minute: int
    """New files each minute."""

    @property
    def name(self) -> str:
        """Returns its description in the table."""
        return f"{self.files:,} files in {self.days} days, {self.minute} a minute"


SIZES = (Size(2_500, 30, 8), Size(20_000, 365, 8), Size(80_000, 365, 300))


class MadeUpStorage(CountingStorage):
    """Lists data files that do not exist; everything else is kept in memory."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.upto = NOW
        """Files that were committed by this time are listed, µs since 1970 UTC."""

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        """See MemoryStorage."""
        if "date=" not in prefix:
            yield from super().outputs(prefix)
            return
        self.calls["outputs"] += 1
        for number, file in enumerate(self._files(prefix), 1):
            yield file
            self.calls["outputs"] += number % PAGE == 0

    def _files(self, prefix: str) -> Iterator[BlobInfo]:
        if not prefix.startswith(FOLDER):
            return
        small = 120 * self.size.minute
        hours = 24 * self.size.days
        each, more = divmod(self.size.files - small, hours)
        for age in range(hours + 1, 1, -1):
            hour = NOW - age * HOUR
            if prefix in _folder(hour) or _folder(hour).startswith(prefix):
                for number in range(each + (age - 2 < more)):
                    yield self._file(hour, HOUR, number, LARGE, compacted=True)
        for minute in range((self.upto - NOW) // MINUTE + 120):
            at = NOW - 2 * HOUR + minute * MINUTE
            if _folder(at).startswith(prefix):
                for number in range(self.size.minute):
                    yield self._file(at, MINUTE, number, 20_000, compacted=False)

    @staticmethod
    def _file(at: int, lasts: int, number: int, size: int, *, compacted: bool) -> BlobInfo:
        commit_id = f"{at + number:032x}"
        folder = _folder(at)
        metadata = {
            **dict.fromkeys(("ordinal", "incarnation", "commit_files", "commit_rows"), "1"),
            **dict.fromkeys(("files_before", "rows_before", "rejected_before", "skipped_before"), "0"),
            **dict.fromkeys(("envelopes_before", "commit_rejected", "commit_skipped"), "0"),
            "chain_before": "0" * 64,
            "partition": str(PARTITION),
            "ledger_id": "l",
            "commit_id": commit_id,
            "sequences": f"{number}-{number}",
            "formats": "parquet",
            "verdict": "new",
            "committed_at": str(at + lasts),
            "rows": "1000",
            "bytes": str(size),
            "folder": folder,
            "sha256": "0" * 64,
            "times": f"{at}-{at + lasts - 1}",
        }
        if compacted:
            metadata["compacted"] = "480"
        kind = "compacted" if compacted else "ns-hub-3-i0"
        return BlobInfo(f"{folder}{kind}-{number:020d}-{number}-{commit_id}.parquet", size, metadata)


def _folder(at: int) -> str:
    return f"{FOLDER}{datetime.fromtimestamp(at // 1_000_000, UTC):date=%Y-%m-%d/hour=%H}/"


@dataclass(slots=True)
class Cost:
    """The cost of one run."""

    cpu: float
    """CPU time in seconds."""
    memory: float
    """Peak MB beyond the process."""
    calls: Counter[str]
    output: dict[str, Output]
    state: dict[str, Blob]

    def __str__(self) -> str:
        calls = ", ".join(f"{number} {kind}" for kind, number in sorted(self.calls.items()))
        return f"{self.cpu:6.2f} s CPU  {self.memory:6.0f} MB  {self.calls.total():4} calls ({calls})"


def run(storage: MadeUpStorage, now: int, *, delta: bool) -> Cost:
    """Makes one run of compact_logs in a separate process; this storage keeps what it wrote."""
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(storage, now, delta, theirs))
    process.start()
    theirs.close()
    cost: Cost = ours.recv()
    process.join()
    storage.output, storage.state = cost.output, cost.state
    return cost


def _run(storage: MadeUpStorage, now: int, delta: bool, theirs: Connection) -> None:  # noqa: FBT001
    # Nothing is quiet for that long, so nothing is merged: the files have no content.
    policy = CompactionPolicy(delta=delta, reach=timedelta(days=8), quiet=timedelta(days=1000))
    storage.calls.clear()
    before, cpu = _peak(), time.process_time()
    summary = Compactor(storage, policy, lambda: now, lambda: uuid.uuid4().hex).run(1e9)
    assert not summary.alarms, summary.alarms
    assert not summary.swaps
    used = time.process_time() - cpu
    theirs.send(Cost(used, _peak() - before, storage.calls, storage.output, storage.state))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def runs(size: Size) -> Iterator[tuple[str, Cost, MadeUpStorage]]:
    """Yields the runs of a day, in sequence."""
    storage = MadeUpStorage(size)
    storage.put(Ledger.name(PARTITION), LEDGER.dump())
    now = NOW
    yield "without a log", run(storage, now, delta=False), storage
    yield "the log is created", run(storage, now, delta=True), storage
    for name, later in (
        ("ten minutes later", 10 * MINUTE),
        ("a checkpoint (once an hour)", HOUR),
        ("all folders are compared (once a day)", 13 * HOUR),
    ):
        now += later
        storage.upto = min(now, NOW + 20 * MINUTE)
        yield name, run(storage, now, delta=True), storage


def opened(storage: MadeUpStorage, rounds: int) -> None:
    """Measures how long readers, and this program, take to open the newest version."""
    with_versions(storage)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name, blob in storage.output.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blob.data or b"")
        table = root / FOLDER
        names: list[int] = []

        def by_deltalake() -> None:
            names.append(len(deltalake.DeltaTable(table).file_uris()))

        def by_polars() -> None:
            pl.scan_delta(str(table)).collect_schema()

        def by_us() -> None:
            snapshot = DeltaLog(storage, RECORDS, lambda: NOW).load()
            assert snapshot
            names.append(snapshot.files)

        jobs: dict[str, Job] = {
            "deltalake, and its list": by_deltalake,
            "Polars scan_delta, its columns": by_polars,
            "compact_logs": by_us,
        }
        for name, times in interleaved(jobs, rounds).items():
            print(f"{name:32}{times}")
        assert len(set(names)) == 1, set(names)
    sizes = [len(blob.data or b"") for name, blob in storage.output.items() if "checkpoint.parquet" in name]
    print(f"checkpoint {max(sizes) / 1e6:.1f} MB, {names[0]:,} files, {VERSIONS} versions after it")


def with_versions(storage: MadeUpStorage) -> None:
    """Writes the maximum number of versions after the checkpoint: those of ten minutes, with other names."""
    log = DeltaLog(storage, RECORDS, lambda: NOW)
    snapshot = log.load()
    assert snapshot
    version = max(name for name in storage.output if name.endswith(".json"))
    template = storage.output[version].data or b""
    for number in range(snapshot.version + 1, snapshot.checkpoint + 1 + VERSIONS):
        name = f"{FOLDER}_delta_log/{number:020d}.json"
        storage.output[name] = Output(template.replace(b".parquet", f"-{number}.parquet".encode()))


def main(rounds: int = 5, sizes: tuple[Size, ...] = SIZES) -> None:
    """Prints all measurements."""
    pa.set_cpu_count(1)
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}, process of {_peak():.0f} MB")
    for size in sizes:
        print(f"\n{size.name}")
        storage: Any = None
        for name, cost, storage in runs(size):  # noqa: B007 - the last one is opened
            print(f"{name:38} {cost}", flush=True)
        print(f"    {HEADER}")
        opened(storage, rounds)


if __name__ == "__main__":
    main()
