"""What the container shows about commits, and the audit's findings on them. Pure data."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

from shared.protocol.commit_metadata import CommitMetadata


class Level(StrEnum):
    """What a finding means for the proof."""

    REFUTED = "refuted"
    UNCLEAR = "unclear"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of the audit."""

    level: Level
    code: str
    message: str


def refuted(code: str, message: str) -> Finding:
    """Returns a finding that refutes what the audit should prove."""
    return Finding(Level.REFUTED, code, message)


@dataclass(slots=True)
class Commit:
    """A commit as the container shows it."""

    metadata: CommitMetadata
    files: int = 0
    """The number of its visible files."""
    unpublished: int = 0
    """Listed in the ledger and staged, but not visible yet."""
    lines: int = 0
    """Rows of all its files, including dead letters."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows by format."""
    rejected: int | None = None
    """Rejections that its dead letters count; None if they were not read."""
    whole: bool = True
    """Whether all its files could be read."""
    digests: list[bytes] = field(default_factory=list)
    """The digest of all its files (see shared/digests.py)."""

    @property
    def name(self) -> str:
        """The name of the commit, as shown in messages."""
        return self.metadata.name

    @property
    def missing(self) -> int:
        """How many of its files are missing."""
        return self.metadata.commit_files - self.files - self.unpublished


SHOWN = 5
"""Maximum number of findings of one kind that are listed for a partition; the others are only counted."""


def worst_first(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Returns the worst findings first, and only the first few of each kind."""
    order = list(Level)
    kinds = sorted(findings, key=lambda one: (order.index(one.level), one.code))
    for (level, code), group in groupby(kinds, lambda one: (one.level, one.code)):
        some = list(group)
        yield from some[:SHOWN]
        if some[SHOWN:]:
            yield Finding(level, code, f"… and {len(some) - SHOWN} more of this kind")
