"""Finds the folders of lost files, and their rows that the current settings would reject. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa

from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.input.rejections import Reason, Rejected, Rejection
from shared.input.validation import Validated, validate
from shared.intervals import Interval, merged, runs, within
from shared.output import layout
from shared.output.formats import FORMATS
from shared.policies import ExportPolicy
from shared.protocol.ledger import Lost
from shared.tables.registry import TABLES

ANY_AGE = timedelta(days=36_500)


def folders(
    partition: HubPartition, envelopes: Sequence[Envelope], policy: ExportPolicy
) -> dict[str, tuple[Interval, ...]]:
    """Returns the folders to which these envelopes are exported, with the sequence numbers in each."""
    found: dict[str, set[int]] = {}
    left = list(envelopes)
    while left:
        valid = validate(partition.origin, left, policy)
        left = left[valid.taken :]
        for name, table in valid.tables.items():
            for group in layout.split(table, TABLES[name].time_column):
                sequences = set(group.table["_SequenceNumber"].to_pylist())
                for format_ in policy.formats:
                    folder = layout.folder(format_, name, group.date, group.hour)
                    found.setdefault(folder, set()).update(sequences)
        for one in valid.rejected:
            folder = layout.dead_letter_folder(one.envelope.enqueued)
            found.setdefault(folder, set()).add(one.envelope.sequence)
    return {folder: tuple(runs(sorted(sequences))) for folder, sequences in found.items()}


def unfit(
    partition: HubPartition,
    envelopes: Sequence[Envelope],
    valid: Validated,
    lost: Sequence[Lost],
    policy: ExportPolicy,
) -> tuple[Rejected, ...]:
    """Returns records of these envelopes that were rows of a lost file but are now rejected for their time.

    A shortened `RECORD_MAX_AGE` must not make records vanish that were already exported. `lost`: the losses
    in the incarnation of the envelopes.
    """
    if not any(Reason.IMPLAUSIBLE_TIME in one.counts for one in valid.rejected):
        return ()
    then = validate(partition.origin, envelopes, replace(policy, max_age=ANY_AGE, max_lead=ANY_AGE))
    now = {record for table in valid.tables.values() for record in _records(table)}
    missing: dict[int, list[int]] = {}
    groups = (
        (name, group)
        for name, table in then.tables.items()
        for group in layout.split(table, TABLES[name].time_column)
    )
    for name, group in groups:
        folders = {layout.folder(format_, name, group.date, group.hour) for format_ in FORMATS}
        gone = merged(span for one in lost if one.folder in folders for span in one.sequences)
        for sequence, index in _records(group.table):
            if within(gone, sequence) and (sequence, index) not in now:
                missing.setdefault(sequence, []).append(index)
    return tuple(
        _rejected(envelope, sorted(missing[envelope.sequence]))
        for envelope in envelopes
        if envelope.sequence in missing
    )


def _records(table: pa.Table) -> list[tuple[int, int]]:
    return list(zip(table["_SequenceNumber"].to_pylist(), table["_RecordIndex"].to_pylist(), strict=True))


def _rejected(envelope: Envelope, indexes: Sequence[int]) -> Rejected:
    message = (
        "was exported in a file that is lost, but its time is no longer within RECORD_MAX_AGE and "
        "RECORD_MAX_LEAD of its arrival; replay it with the former settings"
    )
    rejections = tuple(Rejection(Reason.IMPLAUSIBLE_TIME, message, index) for index in indexes[:100])
    return Rejected(envelope, rejections, tuple(runs(indexes)), {Reason.IMPLAUSIBLE_TIME: len(indexes)})
