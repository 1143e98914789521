"""Summarizes a run of the timer: what it merged and wrote, the lag of partitions, and alarms."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.connections.manifest import Manifest
from shared.connections.progress import Taken
from shared.lag import Lag
from shared.protocol.hub import HubState

log = logging.getLogger(__name__)


@dataclass(slots=True)
class FinishSummary:
    """What a run did, and the state after it."""

    segments: int = 0
    observations: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    """Connections that were written with Revision 0, by status."""
    durations: list[tuple[str, float]] = field(default_factory=list)
    """Status and seconds of those whose duration is known."""
    revisions: int = 0
    capped: int = 0
    rows: int = 0
    """Rows of the state table."""
    open: int = 0
    """How many of these are unfinished connections, or have a revision to write."""
    unknown_names: int = 0
    """Event names that the settings list neither as opening nor as closing."""
    clock: int = -1
    """Everything that arrived before this time (µs since 1970 UTC) is merged."""
    lag: dict[str, Lag] = field(default_factory=dict)
    """How far the commits of each partition are behind the hub. Empty if the hub did not answer."""
    silence: dict[str, float] = field(default_factory=dict)
    """Seconds since the last record of each service."""
    stalled: int = 0
    """Partitions that have envelopes to commit but make no progress."""
    repaired: int = 0
    swept: int = 0
    alarms: list[str] = field(default_factory=list)
    """Problems that need an operator."""
    complete: bool = False
    """Whether all commits from before the run are merged, and all due connections are written."""

    def alarm(self, text: str) -> None:
        """Records and logs an alarm, once."""
        if text not in self.alarms:
            log.error("%s", text)
            self.alarms.append(text)

    def add(
        self,
        before: Manifest,
        after: Manifest,
        taken: Sequence[Taken],
        state: HubState | None,
        now: int,
    ) -> None:
        """Adds a commit of the manifest; `now` in µs since 1970 UTC."""
        done, was = after.totals, before.totals
        self.segments += sum(len(one.segments) for one in taken)
        self.observations += done.observations - was.observations
        self.revisions += done.revisions - was.revisions
        self.capped += done.capped - was.capped
        self.rows = sum(part.rows for part in after.parts)
        self.open = sum(part.open for part in after.parts)
        self.clock = after.clock
        known = after.services if after.clock >= 0 else {}
        self.silence = {name: one.silence(after.clock) for name, one in known.items()}
        if done.capped > was.capped:
            self.alarm(
                "too many connections: some were written and dropped early. "
                "Does a client invent CorrelationIds?"
            )
        ledgers = {one.ledger.partition: one.ledger for one in taken}
        self.stalled = 0
        for partition, position in (state.positions if state else {}).items():
            lag = self.lag[str(partition)] = position.lag(ledgers.get(str(partition)), now)
            if lag.stalled:
                # No alarm: an event that follows quiet hours looks the same. Gauges show age and count.
                self.stalled += 1
                log.warning(
                    "%s has at least %d envelopes to commit, and delays finishing", partition, lag.envelopes
                )
