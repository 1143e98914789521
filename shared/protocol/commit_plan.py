"""What one commit makes visible, and the ledger that says so. Pure data."""

from dataclasses import dataclass, replace

from shared.protocol.ledger import Counts, Ledger, StagedFile


@dataclass(frozen=True, slots=True)
class Measures:
    """Measurements of a commit besides its counts; times in µs since 1970 UTC."""

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
    """What one commit will make visible, and the ledger that says so."""

    ledger: Ledger
    files: tuple[StagedFile, ...]
    segment: bytes | None
    """The observations, to be stored under the name of the ledger's last segment."""
    counts: Counts
    """What this commit adds to the ledger's counts."""
    measures: Measures = Measures()
    index: bytes | None = None
    """The content of the ledger's last index, if that is new."""

    def without_data(self) -> "CommitPlan":
        """Returns the plan without the bytes that are already stored."""
        files = tuple(replace(file, data=b"") for file in self.files)
        return replace(self, files=files, segment=None, index=None)
