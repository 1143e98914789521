"""How far a partition's commits lag behind its hub, and how close that lag is to the retention limit."""

from dataclasses import dataclass

STALLED = 30 * 60
"""Seconds that a partition with envelopes to commit may lag behind."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the commits of a partition are behind its hub."""

    envelopes: int
    """Envelopes in the hub that are not committed."""
    seconds: float
    """Upper bound of the age of the oldest of these envelopes, in seconds; 0 if there are none."""
    records: int | None = None
    """Estimated records in these envelopes, from the average so far; None if nothing was committed."""

    @property
    def stalled(self) -> bool:
        """Whether there are envelopes to commit, but nothing was committed for a long time."""
        return self.envelopes > 0 and self.seconds > STALLED

    def headroom(self, retention: float) -> float | None:
        """Seconds until the hub may delete uncommitted envelopes; None if its retention is unknown."""
        return retention - self.seconds if retention else None
