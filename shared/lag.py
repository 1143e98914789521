"""How far the commits of a source are behind its hub, and how far that is from the hub's retention."""

from dataclasses import dataclass

STALLED = 30 * 60
"""Seconds that a source with envelopes to commit may lie behind."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the commits of a source are behind its hub."""

    envelopes: int
    """In the hub and not committed."""
    seconds: float
    """So long ago the oldest of them arrived, at most; 0: there is none."""
    records: int | None = None
    """In them, by what an envelope of this source held so far; None: nothing was committed of it."""

    @property
    def stalled(self) -> bool:
        """Whether there are envelopes to commit, and for long nothing was."""
        return self.envelopes > 0 and self.seconds > STALLED

    def headroom(self, retention: float) -> float | None:
        """Seconds until the hub may delete what is not committed; None: its retention is not known."""
        return retention - self.seconds if retention else None
