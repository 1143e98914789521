"""Counts and measures a commit for its ledger and for telemetry. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from shared.arrays import integers
from shared.input.envelope import Envelope
from shared.input.validation import Validated
from shared.intervals import total
from shared.policies import ExportPolicy
from shared.protocol.commit_plan import Measures
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Counts
from shared.tables.registry import TABLES
from shared.timeunits import microseconds


def counts_of(valid: Validated, redacted: Mapping[str, int], files: int) -> Counts:
    """Returns the counts that a commit adds to its ledger."""
    rejected: Counter[str] = Counter()
    for one in valid.rejected:
        rejected.update({str(reason): number for reason, number in one.counts.items()})
    return Counts(
        envelopes=valid.taken,
        records=valid.records,
        rows=valid.rows,
        tables={name: table.num_rows for name, table in sorted(valid.tables.items()) if table.num_rows},
        skipped=valid.skipped,
        rejected=dict(sorted(rejected.items())),
        redacted=dict(sorted(redacted.items())),
        files=files,
    )


def skipped_by(before: Incarnation, after: Incarnation) -> int:
    """Returns the number of sequence numbers in gaps of `after` that `before` had not reached.

    Returns 0 for the very first commit: events that a hub deleted before the exporter first read it are not
    losses.
    """
    if before.next is None and before.number == 0:
        return 0
    reached = before.next or 0
    return total(gap for gap in after.gaps if gap[0] >= reached)


def measures_of(
    covered: Sequence[Envelope], tables: Mapping[str, pa.Table], policy: ExportPolicy
) -> Measures:
    """Returns the measurements of a commit for telemetry; see Measures."""
    none = np.empty(0, np.int64)
    times = np.concatenate(
        [none, *(integers(rows[TABLES[name].time_column]) for name, rows in tables.items())]
    )
    arrivals = np.concatenate([none, *(integers(rows["_EnqueuedTime"]) for rows in tables.values())])
    return Measures(
        bytes=sum([len(envelope.body) for envelope in covered]),
        late=int(np.count_nonzero(arrivals - times > microseconds(policy.grace))),
        arrived=min([envelope.enqueued for envelope in covered]),
        happened=int(np.partition(times, len(times) // 2)[len(times) // 2]) if len(times) else None,
    )
