"""Reports commits, runs of the timer and problems as metrics and log lines."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal

import orjson

from shared import metrics
from shared.input.envelope import HubPartition, Reason
from shared.lag import Lag
from shared.protocol.commit_plan import CommitPlan
from shared.timeunits import SECOND

type FunctionName = Literal["export_logs", "finish_connections", "compact_logs"]

_log = logging.getLogger("shared.export")

_SERVICE = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourcegroups/[\w.()-]{1,90}"
    r"/providers/microsoft\.apimanagement/service/[a-z0-9-]{1,50}"
)
"""The resource id of an API Management service, as in rows."""
COMMIT = "commit"
"""Each commit logs one line to the logger `shared.export`: this word and a JSON object."""


class Steps:
    """Times the steps of one commit."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Times a step that does not raise."""
        began = perf_counter()
        yield
        self.seconds[phase] = perf_counter() - began


def committed(partition: HubPartition, commit: CommitPlan, steps: Steps, now: int) -> None:
    """Reports a commit whose ledger write has succeeded. `now`: µs since 1970 UTC."""
    at = {"partition": str(partition)}
    counts, measures = commit.counts, commit.measures
    rejected = sum(counts.rejected.values())
    gaps = sum(last - first + 1 for first, last in commit.ledger.incarnation.gaps)
    bytes_out = sum(len(file.data) for file in commit.files)
    metrics.COMMITS.record(1, at)
    metrics.ENVELOPES.record(counts.envelopes, at)
    metrics.RECORDS.record(counts.records, at)
    for table, number in counts.tables.items():
        metrics.ROWS.record(number, {**at, "table": table})
    for reason, number in counts.rejected.items():
        metrics.REJECTED.record(number, {**at, "reason": reason})
    for kind, number in counts.redacted.items():
        metrics.REDACTED.record(number, {**at, "kind": kind})
    metrics.SKIPPED.record(counts.skipped, at)
    metrics.UNBALANCED.record(abs(counts.records - counts.rows - rejected - counts.skipped), at)
    metrics.QUARANTINED.record(counts.rejected.get(Reason.OLDER_INCARNATION, 0), at)
    metrics.LATE.record(measures.late, at)
    metrics.GAPS.record(gaps, at)
    metrics.PASSED.record(measures.passed, at)
    metrics.BYTES_IN.record(measures.bytes, at)
    metrics.BYTES_OUT.record(bytes_out, at)
    metrics.FILES.record(counts.files, at)
    for phase, seconds in steps.seconds.items():
        metrics.COMMIT_TIME.record(seconds, {"phase": phase})
    if measures.arrived is not None:
        metrics.ARRIVAL_DELAY.record((now - measures.arrived) / SECOND, at)
    if measures.happened is not None:
        metrics.EVENT_DELAY.record((now - measures.happened) / SECOND, at)
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
    metrics.DUPLICATES.record(envelopes - new, {"partition": str(partition)})


def conflicted(partition: HubPartition) -> None:
    """Reports that another writer was faster."""
    metrics.CONFLICTS.record(1, {"partition": str(partition)})


def repaired(document: str, files: int) -> None:
    """Reports files that an earlier owner had left unpublished. `document`: the ledger's blob."""
    metrics.REPAIRS.record(files, {"partition": _partition(document)})


def lost(document: str, files: int) -> None:
    """Reports files that are lost. `document`: the blob of the ledger that listed them."""
    metrics.LOST.record(files, {"partition": _partition(document)})


def alarmed(function: FunctionName, alarms: int = 1) -> None:
    """Reports problems that need an operator."""
    metrics.ALARMS.record(alarms, {"function": function})


@dataclass(frozen=True, slots=True)
class TimerRun:
    """What a run of the timer did, and the state after it."""

    open: int
    """Connections that are not finished."""
    merged_age: float | None
    """Everything that arrived more than this many seconds ago is merged; None if unknown."""
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
    """By partition; empty if the hub did not answer."""
    silence: Mapping[str, float] = field(default_factory=dict)
    """Seconds since the last record, by service."""
    retention: float = 0
    """Seconds that the hub keeps envelopes; 0 if unknown."""


def timer_ran(run: TimerRun) -> None:
    """Reports a run of the timer."""
    nothing: metrics.Attributes = {}
    metrics.OPEN.record(run.open, nothing)
    for status, number in run.finished.items():
        metrics.FINISHED.record(number, {"status": status})
    for status, seconds in run.durations:
        metrics.DURATION.record(seconds, {"status": status})
    metrics.REVISED.record(run.revised, nothing)
    metrics.CAPPED.record(run.capped, nothing)
    metrics.UNKNOWN_NAMES.record(run.unknown_names, nothing)
    if run.merged_age is not None:
        metrics.MERGED_AGE.record(run.merged_age, nothing)
    metrics.STALLED.record(run.stalled, nothing)
    alarmed("finish_connections", run.alarms)
    for service, seconds in run.silence.items():
        if not _SERVICE.fullmatch(service):
            continue  # The text of a record, which must not be in a metric.
        metrics.SILENCE.record(seconds, {"service": service})
    for partition, lag in run.lag.items():
        at = {"partition": partition}
        metrics.LAG_ENVELOPES.record(lag.envelopes, at)
        if lag.records is not None:
            metrics.LAG_RECORDS.record(lag.records, at)
        metrics.LAG_TIME.record(lag.seconds, at)
        headroom = lag.headroom(run.retention)
        if headroom is not None:
            metrics.HEADROOM.record(headroom, at)


def _partition(document: str) -> str:
    return document.removeprefix("ledgers/").removesuffix(".json")
