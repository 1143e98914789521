"""The checkpoints of the Functions host, as the SDK's own store writes them, in Azurite."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob import BlobServiceClient

from local.emulators.azurite import Azurite
from shared.azure.checkpoints import CONTAINER, BlobCheckpoints
from shared.errors import PreconditionFailed, StorageError
from shared.input.hub_partition import HubPartition
from shared.policies import Connection

HUB = [HubPartition("ns.example", "hub", partition) for partition in ("0", "1", "10")]


@pytest.fixture
def sdk(azurite: Azurite) -> str:
    """Where the SDK's own store keeps its checkpoints."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        if not service.get_container_client(CONTAINER).exists():
            service.create_container(CONTAINER)
    return azurite.connection_string


def store(azurite: Azurite, group: str) -> BlobCheckpoints:
    return BlobCheckpoints(Connection(string=azurite.connection_string), group)


def update(sdk: str, group: str, partition: str, offset: str, sequence: int) -> None:
    async def run() -> None:
        async with BlobCheckpointStore.from_connection_string(sdk, CONTAINER) as checkpoints:
            await checkpoints.update_checkpoint(
                {
                    "fully_qualified_namespace": "NS.example",
                    "eventhub_name": "Hub",
                    "consumer_group": group,
                    "partition_id": partition,
                    "offset": offset,
                    "sequence_number": sequence,
                }
            )

    asyncio.run(run())


def listed(sdk: str, group: str) -> list[Any]:
    async def run() -> list[Any]:
        async with BlobCheckpointStore.from_connection_string(sdk, CONTAINER) as checkpoints:
            return list(await checkpoints.list_checkpoints("ns.example", "hub", group))

    return asyncio.run(run())


def test_checkpoints_of_the_sdk_are_read(azurite: Azurite, sdk: str, unique: str) -> None:
    assert store(azurite, unique).read(HUB) == {}
    update(sdk, unique, "0", "13369", 99)
    update(sdk, unique, "10", "7", 3)
    update(sdk, f"{unique}-other", "1", "1", 1)
    found = store(azurite, unique.upper()).read(HUB)
    assert {partition.id: (one.offset, one.sequence) for partition, one in found.items()} == {
        "0": ("13369", 99),
        "10": ("7", 3),
    }
    one = found[HUB[0]]
    assert one.stale(one.modified + 1)
    assert not one.stale(one.modified)


def test_a_checkpoint_that_changed_is_not_deleted(azurite: Azurite, sdk: str, unique: str) -> None:
    update(sdk, unique, "0", "1", 1)
    checkpoints = store(azurite, unique)
    before = checkpoints.read(HUB)[HUB[0]]
    update(sdk, unique, "0", "2", 2)
    with pytest.raises(PreconditionFailed):
        checkpoints.delete(before)
    checkpoints.delete(checkpoints.read(HUB)[HUB[0]])
    assert not checkpoints.read(HUB)


def test_the_sdk_reads_written_checkpoints(azurite: Azurite, sdk: str, unique: str) -> None:
    checkpoints = store(azurite, unique)
    checkpoints.write(HUB[1], "500", 5, None)
    with pytest.raises(PreconditionFailed):
        checkpoints.write(HUB[1], "600", 6, None)
    read = checkpoints.read(HUB)[HUB[1]]
    with pytest.raises(PreconditionFailed):
        checkpoints.write(HUB[1], "600", 6, replace(read, etag='"0x0"'))
    checkpoints.write(HUB[1], "600", 6, read)
    (one,) = listed(sdk, unique)
    assert (one["partition_id"], one["offset"], one["sequence_number"]) == ("1", "600", 6)


def test_a_wrong_connection_string_is_reported_on_use() -> None:
    with pytest.raises(StorageError, match="AzureWebJobsStorage"):
        BlobCheckpoints(Connection(string="nonsense"), "g").read(HUB)
