"""Declares every metric once: name, kind, unit, meaning and attributes.

Uses only the OpenTelemetry API: calls do nothing until shared/telemetry_export.py configures a destination.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from opentelemetry.metrics import get_meter

from shared import __version__

SCOPE = "websocketlogs"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
"""Bucket boundaries of histograms in seconds, from a single call to a backlog."""

type Kind = Literal["counter", "gauge", "histogram"]
type Attributes = Mapping[str, str]

_meter = get_meter(SCOPE, __version__)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, and the function that records a value of it."""

    kind: Kind
    name: str
    unit: str
    """A UCUM unit: `s`, `By`, or the counted thing in braces."""
    meaning: str
    attributes: tuple[str, ...]
    record: Callable[[float, Attributes], None]


METRICS: list[Metric] = []
"""All metrics, in the order of docs/telemetry.md."""

ATTRIBUTES = {
    "partition": "`namespace/hub/partition id`; `manifest` for files of connections. Bounded by the hub.",
    "kind": "The kind of secret that was replaced, as in its marker: jwt, bearer, parameter, ….",
    "reason": "Why a record or an envelope was rejected, as in dead letters.",
    "phase": "The step of a commit: `load`, `plan`, `stage`, `write`, `publish`.",
    "status": "How a connection ended: `closed`, `failed`, `quiet`, `timed_out`.",
    "function": "`export_logs`, `finish_connections` or `compact_logs`.",
    "table": "The table of the rows, or of the compacted files.",
    "service": "The resource id of an API Management service, as stated in its records; at most 64.",
}
"""The attributes of metrics. The only values that come from records are resource ids of services."""


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


# Commits. They count once the ledger write has succeeded, because that decides.
COMMITS = _metric("counter", "commits", "{commit}", "Ledger writes that committed envelopes.", "partition")
ENVELOPES = _metric("counter", "envelopes", "{envelope}", "Envelopes committed.", "partition")
RECORDS = _metric(
    "counter",
    "records",
    "{record}",
    "Records in these envelopes. An unreadable envelope counts as one record.",
    "partition",
)
ROWS = _metric("counter", "rows", "{row}", "Records that became rows.", "partition", "table")
REDACTED = _metric(
    "counter", "redacted", "{text}", "Texts in rows that were replaced by a marker.", "partition", "kind"
)
REJECTED = _metric(
    "counter", "rejected", "{record}", "Records that became dead letters.", "partition", "reason"
)
SKIPPED = _metric("counter", "skipped", "{record}", "Records of other categories and tables.", "partition")
UNBALANCED = _metric(
    "counter",
    "unbalanced",
    "{record}",
    "Absolute value of records - rows - rejected - skipped; always 0.",
    "partition",
)
QUARANTINED = _metric(
    "counter",
    "quarantined",
    "{envelope}",
    "Envelopes of an earlier hub; also counted as rejected.",
    "partition",
)
LATE = _metric(
    "counter", "late", "{row}", "Rows that reached the hub more than WS_GRACE after their time.", "partition"
)
DUPLICATES = _metric(
    "counter",
    "duplicates",
    "{envelope}",
    "Envelopes dropped because they were delivered again after their commit.",
    "partition",
)
GAPS = _metric("gauge", "gaps", "{envelope}", "Sequence numbers that never arrived.", "partition")
PASSED = _metric(
    "counter", "gaps.new", "{envelope}", "Sequence numbers newly found missing by a commit.", "partition"
)
BYTES_IN = _metric("counter", "bytes.in", "By", "Size of envelope bodies as they arrived.", "partition")
BYTES_OUT = _metric("counter", "bytes.out", "By", "Size of files as stored.", "partition")
FILES = _metric("counter", "files", "{file}", "Files committed, including dead letters.", "partition")
COMMIT_TIME = _metric("histogram", "commit.time", "s", "Duration of a step of a commit.", "phase")
ARRIVAL_DELAY = _metric(
    "histogram",
    "delay.arrival",
    "s",
    "Time from arrival at the hub to commit, for the oldest envelope of a commit.",
    "partition",
)
EVENT_DELAY = _metric(
    "histogram",
    "delay.event",
    "s",
    "Time from the record's own time to commit, for the median row of a commit.",
    "partition",
)

# Problems and repairs.
CONFLICTS = _metric(
    "counter", "conflicts", "{conflict}", "Commits retried because another writer was faster.", "partition"
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
    "Problems that need an operator, such as a missing ledger; counted in each run.",
    "function",
)
RUNS = _metric("counter", "runs", "{invocation}", "Invocations that succeeded.", "function")
FAILURES = _metric(
    "counter", "failures", "{invocation}", "Invocations that failed; every retry counts.", "function"
)

# Runs of the timer.
OPEN = _metric("gauge", "connections.open", "{connection}", "Connections that are not finished.")
FINISHED = _metric("counter", "connections.finished", "{connection}", "Connections finished.", "status")
DURATION = _metric(
    "histogram",
    "connections.duration",
    "s",
    "Duration of finished connections, if known.",
    "status",
)
REVISED = _metric("counter", "connections.revised", "{row}", "Rows revised because of a late record.")
CAPPED = _metric(
    "counter", "connections.capped", "{connection}", "Connections finished early because there were too many."
)
UNKNOWN_NAMES = _metric(
    "gauge",
    "names.unknown",
    "{name}",
    "Event names that the settings list neither as opening nor as closing.",
)
MERGED_AGE = _metric("gauge", "merged.age", "s", "Everything that arrived longer ago than this is merged.")
STALLED = _metric(
    "gauge", "stalled", "{partition}", "Partitions that have envelopes to commit but make no progress."
)
LAG_ENVELOPES = _metric(
    "gauge", "lag.envelopes", "{envelope}", "Envelopes in the hub that are not committed.", "partition"
)
LAG_RECORDS = _metric(
    "gauge", "lag.records", "{record}", "Estimated records in these envelopes.", "partition"
)
LAG_TIME = _metric(
    "gauge", "lag.time", "s", "Maximum age of these envelopes; 0 if there are none.", "partition"
)
HEADROOM = _metric("gauge", "retention.headroom", "s", "EVENT_HUB_RETENTION minus lag.time.", "partition")
SILENCE = _metric(
    "gauge",
    "service.silence",
    "s",
    "Time since the last record of a service, among records older than merged.age.",
    "service",
)

# Compaction.
FILES_IN = _metric("counter", "compaction.files.in", "{file}", "Files merged into larger ones.", "table")
FILES_OUT = _metric("counter", "compaction.files.out", "{file}", "Files written by merging.", "table")
SIZE_IN = _metric("counter", "compaction.bytes.in", "By", "Size of the merged files.", "table")
SIZE_OUT = _metric("counter", "compaction.bytes.out", "By", "Size of the files written by merging.", "table")
ROWS_AGAIN = _metric("counter", "compaction.rows", "{row}", "Rows rewritten by merging.", "table")
SWAP_WORK = _metric(
    "histogram", "compaction.time", "s", "Time from reading the files to the end of the swap.", "table"
)
SWAP_TIME = _metric(
    "histogram", "compaction.swap.time", "s", "Maximum time for which readers saw rows twice.", "table"
)
SWAP_AGE = _metric(
    "gauge", "compaction.pending.age", "s", "Age of a swap that a run could not finish; 0 if there is none."
)
