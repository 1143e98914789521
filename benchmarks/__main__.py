"""What exporting costs, beside what it would cost in other ways: `make bench`.

Ends with lines `bench: <name> <ratio>`, of CPU time unless another unit stands there.
"""

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read when Polars is imported

import argparse
import resource
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks import compaction, growth, rivals
from benchmarks import connections as opened
from benchmarks.timing import HEADER, Job, Times, interleaved
from benchmarks.workload import LEDGER, NOW, SOURCE, STAMP, Nothing, envelopes, foreign, rejected
from shared import plan
from shared.connections import Starts, enrich
from shared.envelope import Envelope
from shared.export import Exporter
from shared.known import Known
from shared.settings import Rules
from shared.validation import validate
from tests.memory import MemoryStorage

PARQUET, JSON = Rules(), Rules(formats=("json",))
OPEN = 600_000
RESULTS: dict[str, str] = {}


def make(batch: Sequence[Envelope], rules: Rules = PARQUET, known: Starts | None = None) -> plan.Plan | None:
    """The pipeline: bodies in, a file's bytes and the observations out."""
    return plan.make(SOURCE, batch, LEDGER, known or Nothing(), rules, STAMP)


def shown(title: str, times: dict[str, Times]) -> dict[str, Times]:
    print(f"\n{title}\n{HEADER}")
    for name, one in times.items():
        print(f"{name:28} {one}")
    return times


def against_others(rounds: int) -> None:
    """The same records by other means, by records to an envelope."""
    database = duckdb.connect(config={"threads": 1})
    for number, each in ((5000, 1), (100, 50), (10, 500)):
        batch = envelopes(number, each)
        table = enrich(validate(SOURCE, batch, PARQUET).table, Nothing())[0]
        jobs: dict[str, Job] = {
            "floor": partial(rivals.floor, batch, table),
            "pipeline": partial(make, batch),
            "json": partial(make, batch, JSON),
            "polars": partial(rivals.polars, batch),
            "duckdb": partial(rivals.duck, database, batch),
            "naive": partial(rivals.naive, batch),
        }
        times = shown(f"{number:,} envelopes of {each} records", interleaved(jobs, rounds))
        suffix = "" if each == 50 else f" ({each} to an envelope)"  # noqa: PLR2004 - the usual case
        for one, other in (
            ("pipeline", "floor"),
            ("json", "floor"),
            *(("polars", "pipeline"), ("duckdb", "pipeline"), ("naive", "pipeline")),
        ):
            RESULTS[f"{one}/{other}{suffix}"] = f"{times[one].over(times[other]):.2f}"


def of_content(rounds: int) -> None:
    """What rejected and foreign records cost, and a small batch."""
    clean, bad, others = (envelopes(100, 50, change) for change in (None, rejected, foreign))
    ours = envelopes(10, 50)  # as many as are exported of the foreign ones
    times = shown(
        "by content, 5,000 records",
        interleaved(
            {
                "clean": lambda: make(clean),
                "rejecting 1 %": lambda: make(bad),
                "foreign 90 %": lambda: make(others),
                "the 10 % alone": lambda: make(ours),
            },
            rounds,
        ),
    )
    RESULTS["rejecting 1 %/clean"] = f"{times['rejecting 1 %'].over(times['clean']):.2f}"
    cost = [
        (all_ - few) / 4500 / (whole / 5000)
        for all_, few, whole in zip(
            times["foreign 90 %"].cpu, times["the 10 % alone"].cpu, times["clean"].cpu, strict=True
        )
    ]
    RESULTS["foreign record/exported record"] = f"{sorted(cost)[len(cost) // 2]:.2f}"
    small = envelopes(2, 10)
    times = shown("20 records", interleaved({"small batch": lambda: make(small)}, 10 * rounds))
    RESULTS["small batch"] = f"{sorted(times['small batch'].cpu)[5 * rounds]:.2f} ms"


def of_open_connections(rounds: int) -> None:
    """A commit in a process that knows many open connections, and in one that knows none."""
    batch = envelopes(100, 50)
    none, many = MemoryStorage(), MemoryStorage()
    opened.fill(many, OPEN)
    knowing = []
    for storage in (none, many):
        known = Known(storage, 1 << 60, lambda: NOW)
        known.refresh(LEDGER)
        knowing.append(known)
    times = shown(
        f"{OPEN:,} open connections",
        interleaved(
            {"none": lambda: make(batch, known=knowing[0]), "many": lambda: make(batch, known=knowing[1])},
            rounds,
        ),
    )
    RESULTS["commit with 600k open/with none"] = f"{times['many'].over(times['none']):.2f}"


def of_storage() -> None:
    """Calls of storage that a commit makes, once its process has read what is known."""
    storage = Counted()
    exporter = Exporter(
        storage, PARQUET, 64 << 20, lambda: NOW, lambda: f"{storage.calls.total():032x}", 1 << 60
    )
    batch = envelopes(4, 50)
    exporter.run(SOURCE, batch[:2])
    storage.calls.clear()
    (commit,) = exporter.run(SOURCE, batch[2:])
    calls = ", ".join(f"{number} {kind}" for kind, number in storage.calls.items())
    assert storage.calls.total() <= 2 * len(commit.files) + 3
    print(f"bench: storage calls of a commit of one file {storage.calls.total()} ({calls})")


class Counted(MemoryStorage):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        """See MemoryStorage."""
        self.calls[kind] += 1
        return super().call(kind, name, effect)


def of_memory() -> None:
    """In processes of their own: the largest batch that the trigger may hand over, and a thousand batches."""

    def measured(name: str, work: object) -> None:
        def child() -> None:
            before = _peak()
            work()  # type: ignore[operator]
            print(f"bench: {name} {_peak() - before:.0f} MB", flush=True)

        process = get_context("fork").Process(target=child)
        process.start()
        process.join()

    def largest() -> None:
        body = envelopes(1, 1700)[0].body
        ledger = LEDGER
        batch = [Envelope(n, NOW + n, body) for n in range(256)]
        while commit := plan.make(SOURCE, batch, ledger, Nothing(), PARQUET, STAMP):
            ledger = commit.ledger

    def thousand() -> None:
        batch = envelopes(10, 50)
        for n in range(1100):
            if n == 100:  # noqa: PLR2004 - by then, all that is cached is there
                start = _now()
            make(batch)
        print(f"bench: memory growth over 1,000 batches {_now() - start:.1f} MB", flush=True)

    measured("memory, 256 envelopes of 1 MB beyond the process", largest)
    measured("memory, peak of 1,000 batches beyond the process", thousand)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _now() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def main() -> None:
    """Measures all of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--plot", type=Path, help="where to draw how cost grows, as SVG")
    rounds, plot = (parsed := parser.parse_args()).rounds, parsed.plot
    pa.set_cpu_count(1)
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    against_others(rounds)
    of_content(rounds)
    of_open_connections(rounds)
    RESULTS.update(compaction.compare())
    if plot:
        growth.draw(plot, make)
    print()
    for name, value in RESULTS.items():
        print(f"bench: {name} {value}")
    of_storage()
    of_memory()


if __name__ == "__main__":
    main()
