"""The trigger metadata for a batch of events, with the real host's names and JSON types.

After `EventHubTriggerBindingStrategy` in azure-sdk-for-net (`sdk/eventhub/Microsoft.Azure.WebJobs.Extensions.
EventHubs/src/Triggers`), whose binding data the host serialises with Newtonsoft.Json. That member names keep
their upper-case first letters on the wire is expected from there, not seen.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from azure.eventhub import EventData


def trigger_metadata(
    namespace: str, hub: str, consumer_group: str, partition_id: str, events: Sequence[EventData]
) -> dict[str, str]:
    """Name to JSON text, for a function with cardinality many; the arrays run parallel to `events`."""
    context = {
        "FullyQualifiedNamespace": namespace,
        "EventHubName": hub,
        "ConsumerGroup": consumer_group,
        "PartitionId": partition_id,
    }
    system = [_system_properties(event) for event in events]
    values: dict[str, object] = {
        "PartitionContext": context,
        "TriggerPartitionContext": context | {"IsCheckpointingAfterInvocation": True},
        # The one array that may be shorter: the host drops nulls from arrays of strings.
        "PartitionKeyArray": [known["PartitionKey"] for known in system if known["PartitionKey"] is not None],
        "OffsetArray": [known["OffsetString"] for known in system],
        "OffsetStringArray": [known["OffsetString"] for known in system],
        "SequenceNumberArray": [known["SequenceNumber"] for known in system],
        "EnqueuedTimeUtcArray": [known["EnqueuedTimeUtc"] for known in system],
        "PropertiesArray": [_properties(event) for event in events],
        "SystemPropertiesArray": system,
    }
    return {name: json.dumps(value) for name, value in values.items()}


def _system_properties(event: EventData) -> dict[str, object]:
    assert event.enqueued_time is not None
    assert event.offset is not None
    key = event.partition_key
    return {
        "SequenceNumber": event.sequence_number,
        "Offset": int(event.offset),
        "OffsetString": event.offset,
        "PartitionKey": key.decode() if isinstance(key, bytes) else key,
        "EnqueuedTimeUtc": _date_time(event.enqueued_time),
    }


def _date_time(moment: datetime) -> str:
    """As Newtonsoft.Json writes a DateTime of unspecified kind: no offset, no trailing zeros."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return text.rstrip("0") if "." in text else text


def _properties(event: EventData) -> dict[str, object]:
    return {str(_text(name)): _text(value) for name, value in (event.properties or {}).items()}


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str | int | float | bool | None) else str(value)
