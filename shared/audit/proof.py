"""Proves or refutes, for one partition, that the container holds exactly what its ledger counts. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from shared.audit.chain import Tail, unaltered, unbroken
from shared.audit.evidence import Commit, Finding, Level, refuted
from shared.input.hub_partition import is_archive, is_of_hub
from shared.input.rejections import Reason
from shared.intervals import intervals, total
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.ledger import Ledger
from shared.wording import counted

STALE = Reason.OLDER_INCARNATION
GAPS = 10
"""Maximum number of gaps of an incarnation that are listed."""


def prove(
    ledger: Ledger, commits: Iterable[Commit], anchor: CommitMetadata | None, since: int
) -> Iterator[Finding]:
    """Returns the findings on the commits up to the ledger's ordinal.

    Args:
        ledger: the ledger, read before the files were listed.
        commits: the commits of this ledger in the container, committed at `since` or later.
        anchor: the last commit before `since` in the container.
        since: µs since 1970 UTC; 0 means the beginning, so that all commits are checked.
    """
    chain = sorted(commits, key=lambda commit: commit.metadata.ordinal)
    yield from _balance(ledger)
    tail = Tail.of(ledger)
    found = [
        *_each(chain),
        *unbroken(tail, chain, anchor, since),
        *unaltered(tail, chain, since),
        *_sequences(ledger, chain),
        *_counted(ledger, chain),
    ]
    if not found:
        found = list(_rows(ledger, chain, since))
    yield from found
    yield from _noted(ledger, chain, since)


def prove_connections(
    tail: Tail, commits: Iterable[Commit], anchor: CommitMetadata | None, since: int
) -> Iterator[Finding]:
    """Returns the findings on the files of finished connections.

    Args:
        tail: what the state table's manifest states about them.
        commits: the commits of this state table in the container, committed at `since` or later.
        anchor: the last commit before `since` in the container.
        since: µs since 1970 UTC; 0 means the beginning, so that all commits are checked.
    """
    chain = sorted(commits, key=lambda commit: commit.metadata.ordinal)
    yield from _each(chain)
    yield from unbroken(tail, chain, anchor, since)
    yield from unaltered(tail, chain, since)
    yield from _unpublished(chain)


def _balance(ledger: Ledger) -> Iterator[Finding]:
    """Checks that the counts in the ledger agree with each other."""
    counts = ledger.counts
    rejected = sum(counts.rejected.values())
    if counts.records != counts.rows + rejected + counts.skipped:
        yield refuted(
            "unbalanced",
            f"the ledger counts {counted(counts.records, 'record')}, but {counted(counts.rows, 'row')}, "
            f"{rejected:,} rejected and {counts.skipped:,} skipped",
        )
    lives = [*ledger.past, ledger.incarnation]
    taken = sum((life.next or 0) - total(life.gaps) for life in lives)
    # Quarantined envelopes may belong to a hub of which nothing else was committed.
    if lives[0].number == 0 and not 0 <= counts.envelopes - taken <= counts.rejected.get(STALE, 0):
        yield refuted(
            "unbalanced",
            f"{counted(counts.envelopes, 'envelope was', 'envelopes were')} counted, but the "
            f"sequence numbers show {taken:,}",
        )


def _each(chain: Sequence[Commit]) -> Iterator[Finding]:
    """Checks every commit against the metadata of its own files."""
    for commit in chain:
        metadata = commit.metadata
        if commit.missing < 0:
            yield refuted(
                "too_many_files",
                f"{metadata.name} has {counted(commit.files, 'file')}, but wrote {metadata.commit_files}: "
                "one is a copy; delete it",
            )
        elif (
            commit.missing == 0
            and not commit.unpublished
            and commit.whole
            and commit.lines != metadata.commit_rows
        ):
            yield refuted(
                "rows_differ",
                f"{metadata.name}: its files have {counted(commit.lines, 'row')}, but it wrote "
                f"{metadata.commit_rows:,}",
            )


def _counted(ledger: Ledger, chain: Sequence[Commit]) -> Iterator[Finding]:
    """Checks the counts between two commits: only envelopes without a file may have added to them."""
    counts = ledger.counts
    end = (counts.envelopes, sum(counts.rejected.values()), counts.skipped, counts.files)
    starts = [
        (metadata.envelopes_before, metadata.rejected_before, metadata.skipped_before, metadata.files_before)
        for metadata in (commit.metadata for commit in chain)
    ]
    for commit, (envelopes, rejected, skipped, files) in zip(chain, [*starts[1:], end], strict=False):
        metadata = commit.metadata
        if metadata.files_before + metadata.commit_files != files:
            continue  # a commit between them is missing
        hidden = envelopes - metadata.envelopes_before - metadata.envelopes
        more = skipped - metadata.skipped_before - metadata.commit_skipped
        if (
            hidden < 0
            or more < 0
            or (not hidden and more)
            or rejected != metadata.rejected_before + metadata.commit_rejected
        ):
            yield refuted(
                "counts_differ",
                f"the commit after {metadata.name} counts {counted(hidden, 'envelope')}, "
                f"{counted(more, 'skipped record')} and "
                f"{counted(rejected - metadata.rejected_before - metadata.commit_rejected, 'rejection')}"
                " that belong to no commit",
            )


def _sequences(ledger: Ledger, chain: Sequence[Commit]) -> Iterator[Finding]:
    """Checks that no sequence number was exported twice, or without being committed in the ledger."""
    lives = {life.number: life for life in (*ledger.past, ledger.incarnation)}
    spans = sorted(
        (
            (number, first, last, commit.metadata)
            for commit in chain
            if commit.metadata.verdict == "new"
            for number, spans in ledger.numbered(
                commit.metadata.incarnation, intervals(commit.metadata.sequences)
            ).items()
            for first, last in spans
        ),
        key=lambda span: span[:3],
    )
    for one, next_ in pairwise(spans):
        if one[0] == next_[0] and next_[1] <= one[2]:
            yield refuted(
                "overlap",
                f"sequence {next_[1]} is in {one[3].name} and in {next_[3].name}: its rows exist twice",
            )
    for number, first, last, metadata in spans:
        life = lives.get(number)
        if life is None:
            continue
        if last >= (life.next or 0) or any(first <= end and begin <= last for begin, end in life.gaps):
            yield refuted(
                "outside",
                f"{metadata.name} holds sequences {first}-{last}, which the ledger has not committed",
            )


def _rows(ledger: Ledger, chain: Sequence[Commit], since: int) -> Iterator[Finding]:
    """Checks that each format has the rows, and dead letters the rejections, that the ledger counted."""
    if any(commit.unpublished or not commit.whole for commit in chain):
        return
    if ledger.counts.lost:
        # Rows of a lost file may be in another commit, so only the totals must agree.
        for format_ in _common(chain) if since < 1 and not ledger.lost else ():
            rows = sum(commit.rows.get(format_, 0) for commit in chain)
            if rows != ledger.counts.rows:
                yield refuted(
                    "rows_differ",
                    f"{counted(rows, 'row')} in {format_} files, but the ledger counts "
                    f"{ledger.counts.rows:,}",
                )
        return
    rejected = sum(ledger.counts.rejected.values())
    ends = [(one.metadata.rows_before, one.metadata.rejected_before) for one in chain[1:]] + [
        (ledger.counts.rows, rejected)
    ]
    for commit, (rows_after, rejected_after) in zip(chain, ends, strict=False):
        metadata = commit.metadata
        for format_ in metadata.formats.split(","):
            rows = commit.rows.get(format_, 0)
            if rows != rows_after - metadata.rows_before:
                yield refuted(
                    "rows_differ",
                    f"{metadata.name}: {counted(rows, 'row')} in {format_} files, "
                    f"but the ledger counted {rows_after - metadata.rows_before}",
                )
        if commit.rejected is not None and commit.rejected != rejected_after - metadata.rejected_before:
            yield refuted(
                "rejections_differ",
                f"{metadata.name}: {counted(commit.rejected, 'rejection')}, "
                f"but the ledger counted {rejected_after - metadata.rejected_before}",
            )


def _common(chain: Sequence[Commit]) -> set[str]:
    return (
        set.intersection(*(set(commit.metadata.formats.split(",")) for commit in chain)) if chain else set()
    )


def _noted(ledger: Ledger, chain: Sequence[Commit], since: int) -> Iterator[Finding]:
    """Reports problems that the ledger itself states, and claims of the ledger that cannot be checked."""
    for lost in ledger.lost:
        spans = ", ".join(f"{first}-{last}" for first, last in lost.sequences)
        yield refuted(
            "lost",
            f"{lost.folder}: sequences {spans} are lost: their blocks expired; run `redeliver` to refill it",
        )
    yield from _unpublished(chain)
    if is_archive(ledger.partition):  # its sequence numbers have gaps by design
        return
    if not is_of_hub(ledger.partition):
        yield Finding(
            Level.NOTE,
            "replay",
            f"{counted(ledger.counts.envelopes, 'dead letter was', 'dead letters were')} replayed",
        )
        return
    for life in (*ledger.past, ledger.incarnation):
        if life.gaps:
            spans = ", ".join(f"{first}-{last}" for first, last in life.gaps[:GAPS])
            more = ", …" if life.gaps[GAPS:] else ""
            yield Finding(
                Level.NOTE,
                "gaps",
                f"{counted(total(life.gaps), 'sequence number')} of incarnation {life.number} never arrived: "
                f"{spans}{more}",
            )
    if since < 1:
        shown = sum(
            total(intervals(one.metadata.sequences)) for one in chain if one.metadata.verdict != "lost"
        )
        hidden = ledger.counts.envelopes - shown
        if hidden > 0:
            yield Finding(
                Level.NOTE,
                "no_trace",
                f"{counted(hidden, 'envelope')} left no file: according to the ledger, "
                "none had a record to export",
            )


def _unpublished(chain: Sequence[Commit]) -> Iterator[Finding]:
    number = sum(commit.unpublished for commit in chain)
    if number:
        yield Finding(
            Level.UNCLEAR,
            "unpublished",
            f"{counted(number, 'committed file is', 'committed files are')} not visible yet; the timer "
            "publishes files within minutes, so run the audit again then",
        )
