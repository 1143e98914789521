"""What one commit makes visible, and the ledger that says so. Pure data."""

from dataclasses import dataclass, replace

from shared.protocol.ledger import Counts, Ledger, StagedFile


@dataclass(frozen=True, slots=True)
class Measures:
    """What a commit tells of its envelopes beside its counts; times in µs since 1970 UTC."""

    bytes: int = 0
    """Of the bodies, as they arrived."""
    late: int = 0
    """Rows that arrived more than `policy.grace` after their time."""
    arrived: int | None = None
    """When the oldest envelope did."""
    happened: int | None = None
    """The median time of the rows, of two the upper one; None: there is no row."""
    passed: int = 0
    """Sequence numbers that the commit is the first to pass over, after the partition's first commit."""


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """What one commit will make visible, and the ledger that says so."""

    ledger: Ledger
    files: tuple[StagedFile, ...]
    segment: bytes | None
    """The observations, to be stored under the name of the ledger's last segment."""
    counts: Counts
    """What this commit adds to the ledger's."""
    measures: Measures = Measures()
    index: bytes | None = None
    """To be stored under the name of the ledger's last index: that is a new one."""

    def without_data(self) -> "CommitPlan":
        """The same without the bytes that are stored by now: what is kept of a commit."""
        files = tuple(replace(file, data=b"") for file in self.files)
        return replace(self, files=files, segment=None, index=None)
