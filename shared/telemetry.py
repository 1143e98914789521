"""The program's telemetry: every metric and event, defined once, and the functions that emit them.

The OpenTelemetry API alone: as long as nothing is configured (shared/telemetry_export.py), calls do nothing.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

import orjson
from opentelemetry import metrics

from shared import __version__
from shared.input.envelope import HubPartition, Reason
from shared.lag import Lag
from shared.protocol.commit_plan import CommitPlan
from shared.timeunits import SECOND

SCOPE = "websocketlogs"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
"""Seconds at which histograms are cut: from a call to a backlog."""

type Kind = Literal["counter", "gauge", "histogram"]
type Attributes = Mapping[str, str]
type FunctionName = Literal["export_logs", "finish_connections", "compact_logs"]

_meter = metrics.get_meter(SCOPE, __version__)
_log = logging.getLogger("shared.export")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, and how to report a value of it."""

    kind: Kind
    name: str
    unit: str
    """As UCUM has it: `s`, `By`, or what is counted in braces."""
    meaning: str
    attributes: tuple[str, ...]
    record: Callable[[float, Attributes], None]


METRICS: list[Metric] = []
"""All of them, in the order of docs/telemetry.md."""

ATTRIBUTES = {
    "partition": "`namespace/hub/partition id`; `manifest` for files of connections. Bounded by the hub.",
    "kind": "The kind of secret that was replaced, as in its marker: jwt, bearer, parameter, ….",
    "reason": "Why a record or an envelope was rejected; the reasons that dead letters name.",
    "phase": "The step of a commit: `load`, `plan`, `stage`, `write`, `publish`.",
    "status": "How a connection ended: `closed`, `failed`, `quiet`, `timed_out`.",
    "function": "`export_logs`, `finish_connections` or `compact_logs`.",
    "table": "The table whose files were compacted.",
    "service": "The resource id of an API Management service, as its records state it; at most 64 of them.",
}
"""What metrics are told apart by. Of what records state, only the resource ids of services are values."""


def _metric(kind: Kind, name: str, unit: str, meaning: str, *attributes: str) -> Metric:
    name = f"{SCOPE}.{name}"
    match kind:
        case "counter":
            record = _meter.create_counter(name, unit, meaning).add
        case "gauge":
            record = _meter.create_gauge(name, unit, meaning).set
        case "histogram":
            record = _meter.create_histogram(
                name, unit, meaning, explicit_bucket_boundaries_advisory=BUCKETS
            ).record
    METRICS.append(Metric(kind, name, unit, meaning, attributes, record))
    return METRICS[-1]


# Of commits. They count once the ledger write has succeeded, which decides.
COMMITS = _metric("counter", "commits", "{commit}", "Ledger writes that committed envelopes.", "partition")
ENVELOPES = _metric("counter", "envelopes", "{envelope}", "Envelopes committed.", "partition")
RECORDS = _metric("counter", "records", "{record}", "Records in them; unreadable ones hold one.", "partition")
ROWS = _metric("counter", "rows", "{row}", "Records that became rows.", "partition")
REDACTED = _metric(
    "counter", "redacted", "{text}", "Texts in rows that were replaced by a marker.", "partition", "kind"
)
REJECTED = _metric(
    "counter", "rejected", "{record}", "Records that became dead letters.", "partition", "reason"
)
SKIPPED = _metric("counter", "skipped", "{record}", "Records of other categories and tables.", "partition")
UNBALANCED = _metric(
    "counter", "unbalanced", "{record}", "Size of records - rows - rejected - skipped: always 0.", "partition"
)
QUARANTINED = _metric(
    "counter", "quarantined", "{envelope}", "Envelopes of an earlier hub; rejected, too.", "partition"
)
LATE = _metric(
    "counter", "late", "{row}", "Rows that reached the hub over WS_GRACE after their time.", "partition"
)
DUPLICATES = _metric(
    "counter", "duplicates", "{envelope}", "Dropped: delivered again after their commit.", "partition"
)
GAPS = _metric("gauge", "gaps", "{envelope}", "Sequence numbers passed over that never came.", "partition")
PASSED = _metric(
    "counter", "gaps.new", "{envelope}", "Sequence numbers that a commit first passed over.", "partition"
)
BYTES_IN = _metric("counter", "bytes.in", "By", "Bodies of envelopes, as they arrived.", "partition")
BYTES_OUT = _metric("counter", "bytes.out", "By", "Files, as they are stored.", "partition")
FILES = _metric("counter", "files", "{file}", "Files committed, dead letters included.", "partition")
COMMIT_TIME = _metric("histogram", "commit.time", "s", "Duration of a step of a commit.", "phase")
ARRIVAL_DELAY = _metric(
    "histogram",
    "delay.arrival",
    "s",
    "Arrival at the hub to commit, of a commit's oldest envelope.",
    "partition",
)
EVENT_DELAY = _metric(
    "histogram", "delay.event", "s", "A record's own time to commit, of a commit's median row.", "partition"
)

# Of what gets in the way.
CONFLICTS = _metric(
    "counter", "conflicts", "{conflict}", "Commits begun again: another writer came between.", "partition"
)
REPAIRS = _metric(
    "counter", "repairs", "{file}", "Files published that an earlier owner had left unpublished.", "partition"
)
LOST = _metric(
    "counter", "lost", "{file}", "Files whose blocks expired before they were published.", "partition"
)
ALARMS = _metric(
    "counter",
    "alarms",
    "{alarm}",
    "What needs an operator, such as a ledger that is gone; each run.",
    "function",
)
RUNS = _metric("counter", "runs", "{invocation}", "Invocations that succeeded.", "function")
FAILURES = _metric(
    "counter", "failures", "{invocation}", "Invocations that failed; each attempt of a retry.", "function"
)

# Of a run of the timer.
OPEN = _metric("gauge", "connections.open", "{connection}", "Connections seen and not finished.")
FINISHED = _metric("counter", "connections.finished", "{connection}", "Connections finished.", "status")
DURATION = _metric(
    "histogram",
    "connections.duration",
    "s",
    "How long a finished connection lasted, where it is known.",
    "status",
)
REVISED = _metric("counter", "connections.revised", "{row}", "Rows written again after a late record.")
CAPPED = _metric("counter", "connections.capped", "{connection}", "Let go early: there were too many.")
UNKNOWN_NAMES = _metric(
    "gauge", "names.unknown", "{name}", "Event names seen that are set neither as opening nor as closing."
)
MERGED_AGE = _metric("gauge", "merged.age", "s", "All that arrived longer ago is merged.")
STALLED = _metric(
    "gauge", "stalled", "{partition}", "Partitions that have envelopes to commit and do not go on."
)
LAG_ENVELOPES = _metric("gauge", "lag.envelopes", "{envelope}", "In the hub and not committed.", "partition")
LAG_RECORDS = _metric(
    "gauge", "lag.records", "{record}", "Records in them, by what envelopes held so far.", "partition"
)
LAG_TIME = _metric(
    "gauge", "lag.time", "s", "Age of the oldest of these envelopes, at most; 0: there is none.", "partition"
)
HEADROOM = _metric("gauge", "retention.headroom", "s", "EVENT_HUB_RETENTION less lag.time.", "partition")
SILENCE = _metric(
    "gauge", "service.silence", "s", "Since the last record of a service, up to merged.age ago.", "service"
)

# Of compaction.
FILES_IN = _metric("counter", "compaction.files.in", "{file}", "Files put together into others.", "table")
FILES_OUT = _metric("counter", "compaction.files.out", "{file}", "Files that took their place.", "table")
SIZE_IN = _metric("counter", "compaction.bytes.in", "By", "Of the files put together.", "table")
SIZE_OUT = _metric("counter", "compaction.bytes.out", "By", "Of those that took their place.", "table")
ROWS_AGAIN = _metric("counter", "compaction.rows", "{row}", "Rows that were written anew.", "table")
SWAP_WORK = _metric("histogram", "compaction.time", "s", "From reading files to the end of a swap.", "table")
SWAP_TIME = _metric("histogram", "compaction.swap.time", "s", "Readers saw rows twice for less.", "table")
SWAP_AGE = _metric("gauge", "compaction.pending.age", "s", "Of a swap that a run could not end; 0: none.")

COMMIT = "commit"
"""The event: one line of the logger `shared.export` for each commit, this word and a JSON object."""


class Steps:
    """Times the steps of one commit."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Times a step, if it does not raise."""
        began = perf_counter()
        yield
        self.seconds[phase] = perf_counter() - began


def committed(partition: HubPartition, commit: CommitPlan, steps: Steps, now: int) -> None:
    """A ledger write has succeeded. `now`: µs since 1970 UTC."""
    at = {"partition": str(partition)}
    counts, measures = commit.counts, commit.measures
    rejected = sum(counts.rejected.values())
    gaps = sum(last - first + 1 for first, last in commit.ledger.incarnation.gaps)
    bytes_out = sum(len(file.data) for file in commit.files)
    COMMITS.record(1, at)
    ENVELOPES.record(counts.envelopes, at)
    RECORDS.record(counts.records, at)
    ROWS.record(counts.rows, at)
    for reason, number in counts.rejected.items():
        REJECTED.record(number, {**at, "reason": reason})
    for kind, number in counts.redacted.items():
        REDACTED.record(number, {**at, "kind": kind})
    SKIPPED.record(counts.skipped, at)
    UNBALANCED.record(abs(counts.records - counts.rows - rejected - counts.skipped), at)
    QUARANTINED.record(counts.rejected.get(Reason.OLDER_INCARNATION, 0), at)
    LATE.record(measures.late, at)
    GAPS.record(gaps, at)
    PASSED.record(measures.passed, at)
    BYTES_IN.record(measures.bytes, at)
    BYTES_OUT.record(bytes_out, at)
    FILES.record(counts.files, at)
    for phase, seconds in steps.seconds.items():
        COMMIT_TIME.record(seconds, {"phase": phase})
    if measures.arrived is not None:
        ARRIVAL_DELAY.record((now - measures.arrived) / SECOND, at)
    if measures.happened is not None:
        EVENT_DELAY.record((now - measures.happened) / SECOND, at)
    if _log.isEnabledFor(logging.INFO):
        line = {
            "partition": str(partition),
            "ordinal": commit.ledger.ordinal,
            "commit_id": commit.ledger.commit_id,
            "next": commit.ledger.incarnation.next,
            **counts.model_dump(exclude={"lost"}),
            "gaps": gaps,
            "late": measures.late,
            "bytes_in": measures.bytes,
            "bytes_out": bytes_out,
            "seconds": {phase: round(seconds, 6) for phase, seconds in steps.seconds.items()},
        }
        _log.info("%s %s", COMMIT, orjson.dumps(line).decode())


def delivered(partition: HubPartition, envelopes: int, commits: Sequence[CommitPlan]) -> None:
    """Reports that all of these envelopes are committed, now or earlier."""
    new = sum(commit.counts.envelopes for commit in commits)
    DUPLICATES.record(envelopes - new, {"partition": str(partition)})


def conflicted(partition: HubPartition) -> None:
    """Another writer came between."""
    CONFLICTS.record(1, {"partition": str(partition)})


def repaired(document: str, files: int) -> None:
    """So many files that this ledger (by the name of its blob) lists were not published yet."""
    REPAIRS.record(files, {"partition": _partition(document)})


def lost(document: str, files: int) -> None:
    """So many files that this ledger (by the name of its blob) listed are lost."""
    LOST.record(files, {"partition": _partition(document)})


def alarmed(function: FunctionName, alarms: int = 1) -> None:
    """An operator has to look at something."""
    ALARMS.record(alarms, {"function": function})


@dataclass(frozen=True, slots=True)
class TimerRun:
    """What a run of the timer did, and how things stand after it."""

    open: int
    """Connections seen and not finished."""
    merged_age: float | None
    """Seconds: everything that arrived before is merged; None: not known."""
    finished: Mapping[str, int] = field(default_factory=dict)
    """Connections that this run wrote with Revision 0, by status."""
    durations: Sequence[tuple[str, float]] = ()
    """Status and seconds of each of these that has a duration."""
    revised: int = 0
    capped: int = 0
    unknown_names: int = 0
    stalled: int = 0
    alarms: int = 0
    lag: Mapping[str, Lag] = field(default_factory=dict)
    """By partition; empty: the hub did not answer."""
    silence: Mapping[str, float] = field(default_factory=dict)
    """Seconds since the last record, by service."""
    retention: float = 0
    """Seconds that the hub keeps envelopes; 0: not known."""


def timer_ran(run: TimerRun) -> None:
    """A run of the timer has ended."""
    nothing: Attributes = {}
    OPEN.record(run.open, nothing)
    for status, number in run.finished.items():
        FINISHED.record(number, {"status": status})
    for status, seconds in run.durations:
        DURATION.record(seconds, {"status": status})
    REVISED.record(run.revised, nothing)
    CAPPED.record(run.capped, nothing)
    UNKNOWN_NAMES.record(run.unknown_names, nothing)
    if run.merged_age is not None:
        MERGED_AGE.record(run.merged_age, nothing)
    STALLED.record(run.stalled, nothing)
    alarmed("finish_connections", run.alarms)
    for service, seconds in run.silence.items():
        SILENCE.record(seconds, {"service": service})
    for partition, lag in run.lag.items():
        at = {"partition": partition}
        LAG_ENVELOPES.record(lag.envelopes, at)
        if lag.records is not None:
            LAG_RECORDS.record(lag.records, at)
        LAG_TIME.record(lag.seconds, at)
        headroom = lag.headroom(run.retention)
        if headroom is not None:
            HEADROOM.record(headroom, at)


def _partition(document: str) -> str:
    return document.removeprefix("ledgers/").removesuffix(".json")
