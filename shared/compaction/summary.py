"""What a run of compaction did, for logs, metrics and commands."""

import logging
from dataclasses import astuple, dataclass, field

from shared import metrics
from shared.timeunits import SECOND

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swapped:
    """Files that were merged into one."""

    table: str
    files: int
    bytes_in: int
    bytes_out: int
    rows: int
    seconds: float
    """From reading the files to the end of the swap."""
    swap_seconds: float
    """Of those, from the commit of the swap on: a reader saw its rows twice for less."""

    def report(self) -> None:
        """To the metrics."""
        at = {"table": self.table}
        metrics.FILES_IN.record(self.files, at)
        metrics.FILES_OUT.record(1, at)
        metrics.SIZE_IN.record(self.bytes_in, at)
        metrics.SIZE_OUT.record(self.bytes_out, at)
        metrics.ROWS_AGAIN.record(self.rows, at)
        metrics.SWAP_WORK.record(self.seconds, at)
        metrics.SWAP_TIME.record(self.swap_seconds, at)
        log.info("%s: %d files (%d bytes) are one (%d bytes)", *astuple(self)[:4])


@dataclass(slots=True)
class CompactionSummary:
    """What a run did."""

    swaps: list[Swapped] = field(default_factory=list)
    """Swaps that it started."""
    finished: int = 0
    """Swaps that were in progress when the run began, and that it finished."""
    pending_since: int | None = None
    """When the unfinished swap was committed (µs since 1970 UTC)."""
    left: bool = False
    """Whether there was more to do than the time allowed."""
    alarms: list[str] = field(default_factory=list)
    """What an operator should look at."""

    def pending(self, now: int) -> float:
        """Returns the age of the unfinished swap in seconds, or 0 if there is none."""
        return (now - self.pending_since) / SECOND if self.pending_since is not None else 0

    def alarm(self, text: str) -> None:
        """Notes it, once."""
        if text not in self.alarms:
            log.error("%s", text)
            self.alarms.append(text)
