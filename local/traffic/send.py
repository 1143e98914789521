"""Sends traffic to a hub with the `azure-eventhub` SDK: in order per partition, without duplicates."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import batched

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from local.traffic.envelopes import Send

CHUNK = 2000
"""Envelopes that are being sent at a time."""
CHUNKS_PER_SECOND = 10
"""Chunks per second over which a limited rate is spread."""


def producer(connection_string: str, hub: str) -> EventHubProducerClient:
    """Returns a client without retries: a retry after a lost response would send an event twice."""
    return EventHubProducerClient.from_connection_string(connection_string, eventhub_name=hub, retry_total=0)


async def next_sequences(client: EventHubProducerClient) -> dict[str, int]:
    """Returns each partition's next sequence number: `Truth.first_sequences`, if nobody else sends."""
    found = {}
    for partition in await client.get_partition_ids():
        properties = await client.get_partition_properties(partition)
        found[partition] = properties["last_enqueued_sequence_number"] + 1
    return found


async def send(
    sends: Iterable[Send],
    client: EventHubProducerClient,
    *,
    rate: float | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Sends all envelopes, in order within each partition; returns their number.

    Args:
        sends: the envelopes.
        client: created by `producer`; the caller closes it.
        rate: envelopes per second; None: as fast as possible.
        progress: receives the number of envelopes sent so far.

    Raises:
        ExceptionGroup: contains `EventHubError`s: a batch was refused or not answered. It is then unknown
            what was sent, so the truth no longer holds.
    """
    size = CHUNK if rate is None else max(1, min(CHUNK, round(rate / CHUNKS_PER_SECOND)))
    clock = asyncio.get_running_loop().time
    began, sent = clock(), 0
    for chunk in batched(sends, size, strict=False):
        by_partition = defaultdict(list)
        for one in chunk:
            by_partition[one.partition].append(one.body)
        async with asyncio.TaskGroup() as tasks:
            for partition, bodies in by_partition.items():
                tasks.create_task(_send_to(client, partition, bodies))
        sent += len(chunk)
        progress(sent)
        if rate is not None:
            await asyncio.sleep(began + sent / rate - clock())
    return sent


async def _send_to(client: EventHubProducerClient, partition: str, bodies: Sequence[bytes]) -> None:
    batch = await client.create_batch(partition_id=partition)
    for body in bodies:
        try:
            batch.add(EventData(body))
        except ValueError:  # raised by the SDK if the batch is full
            if not len(batch):
                raise
            await client.send_batch(batch)
            batch = await client.create_batch(partition_id=partition)
            batch.add(EventData(body))
    await client.send_batch(batch)
