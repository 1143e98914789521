"""The plan of a commit: the files that it makes visible, and the next ledger. Pure data."""

from dataclasses import dataclass, replace

from shared.protocol.ledger import Counts, Ledger, StagedFile


@dataclass(frozen=True, slots=True)
class Measures:
    """Measurements of a commit in addition to its counts; times in µs since 1970 UTC."""

    bytes: int = 0
    """Size of the bodies as they arrived."""
    late: int = 0
    """Rows that arrived more than `policy.grace` after their time."""
    arrived: int | None = None
    """When the oldest envelope arrived."""
    happened: int | None = None
    """The (upper) median time of the rows; None if there are none."""
    passed: int = 0
    """Sequence numbers newly found missing by this commit, after the partition's first commit."""


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """The files that one commit will make visible, and the next ledger."""

    ledger: Ledger
    files: tuple[StagedFile, ...]
    segment: bytes | None
    """The observations to store under the name of the ledger's last segment."""
    counts: Counts
    """The counts that this commit adds to those of the ledger."""
    measures: Measures = Measures()
    index: bytes | None = None
    """The content of the ledger's last index, if that index is new."""

    def without_data(self) -> "CommitPlan":
        """Returns the plan without the bytes that are already stored."""
        files = tuple(replace(file, data=b"") for file in self.files)
        return replace(self, files=files, segment=None, index=None)
