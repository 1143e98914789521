"""Elects one of several hosts with a blob lease, like the real host's singleton lock for timers.

The real host leases `locks/<host id>/<function>.Listener` in the container `azure-webjobs-hosts` of
AzureWebJobsStorage (`TimerListener` is `[Singleton(Mode = SingletonMode.Listener)]` in
azure-webjobs-sdk-extensions) for 60 s at a time. Here it is 15 s, the minimum that Blob Storage allows, so
that the timer of a killed host moves sooner.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob.aio import BlobLeaseClient, ContainerClient

CONTAINER = "azure-webjobs-hosts"
DURATION = 15
POLL = 1.0
RENEW = 5.0


@asynccontextmanager
async def held(connection_string: str, name: str) -> AsyncIterator[BlobLeaseClient]:
    """Waits until this process holds the lease on the blob `name`, and releases it at the end."""
    async with ContainerClient.from_connection_string(connection_string, CONTAINER) as container:
        lease = await _acquired(container, name)
        try:
            yield lease
        finally:
            with suppress(AzureError):
                await lease.release()


async def _acquired(container: ContainerClient, name: str) -> BlobLeaseClient:
    blob = container.get_blob_client(name)
    while True:
        lease = BlobLeaseClient(blob)
        try:
            await lease.acquire(lease_duration=DURATION)
        except ResourceNotFoundError:
            # Two hosts may arrive here at once; the blob or container that the other one created can be used.
            with suppress(ResourceExistsError):
                await container.create_container()
            with suppress(AzureError):
                await blob.upload_blob(b"", overwrite=False)
        except AzureError:
            await asyncio.sleep(POLL)
        else:
            return lease


async def keep(lease: BlobLeaseClient) -> None:
    """Renews the lease for as long as that works; returns when it is lost."""
    try:
        while True:
            await asyncio.sleep(RENEW)
            await lease.renew()
    except AzureError:
        return
