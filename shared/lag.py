"""How far a partition's commits lag behind its hub, and how close that lag is to the retention limit."""

from dataclasses import dataclass

STALLED = 30 * 60
"""Seconds that a partition with envelopes to commit may lie behind."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the commits of a partition are behind its hub."""

    envelopes: int
    """In the hub and not committed."""
    seconds: float
    """So long ago the oldest of them arrived, at most; 0: there is none."""
    records: int | None = None
    """In them, by what an envelope of this partition held so far; None: nothing was committed of it."""

    @property
    def stalled(self) -> bool:
        """Whether there are envelopes to commit, and for long nothing was."""
        return self.envelopes > 0 and self.seconds > STALLED

    def headroom(self, retention: float) -> float | None:
        """Seconds until the hub may delete what is not committed; None: its retention is not known."""
        return retention - self.seconds if retention else None
