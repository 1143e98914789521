"""Handles one claim of a partition: reads its events, invokes the function, and writes checkpoints.

It follows the observed behavior of `EventProcessor<TPartition>` and `EventHubListener.PartitionProcessor` in
azure-sdk-for-net: one batch at a time, and a checkpoint after every invocation, whether it succeeds or fails.
A host that loses the partition completes the invocations in flight, including retries, and writes their
checkpoint, although another host now owns the partition.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.amqp import AmqpMessageBodyType
from azure.eventhub.exceptions import EventHubError

from local.emulators.functions_host.batches import Batch, Batches
from local.emulators.functions_host.checkpoints import Checkpoints
from local.emulators.functions_host.configuration import Function, HostOptions
from local.emulators.functions_host.invocations import Invocations
from local.emulators.functions_host.metadata import trigger_metadata
from local.emulators.functions_host.status import Status
from local.emulators.functions_host.worker_handle import Call

_STARTS = {"fromStart": "-1", "fromEnd": "@latest"}
_TICK = 0.1
"""Seconds between two checks of the events that are held."""
_NO_BYTES = (
    "NotSupportedException: The event body cannot be retrieved using the EventBody property of EventData. "
    "A body of type {} can be accessed using the GetRawAmqpMessage method of EventData and inspecting the "
    "underlying AMQP message."
)


@dataclass(frozen=True)
class Reading:
    """The objects that all claims of one trigger share."""

    function: Function
    options: HostOptions
    client: EventHubConsumerClient
    consumer_group: str
    checkpoints: Checkpoints
    invocations: Invocations
    status: Status

    @property
    def namespace(self) -> str:
        """The namespace with its port, if it has one."""
        return str(self.client._address.hostname)  # noqa: SLF001 - the SDK has no public name for it


class Claim:
    """A claimed partition, until its last invocation has ended; call `start` to begin reading."""

    def __init__(self, reading: Reading, partition_id: str) -> None:
        self.partition_id = partition_id
        self.partition = f"{reading.namespace}/{reading.client.eventhub_name}/{partition_id}"
        self.failed = False
        """Whether reading has ended because the hub refused the position or closed the link."""
        self._reading = reading
        self._batches: Batches[EventData] | None = None
        self._in_flight: Batch[EventData] | None = None
        self._changed = asyncio.Condition()
        self._open = True
        self._offset: str | None = None
        """The offset of the last event that was read."""
        self._tasks: list[asyncio.Task[None]] = []
        self._reason = "shutdown"
        self._released = False
        self._draining = False

    def start(self) -> None:
        """Starts reading after the checkpoint."""
        self._tasks = [asyncio.create_task(self._read())]

    def lose(self) -> None:
        """Stops reading because another host owns the partition; invocations in flight run to completion."""
        self._reason = "ownership_lost"
        self._open = False
        self._tasks[0].cancel()
        self._release_if_idle()

    async def drain(self) -> None:
        """Stops reading, and returns when the host counts the partition as stopped.

        It returns immediately, unless a batch of at least the minimum is in flight: the host waits for this
        batch and all its retries, and writes no checkpoint. A partial batch continues by itself, and its
        checkpoint is written.
        """
        self._open = False
        self._draining = True
        self._tasks[0].cancel()
        if self._in_flight is not None and not self._in_flight.partial:
            await asyncio.wait(self._tasks)
        self._release()

    async def stop(self) -> None:
        """Ends everything immediately; an attempt in flight ends with the worker."""
        self._open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._release()

    @property
    def ended(self) -> bool:
        """Whether nothing is in flight and reading has ended."""
        return all(task.done() for task in self._tasks)

    def _release_if_idle(self) -> None:
        if self._in_flight is None:
            self._release()

    def _release(self) -> None:
        if not self._released:
            self._released = True
            self._report("released", reason=self._reason)

    def _report(self, event: str, **fields: object) -> None:
        self._reading.status.report(
            event, function=self._reading.function.name, partition=self.partition, **fields
        )

    async def _read(self) -> None:
        reading, options = self._reading, self._reading.options
        self._report("claimed")
        try:
            checkpoint = await reading.checkpoints.read(self.partition_id)
            self._batches = Batches(
                options.min_event_batch_size,
                options.max_event_batch_size,
                options.max_wait_time,
                None if checkpoint is None else checkpoint.age,
            )
            if checkpoint is not None:
                await self._check_position(checkpoint.offset)
            self._tasks.append(asyncio.create_task(self._pump(self._batches)))
            start = _STARTS[options.initial_offset] if checkpoint is None else checkpoint.offset
            self._offset = None if checkpoint is None else checkpoint.offset
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch_position())
                await self._receive(start)
                watch.cancel()
        except* (AzureError, EventHubError, ValueError) as errors:
            self.failed = True
            self._report("receive_failed", error=str(errors.exceptions[0]))

    async def _watch_position(self) -> None:
        """Raises `ValueError` if the hub was re-created and ends before the last event that was read.

        The .NET client reopens its link at that position and is refused; then the partition is claimed again.
        The Python SDK would retry forever.
        """
        while True:
            await asyncio.sleep(self._reading.options.load_balancing_update_interval)
            with suppress(AzureError, EventHubError):
                if self._offset is not None:
                    await self._check_position(self._offset)

    async def _check_position(self, offset: str) -> None:
        """Raises `ValueError` for an offset beyond the hub's last one, as the .NET client does.

        The hub refuses such an offset, and the Python SDK would silently retry forever. Any offset within the
        range is accepted, even if it is that of another hub.
        """
        known = await self._reading.client.get_partition_properties(self.partition_id)
        last = str(known["last_enqueued_offset"])
        if int(offset) > int(last):
            raise ValueError(
                f"ArgumentException: The supplied offset '{offset}' is invalid. "
                f"The last offset in the system is '{last}'."
            )

    async def _receive(self, start: str) -> None:
        options = self._reading.options
        # Not `receive_batch`, which has its own load balancer and takes a second to end.
        create_consumer: Any = self._reading.client._create_consumer  # noqa: SLF001
        consumer = create_consumer(
            self._reading.consumer_group,
            self.partition_id,
            start,
            self._received,
            event_position_inclusive=False,
            prefetch=options.prefetch_count,
            owner_level=0,
        )
        try:
            while self._open:
                await consumer.receive(True, options.max_event_batch_size, None)  # noqa: FBT003
        finally:
            async with self._changed:
                self._changed.notify_all()
            with suppress(Exception):
                await consumer.close()

    async def _received(self, events: list[EventData]) -> None:
        """Accepts events, and waits until there is room for more."""
        assert self._batches is not None
        if events and events[-1].offset is not None:
            self._offset = str(events[-1].offset)
        async with self._changed:
            self._batches.add(events, asyncio.get_running_loop().time())
            self._changed.notify_all()
            maximum = self._reading.options.max_event_batch_size
            while self._open and not self.failed and len(self._batches) >= maximum:
                await self._changed.wait()

    async def _pump(self, batches: Batches[EventData]) -> None:
        loop = asyncio.get_running_loop()
        while self._open:
            self._in_flight = batches.take(loop.time())
            async with self._changed:
                self._changed.notify_all()
                if self._in_flight is None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), _TICK)
                    continue
            await self._deliver(batches, self._in_flight)
            self._in_flight = None
        if self._reason == "ownership_lost":
            self._release()

    async def _deliver(self, batches: Batches[EventData], batch: Batch[EventData]) -> None:
        reading, last = self._reading, batch.events[-1]
        await reading.invocations.run(
            reading.function,
            self._call(batch.events),
            partition=self.partition,
            first=batch.events[0].sequence_number,
            last=last.sequence_number,
            count=len(batch.events),
        )
        if reading.invocations.stopping or (self._draining and not batch.partial):
            # The batch will be delivered again.
            self._open = False
            return
        assert last.offset is not None
        assert last.sequence_number is not None
        try:
            # Even after a failure, because Event Hubs has no concept of a poison event.
            await reading.checkpoints.write(self.partition_id, last.offset, last.sequence_number)
        except AzureError as error:
            if batch.partial:
                batches.stop_timer()
            self._report("checkpoint_failed", sequence=last.sequence_number, error=str(error))
        else:
            self._report("checkpoint", sequence=last.sequence_number)

    def _call(self, events: list[EventData]) -> Call:
        wrong = next((event for event in events if event.body_type != AmqpMessageBodyType.DATA), None)
        if wrong is not None:
            # Binding to byte[][] throws, so the function is not called; each retry binds again.
            return Call(unbindable=_NO_BYTES.format(wrong.body_type.value.capitalize()))
        metadata = trigger_metadata(
            self._reading.namespace,
            self._reading.client.eventhub_name,
            self._reading.consumer_group,
            self.partition_id,
            events,
        )
        return Call([_body(event) for event in events], metadata)


def _body(event: EventData) -> bytes:
    sections: Any = event.body
    return b"".join(sections)
