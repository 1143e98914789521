"""Blob Storage as the few calls that the protocol is made of; alone in importing azure.storage."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Protocol

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient, ContentSettings

from shared.errors import Refused, StorageError, Unclear
from shared.ledger import File, Listed
from shared.rules import Connection

SINGLE_PUT = 64 << 20
"""Bytes up to which the SDK puts a blob in one call; ledgers are far below (shared/ledger.py)."""
CONFLICTS = {409, 412}
"""Statuses of a call that had no effect, because something that it depends on was not so."""
PARALLEL = 8
"""Calls of one batch of files that are under way at the same time."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A state blob as it was read."""

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An output blob as a listing shows it."""

    name: str
    size: int
    metadata: Mapping[str, str]
    visible: bool = True
    """False: it has staged blocks only, which no reader can see."""
    leased: bool = False
    """Somebody's lease keeps it from being deleted."""


def is_directory(name: str, metadata: Mapping[str, str]) -> bool:
    """Whether a listing shows a directory here, or the marker that some tools put in its place.

    Accounts with a hierarchical namespace (Data Lake Storage Gen2) list each directory as an empty blob with
    this metadata, before what is in it. Source: learn.microsoft.com/rest/api/storageservices/list-blobs.
    """
    return name.endswith("/") or any(
        key.lower() == "hdi_isfolder" and value.lower() == "true" for key, value in metadata.items()
    )


class Publication(Enum):
    """What became of a file that was to be published."""

    DONE = auto()
    """This call made it visible."""
    ALREADY = auto()
    """It is visible, by an earlier call."""
    BLOCKS_GONE = auto()
    """Its blocks are not there: published and deleted since, or expired."""


class Storage(Protocol):
    """Two containers: state (ledgers, segments, head, master) and output (files).

    Every call raises Refused (it had no effect), Unclear (it may have had) or another StorageError.
    """

    def read(self, name: str) -> Blob | None:
        """A state blob; None: there is none."""

    def read_all(self, names: Sequence[str]) -> list[Blob | None]:
        """Several state blobs, several at a time."""

    def write(self, name: str, data: bytes, etag: str | None) -> str:
        """Puts a state blob in one call if it still has the ETag (None: if there is none); its new ETag."""

    def put(self, name: str, data: bytes) -> None:
        """Puts a state blob whose name is used once only."""

    def delete(self, names: Sequence[str]) -> None:
        """Deletes those of these state blobs that are there, several at a time."""

    def names(self, prefix: str) -> list[str]:
        """The state blobs whose names begin so, sorted."""

    def stage(self, files: Sequence[File]) -> None:
        """Puts the blocks of output files: no reader can see them."""

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """Puts one block of an output file that is made of several."""

    def publish(self, files: Sequence[Listed]) -> list[Publication]:
        """Makes staged files visible, each under a name that has no blob yet."""

    def remove(self, names: Sequence[str]) -> None:
        """Deletes those of these visible output files that are there, several at a time."""

    def exists(self, name: str) -> bool:
        """Whether there is a visible output file of this name."""

    def outputs(self, prefix: str) -> Iterator[Stored]:
        """The output blobs whose names start with the prefix, those that are only staged included.

        All blobs of a folder come together, in order of their names. Directories are left out.
        """

    def part(self, name: str, offset: int, length: int) -> bytes:
        """Bytes of a visible output file; `offset` lies inside it, fewer bytes come at its end."""


class BlobStorage:
    """Storage on Azure Blob Storage. Thread-safe; one for the life of a process."""

    def __init__(self, state: ContainerClient, output: ContainerClient) -> None:
        self._state = state
        self._output = output
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="blob")

    def read(self, name: str) -> Blob | None:
        """See Storage."""
        with _outcome(f"read {name}"):
            try:
                download = self._state.download_blob(name)
            except ResourceNotFoundError as error:
                if _code(error) == "BlobNotFound":
                    return None
                raise
            return Blob(download.readall(), download.properties.etag)

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
        with _outcome(f"write {name}"):
            answer = self._state.get_blob_client(name).upload_blob(data, **condition)
        return str(answer["etag"])

    def put(self, name: str, data: bytes) -> None:
        """See Storage."""
        with _outcome(f"put {name}"):
            self._state.get_blob_client(name).upload_blob(data, overwrite=True)

    def delete(self, names: Sequence[str]) -> None:
        """See Storage."""
        self._each(self._delete, names)

    def _delete(self, name: str) -> None:
        with _outcome(f"delete {name}"), suppress(ResourceNotFoundError):
            self._state.delete_blob(name)

    def names(self, prefix: str) -> list[str]:
        """See Storage."""
        with _outcome(f"list {prefix}"):
            blobs = self._state.list_blobs(prefix, include=["metadata"])
            return sorted(blob.name for blob in blobs if not is_directory(blob.name, blob.metadata or {}))

    def stage(self, files: Sequence[File]) -> None:
        """See Storage."""
        self._each(self._stage, files)

    def _stage(self, file: File) -> None:
        self.stage_block(file.listed.name, file.listed.block_ids[0], file.data)

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """See Storage."""
        with _outcome(f"stage {name}"):
            self._output.get_blob_client(name).stage_block(block_id, data)

    def publish(self, files: Sequence[Listed]) -> list[Publication]:
        """See Storage."""
        return self._each(self._publish, files)

    def _publish(self, file: Listed) -> Publication:
        with _outcome(f"publish {file.name}"):
            try:
                self._output.get_blob_client(file.name).commit_block_list(
                    [BlobBlock(block_id) for block_id in file.block_ids],
                    content_settings=ContentSettings(file.content_type, file.content_encoding),
                    metadata=file.metadata,
                    match_condition=MatchConditions.IfMissing,
                )
            except HttpResponseError as error:
                # The SDK raises ResourceExistsError for every 409: only the code tells.
                match _code(error):
                    case "BlobAlreadyExists":
                        return Publication.ALREADY
                    case "InvalidBlockList":
                        return Publication.BLOCKS_GONE
                # A lease or a policy of immutability on the published file has other codes.
                if error.status_code in CONFLICTS and self.exists(file.name):
                    return Publication.ALREADY
                raise
        return Publication.DONE

    def remove(self, names: Sequence[str]) -> None:
        """See Storage."""
        self._each(self._remove, names)

    def _remove(self, name: str) -> None:
        with _outcome(f"delete {name}"), suppress(ResourceNotFoundError):
            self._output.delete_blob(name)

    def exists(self, name: str) -> bool:
        """See Storage."""
        with _outcome(f"look for {name}"):
            return self._output.get_blob_client(name).exists()

    def outputs(self, prefix: str) -> Iterator[Stored]:
        """See Storage."""
        with _outcome(f"list {prefix}"):
            for blob in self._output.list_blobs(prefix, include=["metadata", "uncommittedblobs"]):
                # Azure lists a blob without committed blocks as one of 0 bytes without metadata.
                metadata = blob.metadata or {}
                if is_directory(blob.name, metadata):
                    continue
                yield Stored(
                    str(blob.name),
                    blob.size,
                    metadata,
                    visible=bool(blob.size or metadata),
                    leased=blob.lease.status == "locked",
                )

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See Storage."""
        with _outcome(f"read {name}"):
            return self._output.download_blob(name, offset, length).readall()

    def _each[I, O](self, call: Callable[[I], O], items: Sequence[I]) -> list[O]:
        if len(items) == 1:
            return [call(items[0])]
        return list(self._pool.map(call, items))


def connect(
    state: Connection, output: Connection, state_container: str, output_container: str, **options: Any
) -> BlobStorage:
    """Storage on two containers; nothing is asked of the service yet. `options` go to BlobServiceClient."""
    return BlobStorage(
        _service(state, options).get_container_client(state_container),
        _service(output, options).get_container_client(output_container),
    )


def _service(connection: Connection, options: dict[str, Any]) -> BlobServiceClient:
    # A ledger is written by one Put Blob: the SDK would cut larger data into blocks, in several calls.
    options = {"max_single_put_size": SINGLE_PUT} | options
    if connection.string:
        return BlobServiceClient.from_connection_string(connection.string, **options)
    return BlobServiceClient(str(connection.address), credential(connection), **options)


def _code(error: HttpResponseError) -> str:
    # Set by azure-storage-blob alone, so that the base class does not declare it; text, or an enum of text.
    code = getattr(error, "error_code", None) or error.reason
    return str(getattr(code, "value", code))


@contextmanager
def _outcome(call: str) -> Iterator[None]:
    """Sorts the SDK's errors by what they tell of the call: no effect, perhaps one, or no such thing."""
    try:
        yield
    except HttpResponseError as error:
        message = f"{call}: HTTP {error.status_code} {_code(error)}"
        if error.status_code in CONFLICTS:
            raise Refused(message) from error
        if (
            error.status_code is None
            or error.status_code in {408, 429}
            or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            raise Unclear(message) from error
        text = error.message.partition("\n")[0]  # the rest repeats the code
        raise StorageError(f"{message}: {text}") from error
    except AzureError as error:
        raise Unclear(f"{call}: {type(error).__name__}: {error}") from error


def credential(connection: Connection) -> TokenCredential:
    """The identity that an address is reached with: the named managed identity, or what the place offers."""
    # Half a second of imports that a connection string does not need.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if connection.client_id:
        return ManagedIdentityCredential(client_id=connection.client_id)
    return DefaultAzureCredential()
