"""Reports runs of the timer, repairs and problems as metrics."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shared import metrics
from shared.lag import Lag

type FunctionName = Literal["export_logs", "finish_connections", "compact_logs"]

_SERVICE = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourcegroups/[\w.()-]{1,90}"
    r"/providers/microsoft\.apimanagement/service/[a-z0-9-]{1,50}"
)
"""The resource id of an API Management service, as in rows."""


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
    """Status and duration in seconds of each of these connections that has a duration."""
    revised: int = 0
    capped: int = 0
    unknown_names: int = 0
    stalled: int = 0
    alarms: int = 0
    lag: Mapping[str, Lag] = field(default_factory=dict)
    """The lag by partition; empty if the hub did not answer."""
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
            continue  # text from a record, which must not be in a metric
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
