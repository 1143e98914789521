"""A batch of the trigger becomes a partition and envelopes, or a clear error, but never a guessed name."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from shared.errors import TriggerError
from shared.input import trigger
from shared.input.hub_partition import HubPartition

CONTEXT = {
    "PartitionId": "3",
    "FullyQualifiedNamespace": "NS.servicebus.windows.net",
    "EventHubName": "APIM-logs",
    "ConsumerGroup": "exporter",
}
WHEN = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
MICROSECONDS = 1_795_168_800_123_456


class Event:
    """An event as the worker passes it."""

    def __init__(
        self,
        metadata: Mapping[str, Any] | None,
        sequence: int | None = 7,
        time: datetime | None = WHEN,
        body: bytes = b"body",
    ) -> None:
        self.metadata = metadata
        self.sequence_number = sequence
        self.enqueued_time = time
        self._body = body

    def get_body(self) -> bytes:
        return self._body


@pytest.mark.parametrize("key", ["PartitionContext", "TriggerPartitionContext", "partitionContext"])
@pytest.mark.parametrize("form", [lambda c: c, json.dumps, lambda c: {k.lower(): v for k, v in c.items()}])
def test_the_partition_is_read_in_any_case_as_lower_case(key: str, form: Any) -> None:
    partition, _ = trigger.read([Event({key: form(CONTEXT)})])
    assert partition == HubPartition("ns.servicebus.windows.net", "apim-logs", "3")


def test_the_consumer_group_is_not_part_of_the_partition() -> None:
    other = CONTEXT | {"ConsumerGroup": "another"}
    assert (
        trigger.read([Event({"PartitionContext": CONTEXT})])[0]
        == trigger.read([Event({"PartitionContext": other})])[0]
    )


@pytest.mark.parametrize(
    "time", [WHEN, WHEN.replace(tzinfo=None), WHEN.astimezone(timezone(timedelta(hours=5, minutes=30)))]
)
def test_the_enqueued_time_is_exact_in_every_form(time: datetime) -> None:
    _, envelopes = trigger.read([Event({"PartitionContext": CONTEXT}, time=time)])
    assert envelopes[0].enqueued == MICROSECONDS


def test_envelopes_keep_order_sequence_and_body() -> None:
    events = [Event({"PartitionContext": CONTEXT}, sequence=n, body=bytes([n])) for n in (5, 6, 9)]
    assert [(one.sequence, one.body) for one in trigger.read(events)[1]] == [
        (5, b"\5"),
        (6, b"\6"),
        (9, b"\t"),
    ]


@pytest.mark.parametrize("missing", ["PartitionId", "FullyQualifiedNamespace", "EventHubName"])
def test_a_batch_without_its_origin_is_an_error(missing: str) -> None:
    context = {name: value for name, value in CONTEXT.items() if name != missing}
    with pytest.raises(TriggerError, match=missing.lower()):
        trigger.read([Event({"PartitionContext": context})])


@pytest.mark.parametrize("metadata", [None, {}, {"PartitionContext": None}, {"PartitionContext": "{}"}])
def test_a_batch_without_metadata_is_an_error(metadata: Mapping[str, Any] | None) -> None:
    with pytest.raises(TriggerError):
        trigger.read([Event(metadata)])


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b", "a\n"])
def test_a_name_that_could_escape_its_folder_is_an_error(name: str) -> None:
    with pytest.raises(TriggerError):
        trigger.read([Event({"PartitionContext": CONTEXT | {"EventHubName": name}})])


def test_an_event_without_sequence_number_or_time_is_an_error() -> None:
    good = Event({"PartitionContext": CONTEXT})
    with pytest.raises(TriggerError, match="sequence number"):
        trigger.read([good, Event(good.metadata, sequence=None)])
    with pytest.raises(TriggerError, match="enqueued time"):
        trigger.read([good, Event(good.metadata, time=None)])
