"""Summarizes what a run of compaction did, for logs, metrics and commands."""

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
    """Duration from reading the files to the end of the swap."""
    swap_seconds: float
    """Duration from the commit of the swap to its end. Readers saw its rows twice for less than this."""

    def report(self) -> None:
        """Reports it to metrics and log."""
        at = {"table": self.table}
        metrics.FILES_IN.record(self.files, at)
        metrics.FILES_OUT.record(1, at)
        metrics.SIZE_IN.record(self.bytes_in, at)
        metrics.SIZE_OUT.record(self.bytes_out, at)
        metrics.ROWS_AGAIN.record(self.rows, at)
        metrics.SWAP_WORK.record(self.seconds, at)
        metrics.SWAP_TIME.record(self.swap_seconds, at)
        log.info("%s: %d files (%d bytes) were merged into one (%d bytes)", *astuple(self)[:4])


@dataclass(slots=True)
class CompactionSummary:
    """The swaps, remaining work and problems of a run."""

    swaps: list[Swapped] = field(default_factory=list)
    """Swaps that it started."""
    finished: int = 0
    """Swaps that were in progress when the run began, and that it finished."""
    pending_since: int | None = None
    """When the unfinished swap was committed (µs since 1970 UTC)."""
    left: bool = False
    """Whether there was more to do than the time allowed."""
    alarms: list[str] = field(default_factory=list)
    """Problems that need an operator."""

    def pending(self, now: int) -> float:
        """Returns the age of the unfinished swap in seconds, or 0 if there is none."""
        return (now - self.pending_since) / SECOND if self.pending_since is not None else 0

    def alarm(self, text: str) -> None:
        """Records and logs an alarm, once."""
        if text not in self.alarms:
            log.error("%s", text)
            self.alarms.append(text)
