"""Measures what exporting costs, compared with other approaches: `make bench`.

The last lines are `bench: <name> <ratio>`; ratios are of CPU time unless a line has another unit.
"""

import os

from shared.protocol.commit_plan import CommitPlan

os.environ["POLARS_MAX_THREADS"] = "1"  # read when Polars is imported

import argparse
import operator
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import get_args

import duckdb
import pyarrow as pa

from benchmarks import batching, compaction, footprint, growth, outage, rivals, stack
from benchmarks import connections as opened
from benchmarks.timing import HEADER, Figure, Job, Times, interleaved
from benchmarks.workload import LEDGER, NOW, PARTITION, STAMP, Nothing, envelopes, foreign, gateway, rejected
from shared.connections.observations import StartTimeLookup, enrich
from shared.connections.start_times import StartTimes
from shared.export import plan
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.validation import validate
from shared.policies import ExportPolicy, Redaction, RedactionPolicy
from shared.tables.websocket_connection_logs import RECORDS
from tests.memory import CountingStorage, MemoryStorage

PARQUET, JSON, BOTH = (
    ExportPolicy(),
    ExportPolicy(formats=("json",)),
    ExportPolicy(formats=("parquet", "json")),
)
OPEN = 600_000
GOALS = {
    "pipeline/floor (1 to an envelope)": ("<=", 2.5),
    "pipeline/floor": ("<=", 2.0),
    "pipeline/floor (500 to an envelope)": ("<=", 2.0),
    "json/floor": ("<=", 3.5),
    "polars/pipeline": (">=", 1.3),
    "polars, read_ndjson/pipeline": (">=", 1.3),
    "duckdb/pipeline": (">=", 2.5),
    "duckdb, read_json/pipeline": (">=", 2.5),
    "naive/pipeline": (">=", 8),
    "naive, dateutil/pipeline": (">=", 8),
    "commit with 600k open/with none": ("<=", 1.2),
    "rejecting 1 %/clean": ("<=", 1.3),
    "foreign record/exported record": ("<=", 0.5),
    "REDACT=credentials/off": ("<=", 1.03),
    "WebSocket records, both exported/one exported": ("<=", 1.05),
    "small batch": ("<=", 12),
    "cold start": ("<=", 1.5),
}
RESULTS: dict[str, Figure] = {}


def make(
    batch: Sequence[Envelope], policy: ExportPolicy = PARQUET, known: StartTimeLookup | None = None
) -> CommitPlan | None:
    """Runs the pipeline, from bodies to the bytes of a file and the observations."""
    return plan.plan_commit(PARTITION, batch, LEDGER, known or Nothing(), policy, STAMP)


def shown(title: str, times: dict[str, Times]) -> dict[str, Times]:
    print(f"\n{title}\n{HEADER}")
    for name, one in times.items():
        print(f"{name:28}  {one}")
    return times


def against_others(rounds: int) -> None:
    """Processes the same records with other approaches, by records per envelope."""
    database = duckdb.connect(config={"threads": 1})
    for number, each in ((5000, 1), (100, 50), (10, 500)):
        batch = envelopes(number, each)
        table = enrich(validate(PARTITION, batch, PARQUET).table, Nothing())[0]
        jobs: dict[str, Job] = {
            "floor": partial(rivals.floor, batch, table),
            "pipeline": partial(make, batch),
            "json": partial(make, batch, JSON),
            "polars": partial(rivals.polars, batch),
            "duckdb": partial(rivals.duck, database, batch),
            "naive": partial(rivals.naive, batch),
        }
        usual = each == 50  # noqa: PLR2004
        if usual:
            jobs |= {
                "polars, read_ndjson": partial(rivals.polars_lines, batch),
                "duckdb, read_json": partial(rivals.duck_file, database, batch),
                "naive, dateutil": partial(rivals.naive_dateutil, batch),
                "naive, json_normalize": partial(rivals.normalized, batch),
            }
        times = shown(f"{number:,} envelopes of {each} records", interleaved(jobs, rounds))
        suffix = "" if usual else f" ({each} to an envelope)"
        for name, one in times.items():
            if name != "floor":
                base = "floor" if name in {"pipeline", "json"} else "pipeline"
                RESULTS[f"{name}/{base}{suffix}"] = one.over(times[base])


def of_content(rounds: int) -> None:
    """Measures what rejected and foreign records cost, and a small batch."""
    clean, bad, others = (envelopes(100, 50, change) for change in (None, rejected, foreign))
    ours = envelopes(10, 50)  # as many as the exported records among the foreign ones
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
    RESULTS["rejecting 1 %/clean"] = times["rejecting 1 %"].over(times["clean"])
    RESULTS["foreign record/exported record"] = Figure(
        [
            (all_ - few) / 4500 / (whole / 5000)
            for all_, few, whole in zip(
                times["foreign 90 %"].cpu, times["the 10 % alone"].cpu, times["clean"].cpu, strict=True
            )
        ]
    )
    small = envelopes(2, 10)
    times = shown("20 records", interleaved({"small batch": lambda: make(small)}, 10 * rounds))
    RESULTS["small batch"] = Figure(times["small batch"].cpu, "ms")


def of_redaction(rounds: int) -> None:
    """Measures what the search for credentials costs if there are none, which is the usual case."""
    batch = envelopes(100, 50)
    policies = {level: ExportPolicy(redaction=RedactionPolicy(level)) for level in get_args(Redaction)}
    times = shown(
        "clean records, by REDACT, 5,000 records",
        interleaved({level: partial(make, batch, policy) for level, policy in policies.items()}, 3 * rounds),
    )
    for level in ("credentials", "queries"):
        RESULTS[f"REDACT={level}/off"] = times[level].over(times["off"])


def of_mixture(rounds: int) -> None:
    """Measures a stream with both categories exported, of which 90 % are gateway records."""
    batch, alone = envelopes(100, 50, gateway), envelopes(100, 50)
    policy = ExportPolicy(categories=("WebSocketConnectionLogs", "GatewayLogs"))
    valid = validate(PARTITION, batch, policy)
    tables = [
        enrich(rows, Nothing())[0] if name == RECORDS.name else rows for name, rows in valid.tables.items()
    ]
    times = shown(
        "90 % of the gateway, 5,000 records",
        interleaved(
            {
                "floor": partial(rivals.floor, batch, *tables),
                "pipeline": partial(make, batch, policy),
                "WebSocket records alone": partial(make, alone),
                "the same, both exported": partial(make, alone, policy),
            },
            rounds,
        ),
    )
    RESULTS["90 % gateway/floor"] = times["pipeline"].over(times["floor"])
    RESULTS["90 % gateway/WebSocket records alone"] = times["pipeline"].over(times["WebSocket records alone"])
    RESULTS["WebSocket records, both exported/one exported"] = times["the same, both exported"].over(
        times["WebSocket records alone"]
    )


def of_open_connections(rounds: int) -> None:
    """Measures a commit in a process that knows many open connections, and in one that knows none."""
    batch = envelopes(100, 50)
    none, many = MemoryStorage(), MemoryStorage()
    opened.fill(many, OPEN)
    knowing = []
    for storage in (none, many):
        known = StartTimes(storage, 1 << 60, lambda: NOW)
        known.refresh(LEDGER)
        knowing.append(known)
    times = shown(
        f"{OPEN:,} open connections",
        interleaved(
            {"none": lambda: make(batch, known=knowing[0]), "many": lambda: make(batch, known=knowing[1])},
            rounds,
        ),
    )
    RESULTS["commit with 600k open/with none"] = times["many"].over(times["none"])


def of_storage() -> None:
    """Counts the storage calls of a commit, once its process has read the known start times."""
    for policy in (PARQUET, BOTH):
        storage = CountingStorage()
        ids = map("{:032x}".format, count())
        exporter = Exporter(storage, policy, 64 << 20, lambda: NOW, partial(next, ids), 1 << 60)
        batch = envelopes(4, 50)
        exporter.run(PARTITION, batch[:2])
        storage.calls.clear()
        (commit,) = exporter.run(PARTITION, batch[2:])
        calls, files = storage.calls, len(commit.files)
        assert calls == {"stage": files, "put": 1, "write": 1, "publish": files}, calls
        RESULTS[f"storage calls of a commit, files: {files}"] = Figure([calls.total()])


def summary() -> None:
    """Prints all results again: first with their goals, then in a machine-readable form."""
    print(f"\n{'':58} {'median':>12} {'25 to 75 %':>20}   goal")
    for name, figure in RESULTS.items():
        sign, goal = GOALS.get(name, ("", 0.0))
        reached = {"<=": operator.le, ">=": operator.ge}[sign](figure.value, goal) if sign else True
        told = f"{sign} {goal:g}{'' if reached else ': not reached'}" if sign else ""
        print(f"{name:58} {figure!s:>12} {figure.spread:>20}   {told}".rstrip())
    print()
    for name, figure in RESULTS.items():
        print(f"bench: {name} {figure}")


def main() -> None:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--plot", type=Path, help="the SVG file in which to draw how cost grows")
    rounds, plot = (parsed := parser.parse_args()).rounds, parsed.plot
    pa.set_cpu_count(1)
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    against_others(rounds)
    of_content(rounds)
    of_redaction(rounds)
    of_mixture(rounds)
    of_open_connections(rounds)
    RESULTS.update(compaction.compare())
    of_storage()
    RESULTS.update(footprint.measured())
    RESULTS.update(batching.measured())
    RESULTS.update(stack.measured())
    RESULTS.update(outage.measured())
    if plot:
        print()
        growth.draw(plot)
    summary()


if __name__ == "__main__":
    main()
