"""The ways in which these tests use the real SDK."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, Self, cast

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub._buffered_producer._partition_resolver import PartitionResolver
from azure.eventhub._pyamqp.utils import generate_sas_token
from azure.eventhub.aio import EventHubConsumerClient as AioConsumerClient
from azure.eventhub.aio import PartitionContext

from local.emulators.event_hubs.process import BrokerProcess
from local.emulators.waiting import PATIENCE, SHOWN, wait_until

SILENCE = 0.3


def producer(broker: BrokerProcess, hub: str = "single", **options: Any) -> EventHubProducerClient:
    return EventHubProducerClient.from_connection_string(
        broker.connection_string, eventhub_name=hub, **options
    )


def send(broker: BrokerProcess, bodies: Iterable[bytes | str], hub: str = "single") -> None:
    with producer(broker, hub) as client:
        client.send_batch([EventData(body) for body in bodies])


def bodies(events: Iterable[EventData]) -> list[bytes]:
    return [b"".join(cast("Iterable[bytes]", event.body)) for event in events]


def sas_token(uri: str, key_name: str, key: str, expiry: float) -> str:
    return str(generate_sas_token(uri, key_name, key, int(expiry)))  # type: ignore[no-untyped-call]


def partition_of_the_sdk(key: str, partition_count: int) -> int:
    resolver = PartitionResolver(range(partition_count))  # type: ignore[no-untyped-call]
    return int(resolver.get_partition_id_by_partition_key(key))  # type: ignore[no-untyped-call]


class Reader:
    """The SDK's consumer of one partition, without the event processor, which starts and stops slowly."""

    def __init__(
        self,
        broker: BrokerProcess,
        group: str = "$Default",
        position: Any = "-1",
        *,
        inclusive: bool = False,
        hub: str = "single",
        partition: str = "0",
        **options: Any,
    ) -> None:
        self.events: list[EventData] = []
        self._broker = broker
        self._client = EventHubConsumerClient.from_connection_string(
            broker.connection_string, group, eventhub_name=hub, retry_total=0
        )
        # Untyped, and typed for single events only.
        create_consumer: Any = self._client._create_consumer
        self._consumer = create_consumer(
            group, partition, position, self.events.extend, event_position_inclusive=inclusive, **options
        )
        # Ending its thread takes a second.
        self._consumer._keep_alive = None

    def attach(self) -> None:
        """Wait until the broker knows this reader's starting position."""

        def attached() -> bool:
            self._consumer.receive(batch=True, max_batch_size=5000)
            return bool(self._consumer.handler_ready)

        wait_until(attached, "a reader that is attached", log=lambda: self._broker.log, pause=0)

    def read(self, count: int, seconds: float = PATIENCE) -> list[EventData]:
        """Wait until this many events have arrived; raise TimeoutError otherwise."""
        deadline = time.monotonic() + seconds
        while len(self.events) < count:
            if time.monotonic() > deadline:
                log = self._broker.log[-SHOWN:]
                raise TimeoutError(f"{len(self.events)} of {count} events; the log of the broker ends: {log}")
            self._consumer.receive(batch=True, max_batch_size=5000)
        return self.events

    def close(self) -> None:
        self._consumer.close()
        self._client.close()


def read(broker: BrokerProcess, count: int, **options: Any) -> list[EventData]:
    """Return the first `count` events and those that arrived with them."""
    with closing(Reader(broker, **options)) as reader:
        return reader.read(count)


class Reading:
    """Run the SDK's aio client, from the start of all partitions unless the options differ."""

    def __init__(
        self,
        broker: BrokerProcess,
        hub: str = "single",
        group: str = "$Default",
        checkpoint_store: Any = None,
        **options: Any,
    ) -> None:
        self.events: list[EventData] = []
        self.partitions: Counter[tuple[str, bytes]] = Counter()
        self.errors: list[Exception] = []
        self.checkpoints = checkpoint_store is not None
        self._changed = asyncio.Event()
        self._client = AioConsumerClient.from_connection_string(
            broker.connection_string,
            group,
            eventhub_name=hub,
            checkpoint_store=checkpoint_store,
            load_balancing_interval=0.2,
        )
        self._task = asyncio.create_task(
            self._client.receive_batch(
                self._on_batch, on_error=self._on_error, starting_position="-1", **options
            )
        )

    async def until(self, condition: Callable[[Self], bool], seconds: float = PATIENCE) -> None:
        """Wait until a condition holds; raise TimeoutError otherwise."""
        async with asyncio.timeout(seconds):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def first(self, count: int) -> list[EventData]:
        await self.until(lambda reading: len(reading.events) >= count)
        return self.events

    async def close(self) -> None:
        await self._client.close()
        await self._task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _on_batch(self, context: PartitionContext, events: list[EventData]) -> None:
        # First, because a test that sees the event may close the client and read from the checkpoint.
        if self.checkpoints:
            await context.update_checkpoint()
        self.events += events
        self.partitions.update((context.partition_id, body) for body in bodies(events))
        self._changed.set()

    async def _on_error(self, _: PartitionContext, error: Exception) -> None:
        self.errors.append(error)
        self._changed.set()
