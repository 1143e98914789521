"""The listener for one eventHubTrigger function: claims sources, invokes the function, checkpoints.

After `EventHubListener.PartitionProcessor` in azure-sdk-for-net (see `batches`): one batch at a time per
source; a checkpoint after every invocation, success or failure, but none once the host stops or the source
is lost.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import cast

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.eventhub import CloseReason, EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient

from local.functions.batches import Batches
from local.functions.configuration import AppError, Function, HostOptions, connection_string, resolve
from local.functions.invocations import Invocations
from local.functions.metadata import trigger_metadata
from local.functions.status import Status
from local.functions.workers import Call

# Of the real host, too: ownership and checkpoints live here, in AzureWebJobsStorage.
CHECKPOINT_CONTAINER = "azure-webjobs-eventhub"
STARTING_POSITIONS = {"fromStart": "-1", "fromEnd": "@latest"}
# How often held events are looked at, seconds.
TICK = 0.5


class EventHubTrigger:
    """Reads one hub for one function; raises `AppError` where the binding asks for what this host lacks."""

    def __init__(
        self,
        function: Function,
        options: HostOptions,
        settings: Mapping[str, str],
        invocations: Invocations,
        status: Status,
    ) -> None:
        binding = function.trigger
        shape = (str(binding.get("cardinality")).lower(), str(binding.get("dataType")).lower())
        if shape != ("many", "binary"):
            raise AppError(
                f'{function.name}: this host knows cardinality="many", data_type="binary" only, not {shape}'
            )
        self._function = function
        self._options = options
        self._invocations = invocations
        self._status = status
        self._hub = resolve(binding["eventHubName"], settings)
        self._consumer_group = resolve(binding.get("consumerGroup") or "$Default", settings)
        self._connection = connection_string(resolve(binding["connection"], settings), settings)
        self._storage = connection_string("AzureWebJobsStorage", settings)
        self._batches: dict[str, Batches[EventData]] = {}
        self._working: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Listens until cancelled, then gives the sources back."""
        options = self._options
        try:
            async with ContainerClient.from_connection_string(
                self._storage, CHECKPOINT_CONTAINER
            ) as container:
                with suppress(ResourceExistsError):
                    await container.create_container()
        except (AzureError, ValueError) as error:
            raise AppError(f"AzureWebJobsStorage cannot be used: {error}") from error
        store = BlobCheckpointStore.from_connection_string(self._storage, CHECKPOINT_CONTAINER)
        client = EventHubConsumerClient.from_connection_string(
            self._connection,
            self._consumer_group,
            eventhub_name=self._hub,
            checkpoint_store=store,
            load_balancing_interval=options.load_balancing_update_interval,
            partition_ownership_expiration_interval=options.partition_ownership_expiration_interval,
        )
        async with store, client:
            await client.receive_batch(
                self._received,
                max_batch_size=options.max_event_batch_size,
                max_wait_time=TICK if options.min_event_batch_size > 1 else None,
                prefetch=options.prefetch_count,
                starting_position=STARTING_POSITIONS[options.initial_offset],
                on_partition_initialize=self._claimed,
                on_partition_close=self._released,
            )

    async def _claimed(self, context: PartitionContext) -> None:
        options = self._options
        self._batches[context.partition_id] = Batches(
            options.min_event_batch_size, options.max_event_batch_size, options.max_wait_time
        )
        self._status.report("claimed", function=self._function.name, source=self._source(context))

    async def _released(self, context: PartitionContext, reason: CloseReason) -> None:
        # When another host takes the source, the client leaves its callback running: without this it would go
        # on retrying, and checkpoint what it no longer owns.
        working = self._working.pop(context.partition_id, None)
        if working is not None:
            working.cancel()
        self._status.report(
            "released", function=self._function.name, source=self._source(context), reason=reason.name.lower()
        )

    async def _received(self, context: PartitionContext, events: list[EventData]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._working[context.partition_id] = task
        batches = self._batches[context.partition_id]
        batches.add(events, time.monotonic())
        while batch := batches.take(time.monotonic()):
            await self._deliver(context, batch)

    async def _deliver(self, context: PartitionContext, batch: list[EventData]) -> None:
        metadata = trigger_metadata(
            context.fully_qualified_namespace,
            context.eventhub_name,
            context.consumer_group,
            context.partition_id,
            batch,
        )
        source = self._source(context)
        await self._invocations.run(
            self._function,
            Call(
                bodies=[b"".join(cast("Iterable[bytes]", event.body)) for event in batch], metadata=metadata
            ),
            source=source,
            first=batch[0].sequence_number,
            last=batch[-1].sequence_number,
            count=len(batch),
        )
        # Success or failure: Event Hubs has no notion of a poison event, and so the real host goes on.
        await context.update_checkpoint(batch[-1])
        self._status.report(
            "checkpoint", function=self._function.name, source=source, sequence=batch[-1].sequence_number
        )

    def _source(self, context: PartitionContext) -> str:
        return f"{context.fully_qualified_namespace}/{context.eventhub_name}/{context.partition_id}"
