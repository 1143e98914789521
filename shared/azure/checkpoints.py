"""Reads, writes and deletes the checkpoints of the Functions host.

The host keeps them in its own storage account, like the Event Hubs SDKs of all languages: an empty blob for
each partition, `<namespace>/<hub>/<consumer group>/checkpoint/<partition>` in lower case, with the metadata
`offset`, `sequencenumber` and `clientidentifier` (BlobCheckpointStoreInternal in azure-sdk-for-net).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties, ContainerClient

from shared.azure import blob_calls
from shared.azure.blob_storage import service
from shared.errors import StorageError
from shared.input.hub_partition import HubPartition
from shared.policies import Connection, StorageTimeouts
from shared.protocol.checkpoints import Checkpoint
from shared.timeunits import SECOND

CONTAINER = "azure-webjobs-eventhub"


class BlobCheckpoints:
    """The checkpoints in the storage account of the Functions host."""

    def __init__(self, connection: Connection, consumer_group: str) -> None:
        """Makes no call."""
        self._connection = connection
        self._timeouts = StorageTimeouts()
        self._consumer_group = consumer_group.lower()

    def read(self, hub: Iterable[HubPartition]) -> Mapping[HubPartition, Checkpoint]:
        """See Checkpoints."""
        names = {self._name(partition): partition for partition in hub}
        prefix = next(iter(names), "").rpartition("/")[0] + "/"  # partitions share the hub's prefix

        def listed() -> list[BlobProperties]:
            with suppress(ResourceNotFoundError):  # no container means that nothing was ever read
                return list(self._container.list_blobs(prefix, include=["metadata"]))
            return []

        blobs = blob_calls.make(f"list {prefix}", listed, self._timeouts)
        found = {names[blob.name]: blob for blob in blobs if blob.name in names}
        return {partition: _checkpoint(partition, blob) for partition, blob in found.items()}

    def delete(self, checkpoint: Checkpoint) -> None:
        """See Checkpoints."""
        blob = self._container.get_blob_client(self._name(checkpoint.partition))

        def delete() -> None:
            with suppress(ResourceNotFoundError):
                blob.delete_blob(etag=checkpoint.etag, match_condition=MatchConditions.IfNotModified)

        blob_calls.make(f"delete {blob.blob_name}", delete, self._timeouts)

    def write(self, partition: HubPartition, offset: str, sequence: int, before: Checkpoint | None) -> None:
        """See Checkpoints."""
        blob = self._container.get_blob_client(self._name(partition))
        metadata = {"offset": offset, "sequencenumber": str(sequence)}
        condition: dict[str, Any] = (
            {"overwrite": True, "etag": before.etag, "match_condition": MatchConditions.IfNotModified}
            if before
            else {"overwrite": False}
        )
        blob_calls.make(
            f"write {blob.blob_name}",
            lambda: blob.upload_blob(b"", metadata=metadata, **condition),
            self._timeouts,
        )

    @cached_property
    def _container(self) -> ContainerClient:
        # Created on first use: the host checks this setting, and does not start the app if it is wrong.
        try:
            return service(self._connection, self._timeouts, {}).get_container_client(CONTAINER)
        except ValueError as error:
            raise StorageError(f"AzureWebJobsStorage: {error}") from error

    def _name(self, partition: HubPartition) -> str:
        return f"{partition.namespace}/{partition.hub}/{self._consumer_group}/checkpoint/{partition.id}"


def connect(connection: Connection, consumer_group: str) -> BlobCheckpoints | None:
    """Returns the checkpoints in this storage account, or None if the settings do not name it."""
    return BlobCheckpoints(connection, consumer_group) if connection.string or connection.address else None


def _checkpoint(partition: HubPartition, blob: BlobProperties) -> Checkpoint:
    metadata = {name.lower(): value for name, value in (blob.metadata or {}).items()}
    number = metadata.get("sequencenumber", "")
    return Checkpoint(
        partition,
        int(number) if number.isdecimal() else None,
        metadata.get("offset", ""),
        int(blob.last_modified.timestamp()) * SECOND,
        str(blob.etag),
    )
