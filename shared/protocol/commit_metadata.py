"""The metadata about its commit that every file has. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.intervals import intervals, total


@dataclass(frozen=True, slots=True)
class CommitMetadata:
    """The metadata about its commit that every file has (written by shared/protocol/commit_files.py)."""

    partition: str
    ledger_id: str
    ordinal: int
    commit_id: str
    committed_at: int
    incarnation: int
    sequences: str
    commit_files: int
    commit_rows: int
    formats: str
    verdict: str
    """`new`; `stale`: from a deleted hub; `lost`: refills lost files, whose rows were counted before."""
    files_before: int
    rows_before: int
    rejected_before: int
    skipped_before: int
    envelopes_before: int
    commit_rejected: int
    commit_skipped: int
    chain_before: str
    """The chain value before this commit: see shared/digests.py."""

    @property
    def name(self) -> str:
        """The name of the commit, as shown in messages."""
        return f"commit {self.commit_id} (ordinal {self.ordinal})"

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Self | None:
        """Parses metadata; None if it is not that of a file of a commit."""
        try:
            metadata = {name: metadata[name] for name in cls.__slots__}
            numbers = {
                name: int(metadata[name]) for name, type_ in cls.__annotations__.items() if type_ is int
            }
            intervals(metadata["sequences"])
        except (KeyError, ValueError):
            return None
        return cls(**(metadata | numbers))  # type: ignore[arg-type]

    @classmethod
    def of_connections(cls, metadata: Mapping[str, str]) -> Self | None:
        """Parses the metadata of a file of finished connections, which lacks sequences and rejections."""
        return cls.of(
            {
                **_OF_CONNECTIONS,
                **metadata,
                "partition": CONNECTIONS,
                "ledger_id": metadata.get("manifest_id", ""),
            }
        )

    @property
    def envelopes(self) -> int:
        """The number of envelopes that the commit counted."""
        return 0 if self.verdict == "lost" else total(intervals(self.sequences))


_OF_CONNECTIONS = {
    "incarnation": "0",
    "sequences": "",
    "verdict": "new",
    **dict.fromkeys(("rejected_before", "skipped_before", "envelopes_before"), "0"),
    **dict.fromkeys(("commit_rejected", "commit_skipped"), "0"),
}


CONNECTIONS = "connections"
"""Stands in place of a partition's name in the metadata of finished connections."""
