"""Queries the state of the Event Hub and reads its events; the only module that imports azure.eventhub."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Event, Thread
from typing import Any

from azure.eventhub import EventData, EventHubConsumerClient
from azure.eventhub.amqp import AmqpMessageBodyType
from azure.eventhub.exceptions import EventHubError

from shared.azure.blob_storage import credential
from shared.errors import HubError, SettingError
from shared.input.amqp_bodies import as_json
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import Connection
from shared.protocol.hub import Fetched, HubState, Position
from shared.timeunits import SECOND

RETRIES = 1
"""Number of retries of a query; the next run of the timer queries again."""

CLOSING = 5
"""Seconds that the library may take to stop reading."""
PREFETCH = 50
"""Number of events to prefetch from a partition; each may be 1 MB."""

IDLE = 60.0
"""Seconds within which existing events of a partition must arrive."""
FETCHED = 8 << 20
"""Total size of the bodies to fetch at a time, in bytes."""

log = logging.getLogger(__name__)


class EventHub:
    """An Event Hub in Azure. Each call opens its own connection, because calls are a minute apart."""

    def __init__(self, connection: Connection, name: str, consumer_group: str) -> None:
        """Makes no call."""
        self._connection = connection
        self._name = name
        self._consumer_group = consumer_group

    def ask(self) -> HubState | None:
        """See Hub."""
        try:
            return self.state()
        except HubError as error:
            log.warning("%s, so idle partitions delay finishing", error)
            return None

    def state(self) -> HubState:
        """Returns the current state of the hub. Raises HubError."""
        try:
            with self._client() as client:
                hub: Mapping[str, Any] = client.get_eventhub_properties()
                namespace = (self._connection.address or client._address.hostname).lower()  # noqa: SLF001
                return HubState(
                    created=_microseconds(hub["created_at"]),
                    positions={
                        HubPartition(namespace, self._name.lower(), id_): _position(
                            client.get_partition_properties(id_)
                        )
                        for id_ in hub["partition_ids"]
                    },
                )
        except EventHubError as error:
            raise HubError(f"event hub {self._name!r} cannot be queried: {_message(error)}") from error

    def fetch(self, partition: HubPartition, first: int, last: int, limit: int = FETCHED) -> list[Fetched]:
        """Returns the events from `first` to `last` that the hub holds, or only the earliest of them.

        `limit`: total size of the bodies (bytes) after which it stops, but not before the first event. Raises
        HubError, including when no event from `first` on arrives within a minute.
        """
        found: list[Fetched] = []
        size = 0

        def take(event: EventData) -> bool:
            nonlocal size
            envelope = _envelope(event)
            if envelope.sequence > last:
                return False
            found.append(Fetched(envelope, str(event.offset)))
            size += len(envelope.body)
            return envelope.sequence < last and size < limit

        start = {
            "partition_id": partition.id,
            "starting_position": first,
            "starting_position_inclusive": True,
        }
        if not self._receive(start, take, IDLE) and not found:
            raise HubError(
                f"{partition}: no event from sequence number {first} on arrived within {IDLE:.0f} s"
            )
        return found

    def read(self, start: datetime | None, take: Callable[[Envelope], bool], seconds: float) -> None:
        """Passes envelopes from `start` on (None: new ones only) to `take` until it returns False.

        Stops when the time is up. Uses no checkpoint and no owner level, so it neither claims partitions nor
        records its progress. Raises HubError.
        """
        position = "@latest" if start is None else start
        self._receive({"starting_position": position}, lambda event: take(_envelope(event)), seconds)

    def _receive(self, start: Mapping[str, Any], take: Callable[[EventData], bool], seconds: float) -> bool:
        """Passes events to `take` until it returns False, and returns True; returns False if the time is up.

        Raises HubError.
        """
        done = Event()
        errors: list[Exception] = []

        def received(_: Any, event: EventData) -> None:
            if not done.is_set() and not take(event):
                done.set()

        def failed(_: Any, error: Exception) -> None:
            errors.append(error)
            done.set()

        # The library's receive hangs while it retries: azure-sdk-for-python, issue 27137.
        with self._client(retries=0) as client:
            thread = Thread(
                target=client.receive,
                args=(received,),
                kwargs={"on_error": failed, "prefetch": PREFETCH, **start},
                daemon=True,
            )
            thread.start()
            ended = done.wait(seconds)
        thread.join(CLOSING)
        client.close()  # closes what the library was opening during the first close
        if errors:
            raise HubError(
                f"event hub {self._name!r} cannot be read in consumer group {self._consumer_group}: "
                f"{_message(errors[0])}"
            ) from errors[0]
        return ended

    def _client(self, retries: int = RETRIES) -> EventHubConsumerClient:
        to, hub, group = self._connection, self._name, self._consumer_group
        if to.string:
            try:
                return EventHubConsumerClient.from_connection_string(
                    to.string, group, eventhub_name=hub, retry_total=retries
                )
            except ValueError as error:
                raise SettingError(
                    f"EventHubConnection is not the connection string of a hub: {error}"
                ) from None
        return EventHubConsumerClient(str(to.address), hub, group, credential(to), retry_total=retries)


def _envelope(event: EventData) -> Envelope:
    assert event.sequence_number is not None
    assert event.enqueued_time is not None
    sequence, enqueued = event.sequence_number, _microseconds(event.enqueued_time)
    body: Any = event.body
    if event.body_type is not AmqpMessageBodyType.DATA:
        kind = str(event.body_type.value)
        annotations = event.raw_amqp_message.annotations
        return Envelope(sequence, enqueued, as_json(kind, body, event.properties, annotations), amqp=kind)
    return Envelope(sequence, enqueued, body if isinstance(body, bytes) else b"".join(body))


def _position(properties: Mapping[str, Any]) -> Position:
    return Position(
        last=int(properties["last_enqueued_sequence_number"]),
        enqueued=_microseconds(properties["last_enqueued_time_utc"]),
        empty=bool(properties["is_empty"]),
        first=max(0, int(properties["beginning_sequence_number"])),
    )


def _microseconds(time: datetime) -> int:
    return int(time.replace(microsecond=0).timestamp()) * SECOND + time.microsecond


def _message(error: Exception) -> str:
    """Returns the service's message on one line; the library repeats it."""
    return " ".join(str(error).split()).partition(" Error condition:")[0] or type(error).__name__
