"""Reports each commit as metrics and as one log line."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import orjson

from shared import metrics
from shared.input.hub_partition import HubPartition
from shared.input.rejections import Reason
from shared.intervals import total
from shared.protocol.commit_plan import CommitPlan
from shared.timeunits import SECOND

COMMIT = "commit"
"""Each commit logs one line to the logger `shared.export`: this word and a JSON object."""

log = logging.getLogger("shared.export")


class Steps:
    """Times the steps of one commit."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Times a step. A step that raises is not recorded."""
        began = perf_counter()
        yield
        self.seconds[phase] = perf_counter() - began


def committed(partition: HubPartition, commit: CommitPlan, steps: Steps, now: int) -> None:
    """Reports a commit whose ledger write has succeeded. `now`: µs since 1970 UTC."""
    at = {"partition": str(partition)}
    counts, measures = commit.counts, commit.measures
    rejected = sum(counts.rejected.values())
    gaps = total(commit.ledger.incarnation.gaps)
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
    if log.isEnabledFor(logging.INFO):
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
        log.info("%s %s", COMMIT, orjson.dumps(line).decode())


def delivered(partition: HubPartition, envelopes: int, commits: Sequence[CommitPlan]) -> None:
    """Reports that all of these envelopes are committed, now or earlier."""
    new = sum(commit.counts.envelopes for commit in commits)
    metrics.DUPLICATES.record(envelopes - new, {"partition": str(partition)})


def conflicted(partition: HubPartition) -> None:
    """Reports that another writer was faster."""
    metrics.CONFLICTS.record(1, {"partition": str(partition)})
