"""Builds the trigger metadata for a batch of events, with the real host's names, kinds and JSON types.

It follows `EventHubTriggerBindingStrategy` in azure-sdk-for-net (`sdk/eventhub/
Microsoft.Azure.WebJobs.Extensions.EventHubs/src/Triggers`) and recordings of what a real host sends to its
worker.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from azure.eventhub import EventData


class Typed(NamedTuple):
    """A value in the form of the worker's protocol: the member of `TypedData` that is set, and its value."""

    kind: str
    value: str | list[str] | list[int]


def typed_json(value: object) -> Typed:
    """Encodes a value as JSON text without spaces, as Newtonsoft.Json does."""
    return Typed("json", json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def trigger_metadata(
    namespace: str, hub: str, consumer_group: str, partition_id: str, events: Sequence[EventData]
) -> dict[str, Typed]:
    """Builds the metadata for a function with cardinality many; the arrays are parallel to `events`."""
    context = typed_json(
        {
            "IsCheckpointingAfterInvocation": True,
            "FullyQualifiedNamespace": namespace,
            "EventHubName": hub,
            "ConsumerGroup": consumer_group,
            "PartitionId": partition_id,
        }
    )
    system = [_system_properties(event) for event in events]
    # The host drops nulls from collections of strings.
    keys = [str(known["PartitionKey"]) for known in system if known["PartitionKey"] is not None]
    offsets = [str(known["OffsetString"]) for known in system]
    return {
        "TriggerPartitionContext": context,
        "PartitionContext": context,
        "PartitionKeyArray": Typed("collection_string", keys),
        "OffsetArray": Typed("collection_string", offsets),
        "OffsetStringArray": Typed("collection_string", offsets),
        "SequenceNumberArray": Typed("collection_sint64", [event.sequence_number or 0 for event in events]),
        "EnqueuedTimeUtcArray": typed_json([known["EnqueuedTimeUtc"] for known in system]),
        "PropertiesArray": typed_json([_properties(event) for event in events]),
        "SystemPropertiesArray": typed_json(system),
    }


def _system_properties(event: EventData) -> dict[str, object]:
    assert event.enqueued_time is not None
    assert event.offset is not None
    key = event.partition_key
    times = {b"x-opt-enqueued-time": _date_time(event.enqueued_time) + "+00:00"}
    # The properties of the message come first, then its annotations.
    known = {str(_text(name)): _json(value) for name, value in (event.system_properties | times).items()}
    return known | {
        "SequenceNumber": event.sequence_number,
        # Offsets of a namespace with geo-replication are not numbers.
        "Offset": int(event.offset) if event.offset.isdecimal() else -1,
        "OffsetString": event.offset,
        "PartitionKey": key.decode() if isinstance(key, bytes) else key,
        "EnqueuedTimeUtc": _date_time(event.enqueued_time),
    }


def _date_time(moment: datetime) -> str:
    """Formats a DateTime of unspecified kind like Newtonsoft.Json, without offset and trailing zeros."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return text.rstrip("0") if "." in text else text


def _properties(event: EventData) -> dict[str, object]:
    return {str(_text(name)): _json(value) for name, value in (event.properties or {}).items()}


def _text(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _json(value: object) -> object:
    """Converts a value to what Newtonsoft.Json makes of its .NET counterpart, as far as JSON can hold it."""
    match value:
        case bytes():
            return _text(value)
        case datetime():
            return _date_time(value) + "+00:00"
        case Mapping():
            return {str(_text(name)): _json(item) for name, item in value.items()}
        case list() | tuple():
            return [_json(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
