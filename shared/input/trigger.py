"""Converts an Event Hub trigger's batch of events into a partition and its envelopes."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson

from shared.errors import TriggerError
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.timeunits import SECOND

NAME = re.compile(r"[a-z0-9$][a-z0-9._:$-]*")
"""The characters of a namespace's host name, a hub's name and a partition id, in lower case."""


class Event(Protocol):
    """The part of `azure.functions.EventHubEvent` that this module uses."""

    @property
    def metadata(self) -> Mapping[str, Any] | None:
        """The trigger's metadata, the same for every event of a batch."""

    @property
    def sequence_number(self) -> int | None:
        """The event's sequence number in its partition."""

    @property
    def enqueued_time(self) -> datetime | None:
        """When the event was enqueued; naive (UTC) or aware."""

    def get_body(self) -> bytes:
        """Returns the event's bytes."""


def read(events: Sequence[Event]) -> tuple[HubPartition, list[Envelope]]:
    """Returns the partition of a batch, and its envelopes in order.

    Raises TriggerError if the batch does not name its hub and partition, or if an event has no sequence
    number or enqueued time, because duplicates could then not be recognized.
    """
    partition = _partition(events[0].metadata or {})
    return partition, [_envelope(partition, event) for event in events]


def _partition(metadata: Mapping[str, Any]) -> HubPartition:
    # Both keys occur, and their casing is not documented.
    context: dict[str, Any] = {}
    for key, value in metadata.items():
        if key.lower() in {"partitioncontext", "triggerpartitioncontext"}:
            parsed = orjson.loads(value) if isinstance(value, str | bytes) else value
            context |= {name.lower(): one for name, one in (parsed or {}).items() if one is not None}
    parts = []
    for name in ("fullyqualifiednamespace", "eventhubname", "partitionid"):
        part = str(context.get(name, "")).lower()
        if not NAME.fullmatch(part):
            raise TriggerError(
                f"the batch's metadata must name its {name}, but has {part[:80]!r} in {sorted(metadata)}: "
                'the trigger needs cardinality="many" and a current extension bundle'
            )
        parts.append(part)
    return HubPartition(*parts)


def _envelope(partition: HubPartition, event: Event) -> Envelope:
    sequence, time = event.sequence_number, event.enqueued_time
    if sequence is None or time is None:
        raise TriggerError(
            f"{partition}: an event without sequence number or enqueued time: {sequence!r}, {time!r}"
        )
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    seconds = int(aware.replace(microsecond=0).timestamp())
    return Envelope(int(sequence), seconds * SECOND + aware.microsecond, event.get_body())
