"""Implements the storage calls that the commit protocol needs with Azure Blob Storage."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import (
    BlobBlock,
    BlobProperties,
    BlobServiceClient,
    ContainerClient,
    ContentSettings,
)

from shared import deadline
from shared.azure import blob_calls
from shared.policies import Connection, StorageTimeouts
from shared.protocol.ledger import PendingFile, StagedFile
from shared.protocol.storage import DEAD_LETTERS, Blob, BlobInfo, Publication, is_directory

SINGLE_PUT = 64 << 20
"""Maximum size in bytes that the SDK uploads in one call; ledgers are far smaller."""
PARALLEL = 8
"""Maximum number of simultaneous calls for one batch of files."""


class BlobStorage:
    """Implements Storage with Azure Blob Storage. Thread-safe; create one per process."""

    def __init__(
        self,
        state: ContainerClient,
        output: ContainerClient,
        timeouts: StorageTimeouts | None = None,
        dead_letters: ContainerClient | None = None,
    ) -> None:
        """`dead_letters` receives the files below `_dead_letters/`; None: they go to `output`."""
        self._state = state
        self._output = output
        apart = dead_letters is not None and dead_letters.url != output.url
        self._dead_letters = dead_letters if apart else None
        self._timeouts = timeouts or StorageTimeouts()
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="blob")

    @property
    def state_name(self) -> str:
        """`account/container` of the state, for messages."""
        return f"{self._state.account_name}/{self._state.container_name}"

    def read(self, name: str) -> Blob | None:
        """See Storage."""
        return self._download(self._state, name)

    def _download(self, container: ContainerClient, name: str) -> Blob | None:
        def download() -> Blob | None:
            try:
                found = container.download_blob(name)
            except ResourceNotFoundError as error:
                if blob_calls.code(error) == "BlobNotFound":
                    return None
                raise
            return Blob(found.readall(), found.properties.etag)

        return self._call(f"read {name}", download)

    def read_all(self, names: Sequence[str]) -> list[Blob | None]:
        """See Storage."""
        return self._each(self.read, names)

    def write(self, name: str, data: bytes, etag: str | None) -> str:
        """See Storage."""
        condition: dict[str, Any] = (
            {"overwrite": False}
            if etag is None
            else {"overwrite": True, "etag": etag, "match_condition": MatchConditions.IfNotModified}
        )
        blob = self._state.get_blob_client(name)
        return str(self._call(f"write {name}", lambda: blob.upload_blob(data, **condition))["etag"])

    def put(self, name: str, data: bytes) -> None:
        """See Storage."""
        blob = self._state.get_blob_client(name)
        self._call(f"put {name}", lambda: blob.upload_blob(data, overwrite=True))

    def delete(self, names: Sequence[str]) -> None:
        """See Storage."""
        self._each(lambda name: self._delete(self._state, name), names)

    def _delete(self, container: ContainerClient, name: str) -> None:
        def delete() -> None:
            with suppress(ResourceNotFoundError):
                container.delete_blob(name)

        self._call(f"delete {name}", delete)

    def names(self, prefix: str) -> list[str]:
        """See Storage."""
        return sorted(blob.name for blob in self._list(self._state, prefix, ["metadata"]))

    def _list(self, container: ContainerClient, prefix: str, include: list[str]) -> Iterator[BlobProperties]:
        """Yields the blobs of a container, except directories. Each page is one call."""
        pages = container.list_blobs(prefix, include=include).by_page()
        while (page := self._call(f"list {prefix}", lambda: _next(pages))) is not None:
            yield from (blob for blob in page if not is_directory(blob.name, blob.metadata or {}))

    def stage(self, files: Sequence[StagedFile]) -> None:
        """See Storage."""
        self._each(self._stage, files)

    def _stage(self, file: StagedFile) -> None:
        self.stage_block(file.pending.name, file.pending.block_ids[0], file.data)

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """See Storage."""
        blob = self._places(name)[0].get_blob_client(name)
        self._call(f"stage {name}", lambda: blob.stage_block(block_id, data))

    def _places(self, name: str) -> tuple[ContainerClient, ...]:
        """Returns the containers in which an output file can be: its current one, then the former one."""
        if self._dead_letters is not None and name.startswith(f"{DEAD_LETTERS}/"):
            return self._dead_letters, self._output
        return (self._output,)

    def publish(self, files: Sequence[PendingFile]) -> list[Publication]:
        """See Storage."""
        return self._each(self._publish, files)

    def _publish(self, file: PendingFile) -> Publication:
        publication = Publication.BLOCKS_GONE
        for container in self._places(file.name):
            publication = self._publish_in(container, file)
            if publication is not Publication.BLOCKS_GONE:
                break
        return publication

    def _publish_in(self, container: ContainerClient, file: PendingFile) -> Publication:
        blob = container.get_blob_client(file.name)

        def commit() -> Publication:
            try:
                blob.commit_block_list(
                    [BlobBlock(block_id) for block_id in file.block_ids],
                    content_settings=ContentSettings(file.content_type, file.content_encoding),
                    metadata=file.metadata,
                    match_condition=MatchConditions.IfMissing,
                )
            except HttpResponseError as error:
                # The SDK raises ResourceExistsError for every 409; only the code distinguishes them.
                match blob_calls.code(error):
                    case "BlobAlreadyExists":
                        return Publication.ALREADY
                    case "InvalidBlockList":
                        return Publication.BLOCKS_GONE
                # A lease or an immutability policy on the published file has other codes.
                if error.status_code in blob_calls.CONFLICTS and blob.exists():
                    return Publication.ALREADY
                raise
            return Publication.DONE

        return self._call(f"publish {file.name}", commit)

    def remove(self, names: Sequence[str]) -> None:
        """See Storage."""
        self._each(self._remove, names)

    def _remove(self, name: str) -> None:
        for container in self._places(name):
            self._delete(container, name)

    def exists(self, name: str) -> bool:
        """See Storage."""
        return any(self._is_in(container, name) for container in self._places(name))

    def _is_in(self, container: ContainerClient, name: str) -> bool:
        return self._call(f"look for {name}", container.get_blob_client(name).exists)

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        """See Storage."""
        yield from self._outputs(self._output, prefix)
        if self._dead_letters is not None and (
            prefix.startswith(f"{DEAD_LETTERS}/") or f"{DEAD_LETTERS}/".startswith(prefix)
        ):
            yield from self._outputs(self._dead_letters, prefix)

    def _outputs(self, container: ContainerClient, prefix: str) -> Iterator[BlobInfo]:
        for blob in self._list(container, prefix, ["metadata", "uncommittedblobs"]):
            # Azure lists a blob without committed blocks with 0 bytes and no metadata.
            metadata = blob.metadata or {}
            yield BlobInfo(
                str(blob.name),
                blob.size,
                metadata,
                visible=bool(blob.size or metadata),
                leased=blob.lease.status == "locked",
            )

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See Storage."""
        first, *older = self._places(name)
        container = older[0] if older and not self._is_in(first, name) else first
        return self._call(f"read {name}", lambda: container.download_blob(name, offset, length).readall())

    def read_outputs(self, names: Sequence[str]) -> list[bytes | None]:
        """See Storage."""
        found = self._each(lambda name: self._download(self._output, name), names)
        return [blob.data if blob else None for blob in found]

    def put_output(self, name: str, data: bytes, metadata: Mapping[str, str], *, replace: bool) -> None:
        """See Storage."""
        blob = self._output.get_blob_client(name)
        self._call(f"put {name}", lambda: blob.upload_blob(data, overwrite=replace, metadata=dict(metadata)))

    def _call[T](self, what: str, call: Callable[[], T]) -> T:
        return blob_calls.make(what, call, self._timeouts)

    def _each[I, O](self, call: Callable[[I], O], items: Sequence[I]) -> list[O]:
        if len(items) == 1:
            return [call(items[0])]
        return list(self._pool.map(deadline.carried(call), items))


def connect(
    state: Connection,
    output: Connection,
    state_container: str,
    output_container: str,
    timeouts: StorageTimeouts | None = None,
    *,
    dead_letter_container: str | None = None,
    **options: Any,
) -> BlobStorage:
    """Creates the storage on these containers, without calling Azure.

    `dead_letter_container` receives dead letters and is in the output account (None: the output container
    receives them). `options` are passed to BlobServiceClient.
    """
    timeouts = timeouts or StorageTimeouts()
    account = service(output, timeouts, options)
    return BlobStorage(
        service(state, timeouts, options).get_container_client(state_container),
        account.get_container_client(output_container),
        timeouts,
        account.get_container_client(dead_letter_container) if dead_letter_container else None,
    )


def service(connection: Connection, timeouts: StorageTimeouts, options: dict[str, Any]) -> BlobServiceClient:
    """Creates the client of a storage account, without calling Azure."""
    ours: dict[str, Any] = {
        # A ledger is written with one Put Blob; the SDK would split larger data into several calls.
        "max_single_put_size": SINGLE_PUT,
        "connection_timeout": timeouts.attempt,
        "read_timeout": timeouts.attempt,
        "retry_policy": blob_calls.Retry(timeouts),
    }
    options = ours | options
    if connection.string:
        return BlobServiceClient.from_connection_string(connection.string, **options)
    return BlobServiceClient(str(connection.address), credential(connection), **options)


def _next(pages: Iterator[Iterator[BlobProperties]]) -> list[BlobProperties] | None:
    """Returns the next page of a listing, or None if there is none."""
    page = next(pages, None)
    return None if page is None else list(page)


def credential(connection: Connection) -> TokenCredential:
    """Returns the credential of the named managed identity, or else the default one of the environment."""
    # The import takes half a second, and a connection string does not need it.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if connection.client_id:
        return ManagedIdentityCredential(client_id=connection.client_id)
    return DefaultAzureCredential()
