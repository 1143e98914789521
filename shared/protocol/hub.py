"""What the program needs from an Event Hub, and the state of the hub's partitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.lag import Lag
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Counts, Ledger
from shared.timeunits import SECOND


@dataclass(frozen=True, slots=True)
class Position:
    """The state of a partition when the hub was queried."""

    last: int
    """The highest sequence number in it; -1 if there was none yet."""
    enqueued: int
    """When that event was enqueued (µs since 1970 UTC)."""
    empty: bool
    """Whether it holds no events, because none arrived or all expired."""
    first: int = 0
    """The lowest sequence number that it still holds."""

    def drained(self, incarnation: Incarnation) -> bool:
        """Whether every event in the partition is committed."""
        if self.empty:
            return True
        return self.last < (incarnation.next or 0) and self.enqueued <= incarnation.newest

    def behind(self, incarnation: Incarnation) -> int:
        """Returns the minimum number of envelopes in the partition that are not committed."""
        return 0 if self.drained(incarnation) else max(1, self.last + 1 - (incarnation.next or 0))

    def lag(self, ledger: Ledger | None, now: int) -> Lag:
        """Returns the lag of this ledger's commits (None: there is no ledger); `now` in µs since 1970 UTC."""
        incarnation = ledger.incarnation if ledger else Incarnation()
        behind = self.behind(incarnation)
        since = incarnation.newest if incarnation.newest >= 0 else self.enqueued
        counts = ledger.counts if ledger else Counts()
        records = round(behind * counts.records / counts.envelopes) if counts.envelopes else None
        return Lag(behind, (now - since) / SECOND if behind else 0, records)


@dataclass(frozen=True, slots=True)
class HubState:
    """A hub at one moment."""

    created: int
    """When it was created (µs since 1970 UTC)."""
    positions: Mapping[HubPartition, Position]

    def has(self, ledger: Ledger) -> bool:
        """Whether the ledger belongs to a partition of this hub."""
        return any(str(partition) == ledger.partition for partition in self.positions)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An event that was read from the hub again."""

    envelope: Envelope
    offset: str
    """Its offset in the partition, as written in a checkpoint."""


class Hub(Protocol):
    """The Event Hub that this app exports."""

    def ask(self) -> HubState | None:
        """Returns its current state, or None if it did not answer."""


class Fetcher(Protocol):
    """The hub, read in a separate consumer group, because the host's group allows no second reader."""

    def fetch(self, partition: HubPartition, first: int, last: int) -> list[Fetched]:
        """Returns the events from `first` to `last`, or only the earliest of them. Raises HubError."""


class HubReader(Fetcher, Protocol):
    """A Fetcher that also returns the state of the hub."""

    def state(self) -> HubState:
        """Returns the current state of the hub. Raises HubError."""
