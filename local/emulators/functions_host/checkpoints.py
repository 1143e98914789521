"""Stores the checkpoints of partitions in the same blobs as the real host.

Container `azure-webjobs-eventhub`, blob `<namespace>/<hub>/<group>/checkpoint/<partition>` in lower case,
with the metadata `offset`, `sequencenumber` and `clientidentifier` (`BlobCheckpointStoreInternal` in
azure-sdk-for-net). A write is unconditional: the last writer wins, even if it does not own the partition.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobClient, ContainerClient


@dataclass(frozen=True)
class Checkpoint:
    """The position from which a partition is read: after the event with this offset."""

    offset: str
    sequence_number: int
    age: float
    """Seconds since it was written."""


class Checkpoints:
    """The checkpoints of one consumer group.

    Args:
        container: `azure-webjobs-eventhub`.
        prefix: `<namespace>/<hub>/<group>`.
        client: identifies this host's event processor; written to each checkpoint.
    """

    def __init__(self, container: ContainerClient, prefix: str, client: str) -> None:
        self._container = container
        self._prefix = prefix.lower()
        self._client = client

    async def read(self, partition_id: str) -> Checkpoint | None:
        """Returns the partition's checkpoint, if it exists."""
        try:
            blob = await self._blob(partition_id).get_blob_properties()
        except ResourceNotFoundError:
            return None
        age = (datetime.now(UTC) - blob.last_modified).total_seconds()
        return Checkpoint(blob.metadata["offset"], int(blob.metadata["sequencenumber"]), max(0, age))

    async def write(self, partition_id: str, offset: str, sequence_number: int) -> None:
        """Sets the partition's checkpoint to an event; raises `AzureError` if storage fails."""
        metadata = {
            "offset": offset,
            "sequencenumber": str(sequence_number),
            "clientidentifier": self._client,
        }
        blob = self._blob(partition_id)
        try:
            await blob.set_blob_metadata(metadata)
        except ResourceNotFoundError:
            await blob.upload_blob(b"", overwrite=True, metadata=metadata)

    def _blob(self, partition_id: str) -> BlobClient:
        return self._container.get_blob_client(f"{self._prefix}/checkpoint/{partition_id}")
