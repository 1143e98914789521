"""Reads the container to which a diagnostic setting archives records."""

from collections.abc import Iterator
from urllib.parse import urlsplit

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


def located(container: str, output: Connection) -> tuple[Connection, str]:
    """Returns the account and the name of a container that is given by its name or its URL.

    Args:
        container: a name in the account of `output`, or a URL, with or without a SAS token.
        output: how to reach the output account.

    Raises:
        BackfillError: the URL is not that of a container.
    """
    if "://" not in container:
        return output, container
    url = urlsplit(container)
    account, _, name = url.path.strip("/").rpartition("/")
    # Without a SAS token, an access token is sent, which requires HTTPS.
    if not (url.netloc and name) or url.scheme not in ({"https", "http"} if url.query else {"https"}):
        raise BackfillError(
            "--from-container: expected the name of a container, or an address such as "
            f"https://account.blob.core.windows.net/container; got {container.partition('?')[0]!r}"
        )
    endpoint = f"{url.scheme}://{url.netloc}/{account}".rstrip("/")
    if url.query:
        return Connection(string=f"BlobEndpoint={endpoint};SharedAccessSignature={url.query}"), name
    return Connection(address=endpoint), name


def connect(container: str, output: Connection) -> ArchiveContainer:
    """Returns a container that is given by its name or its URL. Raises BackfillError. See `located`."""
    connection, name = located(container, output)
    if connection.string:
        service = BlobServiceClient.from_connection_string(connection.string)
    else:
        service = BlobServiceClient(str(connection.address), credential(connection))
    return ArchiveContainer(service.get_container_client(name))
