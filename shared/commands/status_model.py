"""The data of a status: partitions, connections, services, event names, and the verdict. Pure data."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.commands.status_document import KeyStatus, NameStatus, SwapStatus
from shared.connections.manifest import Manifest
from shared.connections.service_activity import ServiceActivity
from shared.input.hub_partition import is_of_hub
from shared.intervals import total
from shared.lag import Lag
from shared.matching.sample import Sample
from shared.protocol.ledger import Ledger
from shared.wording import counted

if TYPE_CHECKING:
    from shared.protocol.checkpoints import Checkpoint


@dataclass(slots=True)
class PartitionState:
    """The state of one partition."""

    partition: str
    ledger: Ledger | None
    lag: Lag | None = None
    """None if unknown."""
    checkpoint: "Checkpoint | None" = None
    """Where the Functions host continues; None if there is none, or if it is unknown."""
    alarms: list[str] = field(default_factory=list)
    """Problems that need an operator."""

    @property
    def replay(self) -> bool:
        """Whether it stands for replayed dead letters of another partition, or for a backfilled archive."""
        return not is_of_hub(self.partition)

    @property
    def gaps(self) -> int:
        """Sequence numbers that never arrived; 0 for a replay."""
        if self.ledger is None or self.replay:
            return 0
        return total(self.ledger.incarnation.gaps)


@dataclass(frozen=True, slots=True)
class Status:
    """The state of all partitions, connections, services and event names."""

    partitions: list[PartitionState]
    names: list[NameStatus]
    """Most connections first."""
    manifest: Manifest
    swap: SwapStatus | None = None
    keys: list[KeyStatus] = field(default_factory=list)
    """Most records first."""
    matches: list[Sample] = field(default_factory=list)
    """How many rows have a counterpart, for each view that joins tables."""
    alarms: list[str] = field(default_factory=list)
    """Alarms that do not concern a single partition."""
    unknown: tuple[str, ...] = ()
    """Unknown values, with the reason."""
    failed: bool = False
    """Whether a value is unknown because something did not answer."""

    @property
    def verdict(self) -> tuple[int, str]:
        """Returns the exit status, and a sentence with the reason."""
        alarms = len(self.all_alarms)
        if alarms:
            which = self.all_alarms[0] if alarms == 1 else "see the last lines."
            needs = "needs" if alarms == 1 else "need"
            return WRONG, f"{counted(alarms, 'problem')} {needs} attention: {which}"
        if not self.partitions:
            return (
                UNKNOWN,
                "Nothing has been committed yet, or STATE_CONTAINER is not that of the function app.",
            )
        partitions = counted(len(self.partitions), "partition")
        if self.failed:
            return UNKNOWN, f"It is unknown whether all is well. {' '.join(self.unknown)}"
        if not any(one.lag for one in self.partitions):
            return OK, f"Nothing looks wrong with {partitions}; without the hub, lag is unknown."
        waiting = [one.lag for one in self.partitions if one.lag and one.lag.envelopes]
        if not waiting:
            return OK, f"All is well: {partitions}, and nothing is waiting in the hub."
        envelopes, minutes = sum(one.envelopes for one in waiting), max(one.seconds for one in waiting) / 60
        waits = f"{counted(envelopes, 'envelope')} {'is' if envelopes == 1 else 'are'} waiting"
        return OK, f"All is well: {partitions}; {waits} in the hub, for up to {minutes:,.1f} min."

    @property
    def services(self) -> list[tuple[str, ServiceActivity]]:
        """Returns the activity of each service by `_ResourceId`, longest silence first."""
        return sorted(self.manifest.services.items(), key=lambda one: (one[1].newest, one[0]))

    @property
    def open(self) -> int:
        """Connections that are not finished, or that must be revised."""
        return sum(part.open for part in self.manifest.parts)

    @property
    def estimate(self) -> float | None:
        """Mean estimate from arrival times of connections without a duration, in seconds.

        None if most connections have a duration.
        """
        totals = self.manifest.totals
        if 2 * totals.indeterminate <= totals.connections:
            return None
        return totals.arrival_seconds / totals.indeterminate

    @property
    def all_alarms(self) -> list[str]:
        """All alarms, each with its partition."""
        return [
            *self.alarms,
            *(f"{one.partition}: {alarm}" for one in self.partitions for alarm in one.alarms),
        ]
