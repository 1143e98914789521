import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from local.emulators.event_hubs.process import BrokerProcess
from local.traffic.envelopes import Send
from local.traffic.generate import Traffic, generate
from local.traffic.send import next_sequences, producer, send

HUB = "apim-logs"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path, {HUB: 4}) as process:
        yield process


def traffic(count: int = 300) -> Traffic:
    now = datetime.now(UTC)
    return generate(1, count, now - timedelta(hours=1), now)


async def arrived(connection_string: str, count: int) -> dict[str, list[tuple[int, bytes]]]:
    found: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    complete = asyncio.Event()
    client = EventHubConsumerClient.from_connection_string(connection_string, "$Default", eventhub_name=HUB)

    async def keep(context: PartitionContext, events: list[EventData]) -> None:
        for event in events:
            assert event.sequence_number is not None
            found[context.partition_id].append(
                (event.sequence_number, b"".join(cast("list[bytes]", event.body)))
            )
        if sum(map(len, found.values())) >= count:
            complete.set()

    async with client:
        reading = asyncio.create_task(client.receive_batch(keep, starting_position="-1"))
        async with asyncio.timeout(120):
            await complete.wait()
        reading.cancel()
    return found


def by_partition(sends: list[Send], begin: int = 0) -> dict[str, list[tuple[int, bytes]]]:
    found: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for partition, body in sends:
        found[partition].append((begin + len(found[partition]), body))
    return found


def test_all_bodies_arrive_once_in_order_with_sequence_numbers(
    broker: BrokerProcess,
) -> None:
    sends = list(traffic().sends)
    told: list[int] = []

    async def run() -> dict[str, list[tuple[int, bytes]]]:
        async with producer(broker.connection_string, HUB) as client:
            assert await next_sequences(client) == dict.fromkeys("0123", 0)
            assert await send(sends, client, progress=told.append) == len(sends)
            counts = {partition: len(events) for partition, events in by_partition(sends).items()}
            assert await next_sequences(client) == counts
        return await arrived(broker.connection_string, len(sends))

    assert asyncio.run(run()) == by_partition(sends)
    assert told[-1] == len(sends)


def test_bodies_of_more_than_a_batch_are_sent_in_several(broker: BrokerProcess) -> None:
    sends = [Send("1", bytes([number]) * 400_000) for number in range(7)]

    async def run() -> dict[str, list[tuple[int, bytes]]]:
        async with producer(broker.connection_string, HUB) as client:
            await send(sends, client)
        return await arrived(broker.connection_string, len(sends))

    assert asyncio.run(run()) == by_partition(sends)


def test_a_body_that_fits_no_batch_is_an_error(broker: BrokerProcess) -> None:
    async def run() -> None:
        async with producer(broker.connection_string, HUB) as client:
            await send([Send("0", bytes(2 << 20))], client)

    with pytest.RaisesGroup(ValueError):
        asyncio.run(run())


def test_a_rate_is_kept(broker: BrokerProcess) -> None:
    async def run() -> float:
        async with producer(broker.connection_string, HUB) as client:
            await send([Send("0", b"{}")], client)
            began = time.monotonic()
            await send([Send("0", b"{}")] * 100, client, rate=100)
            return time.monotonic() - began

    assert 0.9 < asyncio.run(run()) < 20
