"""Reads the container to which a diagnostic setting archives records."""

from collections.abc import Iterator

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerClient

from shared.azure.blob_storage import credential
from shared.errors import BackfillError
from shared.policies import Connection
from shared.protocol.archive import ArchiveBlob


class ArchiveContainer:
    """The blobs of a container. Implements `shared.protocol.archive.Archive` and writes nothing."""

    def __init__(self, container: ContainerClient) -> None:
        """`container` need not exist."""
        self._container = container

    def blobs(self) -> Iterator[ArchiveBlob]:
        """See Archive. Raises BackfillError."""
        try:
            for blob in self._container.list_blobs():
                yield ArchiveBlob(blob.name, blob.size)
        except AzureError as error:
            raise self._unreadable(self._container.container_name, error) from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """See Archive."""
        try:
            yield from self._container.download_blob(name).chunks()
        except AzureError as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: AzureError) -> BackfillError:
        return BackfillError(
            f"cannot read {name} in {self._container.account_name}: {str(error).splitlines()[0]} Check "
            "the name, and that you have the role Storage Blob Data Reader"
        )


def connect(container: str, connection: Connection) -> ArchiveContainer:
    """Returns a container by its name in this connection's account, or by its URL, with or without a SAS."""
    if "://" in container:
        signed = "?" in container
        return ArchiveContainer(
            ContainerClient.from_container_url(container, None if signed else credential(Connection()))
        )
    if connection.string:
        service = BlobServiceClient.from_connection_string(connection.string)
    else:
        service = BlobServiceClient(str(connection.address), credential(connection))
    return ArchiveContainer(service.get_container_client(container))
