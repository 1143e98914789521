"""What a status is: partitions, connections, services, event names, and the verdict on them. Pure data."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.commands.console import counted
from shared.connections.manifest import EventNameCounts, Manifest
from shared.connections.services import ServiceActivity
from shared.input.envelope import is_of_hub
from shared.lag import Lag
from shared.matching.sample import Sample
from shared.protocol.ledger import Ledger

if TYPE_CHECKING:
    from shared.protocol.checkpoints import Checkpoint


class Meaning(StrEnum):
    """What an event name says of a connection, by today's settings."""

    OPENING = "opening"
    CLOSING = "closing"
    BOTH = "opening and closing"
    NEITHER = "neither"


@dataclass(slots=True)
class Standing:
    """How one partition stands."""

    partition: str
    ledger: Ledger | None
    lag: Lag | None = None
    """None: not known."""
    checkpoint: "Checkpoint | None" = None
    """Where the Functions host goes on; None: there is none, or it is not known."""
    alarms: list[str] = field(default_factory=list)
    """What an operator should look at."""

    @property
    def replay(self) -> bool:
        """Whether these are dead letters of another partition, replayed, or an archive, backfilled."""
        return not is_of_hub(self.partition)

    @property
    def gaps(self) -> int:
        """Sequence numbers that never came; of a replay, nothing was to come."""
        if self.ledger is None or self.replay:
            return 0
        return sum(last - first + 1 for first, last in self.ledger.incarnation.gaps)


@dataclass(frozen=True, slots=True)
class Pending:
    """A swap of compaction that was decided and is not done: until it is, nothing else is compacted."""

    folder: str
    """Of the hour, with its table."""
    output: str
    since: int
    """When it was decided, µs since 1970 UTC."""
    inputs: int
    """Files that one takes the place of."""
    visible: bool
    """Whether that one is there: if so, readers see the rows of what is left of the others twice."""
    left: tuple[str, ...]
    """Those of the others that are not deleted."""

    @property
    def waits_for(self) -> str:
        """What has to happen next."""
        if not self.visible:
            return "the large file is to be published"
        if not self.left:
            return "its end is to be noted"
        are = "file is" if self.inputs == 1 else "files are"
        return f"{len(self.left):,} of {self.inputs:,} {are} to be deleted, such as {self.left[0]}"


@dataclass(frozen=True, slots=True)
class Name:
    """An event name that was seen."""

    name: str
    seen: EventNameCounts
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Key:
    """A key that most recent records of a table have, and that none of its columns takes."""

    table: str
    key: str
    """As in the setting `COLUMN_KEYS`."""
    records: int
    """How many of the recent records have it, estimated."""
    of: int
    """How many recent records there are."""


@dataclass(frozen=True, slots=True)
class Status:
    """How all partitions, connections, services and event names stand."""

    partitions: list[Standing]
    names: list[Name]
    """Most connections first."""
    manifest: Manifest
    swap: Pending | None = None
    keys: list[Key] = field(default_factory=list)
    """Most records first."""
    matches: list[Sample] = field(default_factory=list)
    """How many rows have a counterpart, for each view that joins tables."""
    alarms: list[str] = field(default_factory=list)
    """Of no one partition."""
    unknown: tuple[str, ...] = ()
    """What is unknown, and why."""
    failed: bool = False
    """Whether it is unknown because something did not answer."""

    @property
    def verdict(self) -> tuple[int, str]:
        """The exit status, and a sentence that says why."""
        alarms = len(self.all_alarms)
        if alarms:
            which = self.all_alarms[0] if alarms == 1 else "see the last lines."
            return WRONG, f"{counted(alarms, 'thing')} {'needs' if alarms == 1 else 'need'} a look: {which}"
        if not self.partitions:
            return UNKNOWN, "Nothing was committed yet, or STATE_CONTAINER is not that of the function app."
        partitions = counted(len(self.partitions), "partition")
        if self.failed:
            return UNKNOWN, f"Nobody can tell whether all is well. {' '.join(self.unknown)}"
        if not any(one.lag for one in self.partitions):
            return OK, f"Nothing looks wrong with {partitions}; without the hub, lag is unknown."
        waiting = [one.lag for one in self.partitions if one.lag and one.lag.envelopes]
        if not waiting:
            return OK, f"All is well: {partitions}, and nothing waits in the hub."
        envelopes, minutes = sum(one.envelopes for one in waiting), max(one.seconds for one in waiting) / 60
        waits = f"{counted(envelopes, 'envelope')} {'waits' if envelopes == 1 else 'wait'}"
        return OK, f"All is well: {partitions}; {waits} in the hub, for {minutes:,.1f} min at most."

    @property
    def services(self) -> list[tuple[str, ServiceActivity]]:
        """What each service sent, by `_ResourceId`: those that are silent longest first."""
        return sorted(self.manifest.services.items(), key=lambda one: (one[1].newest, one[0]))

    @property
    def open(self) -> int:
        """Connections that are not finished, or are to be revised."""
        return sum(part.open for part in self.manifest.parts)

    @property
    def estimate(self) -> float | None:
        """Mean estimate from arrival times of connections without a duration, in seconds.

        None: most connections have a duration.
        """
        totals = self.manifest.totals
        if 2 * totals.indeterminate <= totals.connections:
            return None
        return totals.arrival_seconds / totals.indeterminate

    @property
    def all_alarms(self) -> list[str]:
        """With the partition that each is of."""
        return [
            *self.alarms,
            *(f"{one.partition}: {alarm}" for one in self.partitions for alarm in one.alarms),
        ]
