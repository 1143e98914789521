"""Asks the Event Hub how far its sources go, and when it was made; the only one to import azure.eventhub."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from azure.eventhub import EventHubConsumerClient
from azure.eventhub.exceptions import EventHubError

from shared.envelope import Source
from shared.errors import HubError, SettingError
from shared.lag import Lag
from shared.ledger import TOLERANCE, Counts, Incarnation, Ledger
from shared.settings import Connection
from shared.storage import credential

MICROSECOND = 1_000_000
RETRIES = 1
"""The next run of the timer asks again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """The end of a source, when it was asked for."""

    last: int
    """The highest sequence number in it; -1: none yet."""
    enqueued: int
    """When that was enqueued, µs since 1970 UTC."""
    empty: bool
    """Nothing is in it: never was, or all of it expired."""

    def drained(self, incarnation: Incarnation) -> bool:
        """Whether nothing is in it that was not committed."""
        if self.empty:
            return True
        return self.last < (incarnation.next or 0) and self.enqueued <= incarnation.newest

    def behind(self, incarnation: Incarnation) -> int:
        """How many envelopes are in it, at least, that were not committed."""
        return 0 if self.drained(incarnation) else max(1, self.last + 1 - (incarnation.next or 0))

    def lag(self, ledger: Ledger | None, now: int) -> Lag:
        """How far this ledger's commits are behind (None: there are none); `now` in µs since 1970 UTC."""
        incarnation = ledger.incarnation if ledger else Incarnation()
        behind = self.behind(incarnation)
        since = incarnation.newest if incarnation.newest >= 0 else self.enqueued
        counts = ledger.counts if ledger else Counts()
        records = round(behind * counts.records / counts.envelopes) if counts.envelopes else None
        return Lag(behind, (now - since) / MICROSECOND if behind else 0, records)


@dataclass(frozen=True, slots=True)
class State:
    """A hub at one moment."""

    created: int
    """µs since 1970 UTC."""
    positions: Mapping[Source, Position]

    def recreated(self, ledger: Ledger) -> bool:
        """Whether this is the hub that the ledger is of, made anew after all that was committed of it."""
        newest = ledger.incarnation.newest
        here = any(str(source) == ledger.source for source in self.positions)
        return here and newest >= 0 and self.created > newest + TOLERANCE


class Hub(Protocol):
    """The Event Hub that this app exports."""

    def ask(self) -> State | None:
        """How it stands now; None: it did not answer."""


class EventHub:
    """An Event Hub of Azure. A connection lives for one call: the next one is a minute away."""

    def __init__(self, connection: Connection, name: str, consumer_group: str) -> None:
        """Nothing is asked of the service yet."""
        self._connection = connection
        self._name = name
        self._consumer_group = consumer_group

    def ask(self) -> State | None:
        """See Hub."""
        try:
            return self.state()
        except HubError as error:
            log.warning("%s, so idle sources hold back", error)
            return None

    def state(self) -> State:
        """How it stands now. Raises HubError."""
        try:
            with self._client() as client:
                hub: Mapping[str, Any] = client.get_eventhub_properties()
                namespace = (self._connection.address or client._address.hostname).lower()  # noqa: SLF001
                return State(
                    created=_microseconds(hub["created_at"]),
                    positions={
                        Source(namespace, self._name.lower(), id_): _position(
                            client.get_partition_properties(id_)
                        )
                        for id_ in hub["partition_ids"]
                    },
                )
        except EventHubError as error:
            raise HubError(f"{self._name}: does not say how far it goes: {_said(error)}") from error

    def _client(self) -> EventHubConsumerClient:
        to, hub, group = self._connection, self._name, self._consumer_group
        if to.string:
            try:
                return EventHubConsumerClient.from_connection_string(
                    to.string, group, eventhub_name=hub, retry_total=RETRIES
                )
            except ValueError as error:
                raise SettingError(f"EventHubConnection: is no connection string of a hub: {error}") from None
        return EventHubConsumerClient(str(to.address), hub, group, credential(to), retry_total=RETRIES)


def _position(properties: Mapping[str, Any]) -> Position:
    return Position(
        last=int(properties["last_enqueued_sequence_number"]),
        enqueued=_microseconds(properties["last_enqueued_time_utc"]),
        empty=bool(properties["is_empty"]),
    )


def _microseconds(time: datetime) -> int:
    return int(time.replace(microsecond=0).timestamp()) * MICROSECOND + time.microsecond


def _said(error: Exception) -> str:
    """What the service said, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
