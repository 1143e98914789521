"""The listener of an eventHubTrigger function, which balances partitions over hosts with ownership blobs.

It follows `EventProcessor<TPartition>` in azure-sdk-for-net. Each cycle renews the ownerships, claims free or
expired partitions, and steals from a host that has more. A partition that cannot be read is started again in
the next cycle, at its current checkpoint. `partition` handles the events of a claim.
"""

import asyncio
import random
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.eventhub import LoadBalancingStrategy
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.aio._eventprocessor._ownership_manager import OwnershipManager
from azure.eventhub.exceptions import EventHubError
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient, LinearRetry

from local.emulators.functions_host.checkpoints import Checkpoints
from local.emulators.functions_host.configuration import (
    AppError,
    Function,
    HostOptions,
    connection_string,
    resolve,
)
from local.emulators.functions_host.invocations import Invocations
from local.emulators.functions_host.partition import Claim, Reading
from local.emulators.functions_host.status import Status

# In the real host, too: ownership and checkpoints live here, in AzureWebJobsStorage.
CHECKPOINT_CONTAINER = "azure-webjobs-eventhub"


class EventHubTrigger:
    """Reads one hub for one function; raises `AppError` if the binding needs an unsupported feature."""

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
                f'{function.name}: the binding must have cardinality="many", data_type="binary"; got {shape}'
            )
        self._function = function
        self._options = options
        self._invocations = invocations
        self._status = status
        self._hub = resolve(binding["eventHubName"], settings)
        self._consumer_group = resolve(binding.get("consumerGroup") or "$Default", settings)
        self._connection = connection_string(resolve(binding["connection"], settings), settings)
        self._storage = connection_string("AzureWebJobsStorage", settings)
        self._claims: dict[str, Claim] = {}
        self._ending: list[Claim] = []
        self._draining = asyncio.Event()

    async def run(self) -> None:
        """Listens until canceled or drained, then releases the partitions."""
        # As many tries as the .NET client makes, in about the same time.
        retries = LinearRetry(backoff=2, retry_total=3, random_jitter_range=1)
        identity = str(uuid.uuid4())
        async with AsyncExitStack() as stack:
            try:
                container = await stack.enter_async_context(
                    ContainerClient.from_connection_string(
                        self._storage, CHECKPOINT_CONTAINER, retry_policy=retries
                    )
                )
                with suppress(ResourceExistsError):
                    await container.create_container()
            except (AzureError, ValueError) as error:
                raise AppError(f"AzureWebJobsStorage cannot be used: {error}") from error
            store = BlobCheckpointStore.from_connection_string(
                self._storage, CHECKPOINT_CONTAINER, retry_policy=retries
            )
            client = EventHubConsumerClient.from_connection_string(
                self._connection, self._consumer_group, eventhub_name=self._hub
            )
            await stack.enter_async_context(store)
            await stack.enter_async_context(client)
            owners = OwnershipManager(
                client,
                self._consumer_group,
                identity,
                store,
                self._options.partition_ownership_expiration_interval,
                LoadBalancingStrategy.GREEDY,
                None,
            )
            prefix = f"{client._address.hostname}/{self._hub}/{self._consumer_group}"  # noqa: SLF001
            reading = Reading(
                self._function,
                self._options,
                client,
                self._consumer_group,
                Checkpoints(container, prefix, identity),
                self._invocations,
                self._status,
            )
            await self._serve(reading, owners)

    async def drain(self) -> None:
        """Stops taking events; returns when the host counts the listener as stopped, which may be never."""
        self._draining.set()
        await asyncio.gather(*(claim.drain() for claim in self._claims.values()))

    async def _serve(self, reading: Reading, owners: OwnershipManager) -> None:
        try:
            while not self._draining.is_set():
                await self._balance(reading, owners)
                interval = self._options.load_balancing_update_interval * random.uniform(1, 1.2)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._draining.wait(), interval)
            await self._give_back(owners)
            # Invocations in flight continue until this process ends.
            await asyncio.Event().wait()
        finally:
            for claim in (*self._claims.values(), *self._ending):
                await claim.stop()
            await self._give_back(owners)

    async def _balance(self, reading: Reading, owners: OwnershipManager) -> None:
        try:
            owned = set(await owners.claim_ownership())
        except (AzureError, EventHubError) as error:
            # Meanwhile, this host does not notice that another host has taken its partitions.
            self._status.report("balancing_failed", function=self._function.name, error=str(error))
            return
        for partition_id, claim in tuple(self._claims.items()):
            if partition_id not in owned or claim.failed:
                claim.lose()
                self._ending.append(self._claims.pop(partition_id))
        self._ending = [claim for claim in self._ending if not claim.ended]
        for partition_id in sorted(owned - self._claims.keys()):
            claim = self._claims[partition_id] = Claim(reading, partition_id)
            claim.start()

    async def _give_back(self, owners: OwnershipManager) -> None:
        for partition_id in self._claims:
            with suppress(AzureError):
                await owners.release_ownership(partition_id)
