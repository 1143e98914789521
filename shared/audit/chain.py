"""Proves that the commits form an unbroken chain: no commit with files is missing or surplus. Pure.

The metadata of each file states how many files and rows its commit has, and how many the ledger had counted
before it. The counts before one commit plus its own are the counts before the next commit that has files, or
the ledger's counts after the last one. Each file also states the chain value before its commit, which covers
the names, metadata and checksums of all earlier commits (shared/digests.py). Commits without files (all
their records were of other categories) leave no trace.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.audit.evidence import Commit, Finding, Level, refuted
from shared.digests import GENESIS, of_commit
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.ledger import Ledger
from shared.wording import counted


@dataclass(frozen=True, slots=True)
class Tail:
    """What a ledger or the state table's manifest states about all committed files."""

    name: str
    """The name of the document, as shown in messages."""
    files: int
    lost: int
    """How many of these files could not be published."""
    committed_at: int
    """When it was last written (µs since 1970 UTC)."""
    chain: str
    """The chain value after the newest commit (see shared/digests.py)."""

    @classmethod
    def of(cls, ledger: Ledger) -> "Tail":
        """Returns the tail of a ledger."""
        name = f"the ledger, ordinal {ledger.ordinal}"
        return cls(name, ledger.counts.files, ledger.counts.lost, ledger.committed_at, ledger.chain)


def unaltered(tail: Tail, chain: Sequence[Commit], since: int) -> Iterator[Finding]:
    """Finds files whose names, metadata or checksums differ from what was committed.

    Checks only commits whose files all exist and that are followed by another existing commit. Missing files
    are detected by the file counts instead.
    """
    if (
        chain
        and since < 1
        and not chain[0].metadata.files_before
        and chain[0].metadata.chain_before != GENESIS
    ):
        yield _altered(chain[0])
    for number, commit in enumerate(chain):
        following = chain[number + 1].metadata if number + 1 < len(chain) else None
        files, value = (
            (following.files_before, following.chain_before) if following else (tail.files, tail.chain)
        )
        complete = not commit.missing and not commit.unpublished
        adjacent = commit.metadata.files_before + commit.metadata.commit_files == files
        if complete and adjacent and of_commit(commit.digests) != value:
            yield _altered(commit)


def _altered(commit: Commit) -> Finding:
    return refuted(
        "altered",
        f"{commit.name}: the names, metadata or checksums of its files are not those that were committed",
    )


def unbroken(
    tail: Tail, chain: Sequence[Commit], anchor: CommitMetadata | None, since: int
) -> Iterator[Finding]:
    """Finds commits that are missing, and commits that the ledger does not know."""
    metadata = [*([anchor] if anchor else []), *(commit.metadata for commit in chain)]
    if since > 0 and not metadata:
        if tail.files and tail.committed_at >= since:
            yield _unanchored("no file is left to compare the ledger with")
        return
    breaks = list(_breaks(tail, metadata, metadata[0].files_before if since > 0 else 0))
    if anchor and breaks and breaks[0].after is anchor:
        yield _unanchored(f"{breaks.pop(0).text}, perhaps before --since")
    elif since > 0 and not anchor and metadata[0].files_before:
        yield _unanchored("no file from before --since is left, so the first ones after it may be missing")
    for broken in breaks:
        if broken.files < 0:
            yield refuted("rolled_back", broken.text)
    yield from _missing(tail, chain, breaks, since)


def _missing(
    tail: Tail, chain: Sequence[Commit], breaks: Sequence["_Break"], since: int
) -> Iterator[Finding]:
    """Finds missing files, except those that the ledger lists as lost."""
    gaps = [(one.files, one.text) for one in breaks if one.files > 0]
    gaps += [
        (one.missing, f"{one.name} lacks {one.missing} of its files") for one in chain if one.missing > 0
    ]
    number, lost = sum(files for files, _ in gaps), tail.lost
    if number > lost or (since < 1 and number < lost):
        hint = "" if since > 0 else "; if a lifecycle rule deleted them, limit the audit with --since"
        for _, text in gaps:
            yield refuted("missing_files", text + hint)


def _unanchored(problem: str) -> Finding:
    return Finding(Level.UNCLEAR, "no_anchor", f"{problem}: choose another time for --since")


@dataclass(frozen=True, slots=True)
class _Break:
    """A point at which the chain of counted files breaks."""

    after: CommitMetadata | None
    files: int
    """The number of missing files; if negative, the number of surplus files."""
    text: str


def _breaks(tail: Tail, chain: Sequence[CommitMetadata], before: int) -> Iterator[_Break]:
    """Finds where the counts before a commit differ from those after its predecessor."""
    last: CommitMetadata | None = None
    ends = [(metadata.files_before, metadata.commit_files, metadata.name, metadata) for metadata in chain]
    for start, files, name, metadata in (
        *ends,
        (tail.files, 0, tail.name, None),
    ):
        if start != before:
            yield _Break(
                last,
                start - before,
                _gone(start - before, last.name if last else "the beginning", name),
            )
        before, last = start + files, metadata


def _gone(number: int, after: str, before: str) -> str:
    if number < 0:
        fewer = counted(-number, "fewer file")
        return f"{before} counts {fewer} than exist after {after}: the ledger was rolled back"
    return f"files that were committed between {after} and {before} are missing: {number}"
