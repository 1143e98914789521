"""Plans commits of made-up envelopes, and reads the rows of their files."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.connections.observations import UNKNOWN
from shared.export import plan
from shared.input.envelope import Envelope
from shared.policies import ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Stamp
from shared.timeunits import MINUTE
from tests import records
from tests.records import PARTITION, TEN

STAMP = Stamp("ab" * 16, TEN)
EMPTY = Ledger(ledger_id="l", partition=str(PARTITION))
BOTH = ExportPolicy(formats=("parquet", "json"))
DERIVED = {"ConnectionStartTime", "ConnectionDurationMs", "ConnectionArrivalDurationMs"}


class Nothing:
    """Knows no start times."""

    def earliest(self, observations: pa.Table) -> Any:
        return (np.full(observations.num_rows, UNKNOWN),) * 2


def record(identity: str, minutes: int = 0, **more: Any) -> dict[str, Any]:
    at = TEN - minutes * MINUTE
    return records.record(at, identity, **{"resourceId": records.RESOURCE} | more)


def envelope(sequence: int, *of: Any) -> Envelope:
    return records.envelope(sequence, TEN, *of)


def make(
    envelopes: Sequence[Envelope], ledger: Ledger = EMPTY, policy: ExportPolicy = BOTH
) -> CommitPlan | None:
    return plan.plan_commit(PARTITION, envelopes, ledger, Nothing(), policy, STAMP)


def commits(
    batches: Iterable[Sequence[Envelope]], ledger: Ledger = EMPTY, policy: ExportPolicy = BOTH
) -> list[CommitPlan]:
    """Returns all commits of these batches, one after the other."""
    made = []
    for batch in batches:
        while commit := make(batch, ledger, policy):
            made.append(commit)
            ledger = commit.ledger
    return made


def rows(made: Iterable[CommitPlan]) -> list[dict[str, Any]]:
    """Returns the rows of the Parquet files in order, without columns that depend on known start times."""
    tables = [
        pq.read_table(pa.BufferReader(file.data))
        for one in made
        for file in one.files
        if file.pending.name.startswith("parquet/")
    ]
    found = [row for table in tables for row in table.to_pylist()]
    found.sort(key=lambda row: (row["_SequenceNumber"], row["_RecordIndex"]))
    return [{name: value for name, value in row.items() if name not in DERIVED} for row in found]
