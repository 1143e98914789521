"""Plans one commit: turns envelopes and a ledger into files and the next ledger. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from shared import __version__, digests
from shared.connections import observations
from shared.export import set_aside
from shared.export.measures import counts_of, measures_of, skipped_by
from shared.export.refilling import unfit
from shared.input import redaction
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.input.rejections import Reason, Rejected
from shared.input.validation import validate
from shared.intervals import Interval, merged, spanned, within
from shared.output import dead_letters, layout
from shared.output.formats import FORMATS
from shared.policies import ExportPolicy
from shared.protocol.commit_files import Output, staged_files
from shared.protocol.commit_plan import CommitPlan, Measures
from shared.protocol.ledger import Counts, Ledger, Segment, StagedFile
from shared.protocol.selection import Selection, Verdict, advance, select
from shared.protocol.stamp import Stamp
from shared.protocol.unclaimed_keys import added
from shared.tables.registry import TABLES

DERIVATIONS: dict[str, Callable[[pa.Table, observations.StartTimeLookup], tuple[pa.Table, pa.Table]]] = {
    "start_times": observations.enrich
}
"""Functions that fill derived columns and return observations, by the name that a table declares."""


def plan_commit(
    partition: HubPartition,
    envelopes: Sequence[Envelope],
    ledger: Ledger,
    known: observations.StartTimeLookup,
    policy: ExportPolicy,
    stamp: Stamp,
    *,
    broken: str = "",
) -> CommitPlan | None:
    """Plans the next commit; returns None if all envelopes are already committed.

    A commit may cover only the first envelopes: those of one incarnation up to `policy.commit_bytes`. Plan
    again with the ledger of this plan until it returns None.

    `broken`: why these envelopes cannot be planned; each becomes a dead letter without being read. Raises
    PlanningFailed beyond 100 of them in an hour.
    """
    selection = select(ledger, envelopes)
    if selection is None:
        return None
    if broken:
        valid = set_aside.broken(selection, broken)
    elif selection.verdict is Verdict.STALE:
        valid = set_aside.stale(selection)
    else:
        valid = validate(partition.origin, selection.envelopes, policy)
    covered = selection.envelopes[: valid.taken]
    after = advance(selection.ledger, selection.verdict, covered, stamp.now)
    if broken:
        count = set_aside.counted(after.broken, valid.taken, broken, stamp.now)
        after = after.model_copy(update={"broken": count})
    tables, observed, redacted = _derived(valid.tables, known, policy)
    if selection.verdict is Verdict.LOST:
        lost = [one for one in selection.ledger.lost if one.incarnation == selection.incarnation]
        late = unfit(partition, covered, valid, lost, policy)
        outputs = list(_refill(partition, selection, tables, valid.rejected, policy))
        outputs += _outputs(partition, selection.incarnation, {}, late, policy)
        letters = sum(
            one.counts[Reason.IMPLAUSIBLE_TIME] for one in late
        )  # they were already counted as rows
        rejected = {str(Reason.IMPLAUSIBLE_TIME): letters} if letters else {}
        counts, measures = Counts(files=len(outputs), rows=-letters, rejected=rejected), Measures()
        observed = observed.slice(0, 0)
    else:
        outputs = list(_outputs(partition, selection.incarnation, tables, valid.rejected, policy))
        counts, measures = counts_of(valid, redacted, len(outputs)), measures_of(covered, tables, policy)
        passed = skipped_by(selection.ledger.incarnation, after.incarnation)
        measures = replace(measures, passed=passed)
        found = {table: (each.records, each.keys) for table, each in valid.keys.items()}
        after = after.model_copy(update={"unclaimed": added(after.unclaimed, found)})
    ordinal = ledger.ordinal + 1
    index = None
    if observed.num_rows:
        segment = Segment(
            name=f"segments/{partition}/{ledger.ledger_id}/{ordinal:012d}-{stamp.commit_id}.arrow",
            ordinal=ordinal,
            observations=observed.num_rows,
            newest=after.incarnation.newest,
            committed_at=stamp.now,
        )
        after, index = after.with_segment(segment)
    files = _files(partition, selection, covered, outputs, after, counts, ordinal, policy, stamp)
    return CommitPlan(
        ledger=after.written(stamp.commit_id, stamp.now).model_copy(
            update={
                "files": tuple(file.pending for file in files),
                "counts": ledger.counts.plus(counts),
                "chain": digests.chained(ledger.chain, [file.pending for file in files]),
            }
        ),
        files=files,
        # LZ4: twice as large as with zstd, in a third of the time; each process reads a segment only once.
        segment=observations.dump(observed, "lz4") if observed.num_rows else None,
        counts=counts,
        measures=measures,
        index=index,
    )


def _derived(
    tables: Mapping[str, pa.Table], known: observations.StartTimeLookup, policy: ExportPolicy
) -> tuple[dict[str, pa.Table], pa.Table, Counter[str]]:
    """Returns the redacted tables with derived columns, the observations, and the counts of redactions."""
    done: dict[str, pa.Table] = {}
    observed: list[pa.Table] = []
    redacted: Counter[str] = Counter()
    for name, rows in tables.items():
        done[name] = rows
        if rows.num_rows:
            done[name], counts = redaction.redact(rows, policy.redaction)
            redacted.update(counts)
        if derive := TABLES[name].derive:
            done[name], seen = DERIVATIONS[derive](done[name], known)
            observed.append(seen)
    if len(observed) == 1:
        return done, observed[0], redacted
    return done, observations.merge(observed), redacted


@dataclass(frozen=True, slots=True)
class _Output:
    folder: str
    part: int | None
    rows: int
    data: bytes
    extension: str
    content_type: str
    times: str = ""
    """The earliest and latest time of its rows; empty for dead letters."""


def _outputs(
    partition: HubPartition,
    incarnation: int,
    tables: Mapping[str, pa.Table],
    rejected: Sequence[Rejected],
    policy: ExportPolicy,
) -> Iterator[_Output]:
    groups = [
        (name, group)
        for name, rows in tables.items()
        for group in layout.split(rows, TABLES[name].time_column)
    ]
    for name, group in groups:
        times = layout.times(group.table, TABLES[name].time_column)
        for format_ in policy.formats:
            folder = layout.folder(format_, name, group.date, group.hour)
            one = FORMATS[format_]
            data = one.encode(group.table, {"program_version": __version__}, policy.compression)
            yield _Output(
                folder, group.part, group.table.num_rows, data, one.extension, one.content_type, times
            )
    folders: dict[str, list[Rejected]] = {}
    for letter in rejected:
        folders.setdefault(layout.dead_letter_folder(letter.envelope.enqueued), []).append(letter)
    for folder, lines in folders.items():
        data = dead_letters.encode(lines, partition, incarnation, policy)
        yield _Output(folder, None, len(lines), data, dead_letters.EXTENSION, dead_letters.CONTENT_TYPE)


def _refill(
    partition: HubPartition,
    selection: Selection,
    tables: Mapping[str, pa.Table],
    rejected: Sequence[Rejected],
    policy: ExportPolicy,
) -> Iterator[_Output]:
    """Yields only the lost parts of the envelopes' files: these folders and these sequence numbers."""
    lost: dict[str, tuple[Interval, ...]] = {}
    for one in selection.ledger.lost:
        if one.incarnation == selection.incarnation:
            lost[one.folder] = lost.get(one.folder, ()) + one.sequences
    for folder, parts in lost.items():
        intervals = merged(parts)
        rows = {name: _within(table, intervals) for name, table in tables.items()}
        lines = [one for one in rejected if within(intervals, one.envelope.sequence)]
        # In the format of the lost file, even if the setting has changed.
        formats_ = tuple(name for name in FORMATS if folder.startswith(f"{name}/"))
        for output in _outputs(
            partition, selection.incarnation, rows, lines, replace(policy, formats=formats_)
        ):
            if output.folder == folder:
                yield output


def _within(table: pa.Table, intervals: Sequence[Interval]) -> pa.Table:
    sequences = table["_SequenceNumber"].to_pylist()
    return table.filter(pa.array([within(intervals, sequence) for sequence in sequences], pa.bool_()))


def _files(
    partition: HubPartition,
    selection: Selection,
    covered: Sequence[Envelope],
    outputs: Sequence[_Output],
    after: Ledger,
    counts: Counts,
    ordinal: int,
    policy: ExportPolicy,
    stamp: Stamp,
) -> tuple[StagedFile, ...]:
    sequences = sorted([envelope.sequence for envelope in covered])
    first, last = sequences[0], sequences[-1]
    metadata = {
        "partition": str(partition),
        "incarnation": str(selection.incarnation),
        "first_sequence": str(first),
        "last_sequence": str(last),
        "sequences": spanned(sequences),
        "ledger_id": after.ledger_id,
        "ordinal": str(ordinal),
        "commit_rejected": str(sum(counts.rejected.values())),
        "commit_skipped": str(counts.skipped),
        "verdict": selection.verdict.name.lower(),
        "files_before": str(after.counts.files),
        "rows_before": str(after.counts.rows),
        "rejected_before": str(sum(after.counts.rejected.values())),
        "skipped_before": str(after.counts.skipped),
        "envelopes_before": str(after.counts.envelopes),
        "chain_before": after.chain,
    }

    def name(output: _Output) -> str:
        return output.folder + layout.file_name(
            partition,
            selection.incarnation,
            first,
            last,
            stamp.commit_id,
            output.part,
            output.extension,
        )

    files = [Output(name(one), one.rows, one.data, one.content_type, one.times) for one in outputs]
    return staged_files(files, stamp, policy.formats, metadata)
