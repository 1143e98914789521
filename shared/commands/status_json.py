"""Renders a status as the JSON document of `status --json`."""

from shared.audit.audit import OK, WRONG
from shared.commands.status_document import (
    CheckpointStatus,
    ConnectionsStatus,
    LagStatus,
    LedgerStatus,
    MatchStatus,
    PartitionStatus,
    ServiceStatus,
    StatusDocument,
    Verdict,
)
from shared.commands.status_model import PartitionState, Status


def document(found: Status, retention: float, now: int) -> StatusDocument:
    """Returns the document. `retention`: the hub's, in seconds; `now`: µs since 1970 UTC."""
    status, text = found.verdict
    totals = found.manifest.totals
    return StatusDocument(
        verdict=Verdict(
            status="well" if status == OK else "wrong" if status == WRONG else "unknown", text=text
        ),
        partitions=[_partition(one, retention) for one in found.partitions],
        unknown=list(found.unknown),
        connections=ConnectionsStatus(
            open=found.open,
            finished=totals.connections,
            revised=totals.revisions,
            without_duration=totals.indeterminate,
            estimated_seconds=found.estimate,
            capped=totals.capped,
            merged_until=found.manifest.clock,
        ),
        services=[
            ServiceStatus(resource_id=name, last_record=seen.newest, records_last_day=seen.records(now))
            for name, seen in found.services
        ],
        swap=found.swap,
        names=found.names,
        keys=found.keys,
        matches=[
            MatchStatus(
                view=one.view, table=one.table, hour=one.hour, connections=one.rows, matched=one.matched
            )
            for one in found.matches
        ],
        alarms=found.all_alarms,
    )


def _partition(one: PartitionState, retention: float) -> PartitionStatus:
    ledger, lag, checkpoint = one.ledger, one.lag, one.checkpoint
    return PartitionStatus(
        partition=one.partition,
        replay=one.replay,
        gaps=one.gaps,
        alarms=one.alarms,
        lag=lag
        and LagStatus(
            envelopes=lag.envelopes,
            records=lag.records,
            seconds=lag.seconds,
            headroom=lag.headroom(retention),
        ),
        checkpoint=checkpoint
        and CheckpointStatus(sequence=checkpoint.sequence, modified=checkpoint.modified),
        ledger=ledger
        and LedgerStatus(
            ledger_id=ledger.ledger_id,
            ordinal=ledger.ordinal,
            committed_at=ledger.committed_at,
            incarnation=ledger.incarnation.number,
            next=ledger.incarnation.next or 0,
            newest=ledger.incarnation.newest,
            counts=ledger.counts,
            lost=len(ledger.lost),
            listed=len(ledger.files),
        ),
    )
