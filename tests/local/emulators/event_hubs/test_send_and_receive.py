import asyncio
import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, PartitionContext
from azure.eventhub._utils import get_last_enqueued_event_properties
from azure.eventhub.aio import EventHubProducerClient as AioProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventDataSendError
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob import BlobServiceClient

from local.emulators.azurite import Azurite
from local.emulators.event_hubs.partition_keys import partition_of
from local.emulators.event_hubs.process import BrokerProcess
from local.emulators.waiting import PATIENCE

from .clients import Reading, bodies, producer, read, send


def test_the_sync_clients_receive_what_they_sent(broker: BrokerProcess) -> None:
    sent = [f"event {number}".encode() for number in range(20)]
    send(broker, sent)
    received: list[EventData] = []
    enough = threading.Event()

    def on_event(_: PartitionContext, event: EventData) -> None:
        received.append(event)
        if len(received) == len(sent):
            enough.set()

    client = EventHubConsumerClient.from_connection_string(
        broker.connection_string, "exporter", eventhub_name="single"
    )
    thread = threading.Thread(
        target=client.receive, args=(on_event,), kwargs={"partition_id": "0", "starting_position": "-1"}
    )
    thread.start()
    assert enough.wait(PATIENCE)
    client.close()
    thread.join(PATIENCE)
    assert bodies(received) == sent


def test_aio_clients_receive_events_sent_before_and_while_reading(
    broker: BrokerProcess,
) -> None:
    sent = [f"event {number}".encode() for number in range(20)]

    async def run() -> list[EventData]:
        client = AioProducerClient.from_connection_string(broker.connection_string, eventhub_name="single")
        async with client, Reading(broker) as reading:
            await client.send_batch([EventData(body) for body in sent[:10]])
            await reading.first(10)
            await client.send_batch([EventData(body) for body in sent[10:]])
            return await reading.first(20)

    assert bodies(asyncio.run(run())) == sent


def test_the_broker_adds_the_documented_annotations(broker: BrokerProcess) -> None:
    before = time.time()
    with producer(broker) as client:
        for number in range(4):
            client.send_batch([EventData(str(number))])
    events = read(broker, 4)
    assert [event.sequence_number for event in events] == [0, 1, 2, 3]
    offsets = [int(event.offset or "") for event in events]
    assert offsets == sorted(set(offsets))
    assert offsets[1] > 3, "an offset is no sequence number"
    times = [event.enqueued_time.timestamp() for event in events if event.enqueued_time]
    assert times == sorted(times)
    assert before - 0.001 <= times[0] <= times[-1] <= time.time()


def test_properties_of_the_sender_arrive_unchanged(broker: BrokerProcess) -> None:
    event = EventData(b"body")
    event.properties = {"text": "é", "number": 5, "bytes": b"\x00\xff"}
    event.content_type = "application/json"
    event.correlation_id = "c1"
    raw = AmqpAnnotatedMessage(value_body={"a": [1, None]}, annotations={"x-own": "kept"})
    with producer(broker) as client:
        client.send_batch([event])
        client.send_event(raw)
    first, second = read(broker, 2)
    assert first.properties == {b"text": "é".encode(), b"number": 5, b"bytes": b"\x00\xff"}
    assert (first.content_type, first.correlation_id) == ("application/json", "c1")
    assert second.raw_amqp_message.body == {b"a": [1, None]}
    assert (second.raw_amqp_message.annotations or {})[b"x-own"] == b"kept"


def test_any_body_arrives_unchanged_alone_and_in_a_batch(broker: BrokerProcess) -> None:
    sent = [b"", bytes(range(256)), b"\xff\xfe", "é".encode(), b"x" * 255, b"x" * 256, b"y" * 70_000]
    with producer(broker) as client:
        for body in sent:
            client.send_event(EventData(body))
        client.send_batch([EventData(body) for body in sent])
    assert bodies(read(broker, 2 * len(sent))) == sent * 2


def test_large_events_and_full_batches_are_split_into_frames(broker: BrokerProcess) -> None:
    large = [bytes([number]) * 900_000 for number in range(3)]
    with producer(broker) as client:
        for body in large:
            client.send_event(EventData(body))
        batch = client.create_batch()
        assert batch.max_size_in_bytes == 1024 * 1024
        for _ in range(960):
            batch.add(EventData(b"z" * 1000))
        client.send_batch(batch)
    assert batch.size_in_bytes > 900_000
    assert bodies(read(broker, 3 + len(batch))) == large + [b"z" * 1000] * len(batch)


def test_refusing_a_message_above_the_limit_keeps_the_link(broker: BrokerProcess) -> None:
    with producer(broker, retry_total=0) as client:
        with pytest.raises(EventDataSendError, match="LinkMessageSizeExceeded"):
            client.send_event(EventData(b"x" * 1024 * 1024))
        client.send_event(EventData(b"small"))
    assert bodies(read(broker, 1)) == [b"small"]


async def partitions_of(broker: BrokerProcess, count: int) -> Counter[tuple[str, bytes]]:
    async with Reading(broker, "four") as reading:
        events = await reading.first(count)
        assert all(
            event.partition_key in (None, body) for event, body in zip(events, bodies(events), strict=True)
        )
        return reading.partitions


def test_events_without_a_key_are_spread_over_the_partitions(
    broker: BrokerProcess,
) -> None:
    with producer(broker, "four") as client:
        for _ in range(8):
            client.send_batch([EventData("in turn")])
        client.send_batch([EventData("asked for")], partition_id="2")
    expected = Counter({(partition_id, b"in turn"): 2 for partition_id in "0123"})
    expected["2", b"asked for"] = 1
    assert asyncio.run(partitions_of(broker, 9)) == expected


def test_events_with_a_key_share_its_partition(broker: BrokerProcess) -> None:
    keys = ["a", "b", "key", "é", "a much longer partition key, for more than one block"]
    with producer(broker, "four") as client:
        for key in keys * 2:
            client.send_batch([EventData(key), EventData(key)], partition_key=key)
            client.send_event(EventData(key), partition_key=key)
    expected = Counter({(str(partition_of(key, 4)), key.encode()): 6 for key in keys})
    assert asyncio.run(partitions_of(broker, 6 * len(keys))) == expected


def test_properties_of_a_hub_and_its_partitions_are_returned(broker: BrokerProcess) -> None:
    with producer(broker, "four") as client:
        hub = client.get_eventhub_properties()
        empty = client.get_partition_properties("1")
        client.send_batch([EventData("a"), EventData("b")], partition_id="1")
        filled = client.get_partition_properties("1")
    assert hub["eventhub_name"] == "four"
    assert hub["partition_ids"] == ["0", "1", "2", "3"]
    assert abs(hub["created_at"].timestamp() - time.time()) < 600
    assert empty == {
        "eventhub_name": "four",
        "id": "1",
        "beginning_sequence_number": 0,
        "last_enqueued_sequence_number": -1,
        "last_enqueued_offset": "-1",
        "is_empty": True,
        "last_enqueued_time_utc": datetime.min.replace(tzinfo=UTC),
    }
    assert (filled["beginning_sequence_number"], filled["last_enqueued_sequence_number"]) == (0, 1)
    assert int(filled["last_enqueued_offset"]) > 1
    assert not filled["is_empty"]


def test_the_last_enqueued_event_is_sent_on_request(broker: BrokerProcess) -> None:
    send(broker, ["a", "b", "c"])
    tracked = read(broker, 3, track_last_enqueued_event_properties=True)
    plain = read(broker, 3)
    last = get_last_enqueued_event_properties(tracked[0]) or {}
    assert last["sequence_number"] == 2
    assert last["offset"] == tracked[2].offset
    assert last["enqueued_time"] == tracked[2].enqueued_time
    assert abs(last["retrieval_time"].timestamp() - time.time()) < 600
    assert not get_last_enqueued_event_properties(plain[0])
    assert bodies(tracked) == bodies(plain)


def test_a_wrong_key_is_refused(broker: BrokerProcess) -> None:
    key, broker.key = broker.key, "wrong"
    with producer(broker, retry_total=0) as client, pytest.raises(AuthenticationError):
        client.send_batch([EventData("refused")])
    broker.key = key
    with producer(broker) as client:
        assert client.get_partition_properties("0")["is_empty"]


def test_an_unknown_hub_is_an_error(broker: BrokerProcess) -> None:
    with producer(broker, "none", retry_total=0) as client, pytest.raises(ConnectError, match="404"):
        client.get_eventhub_properties()


def test_with_a_checkpoint_store_reading_continues_after_a_stop(
    broker: BrokerProcess, azurite: Azurite, unique: str
) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(unique)

    async def run(count: int) -> list[bytes]:
        store = BlobCheckpointStore.from_connection_string(azurite.connection_string, unique)
        async with store, Reading(broker, checkpoint_store=store) as reading:
            return bodies(await reading.first(count))

    send(broker, ["1", "2", "3"])
    assert asyncio.run(run(3)) == [b"1", b"2", b"3"]
    send(broker, ["4", "5"])
    assert asyncio.run(run(2)) == [b"4", b"5"]
