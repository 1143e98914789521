"""A ledger and its commits as the audit sees them, without any container."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from shared.audit.evidence import Commit, Finding
from shared.digests import GENESIS, of_bytes, of_commit
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Counts, Ledger


def committed(number: int = 3, partition: str = "ns/hub/0") -> tuple[Ledger, list[Commit]]:
    """A ledger, and what the container shows of its commits.

    Each commit has 10 envelopes with a record each, of which 8 became rows and 1 a dead letter, in 2 files.
    """
    chain, commits = GENESIS, []
    for n in range(number):
        metadata = CommitMetadata(
            partition=partition,
            ledger_id="l",
            ordinal=n + 1,
            commit_id=f"{n:032x}",
            committed_at=100 * (n + 1),
            incarnation=0,
            sequences=f"{10 * n}-{10 * n + 9}",
            commit_files=2,
            commit_rows=9,
            formats="parquet",
            verdict="new",
            files_before=2 * n,
            rows_before=8 * n,
            rejected_before=n,
            skipped_before=n,
            envelopes_before=10 * n,
            commit_rejected=1,
            commit_skipped=1,
            chain_before=chain,
        )
        digests = [of_bytes(b"%d %d" % (n, file)).encode() for file in range(2)]
        commits.append(Commit(metadata, files=2, lines=9, rows={"parquet": 8}, rejected=1, digests=digests))
        chain = of_commit(digests)
    counts = Counts(
        envelopes=10 * number,
        records=10 * number,
        rows=8 * number,
        rejected={"malformed_record": number},
        skipped=number,
        files=2 * number,
    )
    ledger = Ledger(
        ledger_id="l",
        partition=partition,
        ordinal=number,
        committed_at=100 * number,
        chain=chain,
        counts=counts,
        incarnation=Incarnation(next=10 * number),
    )
    return ledger, commits


def altered(commit: Commit, **metadata: Any) -> Commit:
    """The commit with other metadata."""
    return replace(commit, metadata=replace(commit.metadata, **metadata))


def kinds(findings: Iterable[Finding]) -> list[str]:
    return [one.code for one in findings]
