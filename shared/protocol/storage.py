"""The storage calls that the commit protocol needs, and the data that they take and return."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from shared.protocol.ledger import PendingFile, StagedFile

DEAD_LETTERS = "_dead_letters"
"""The prefix of dead-letter files, which can be in a separate container."""


@dataclass(frozen=True, slots=True)
class Blob:
    """The content and ETag of a state blob."""

    data: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """An output blob as shown by a listing."""

    name: str
    size: int
    metadata: Mapping[str, str]
    visible: bool = True
    """False if it has only staged blocks, which no reader can see."""
    leased: bool = False
    """Whether a lease prevents its deletion."""


def is_directory(name: str, metadata: Mapping[str, str]) -> bool:
    """Whether an entry of a listing is a directory, or the marker that some tools write in its place.

    Accounts with a hierarchical namespace (Data Lake Storage Gen2) list each directory as an empty blob with
    this metadata, before its content. Source: learn.microsoft.com/rest/api/storageservices/list-blobs.
    """
    return name.endswith("/") or any(
        key.lower() == "hdi_isfolder" and value.lower() == "true" for key, value in metadata.items()
    )


class Publication(Enum):
    """The outcome of publishing a file."""

    DONE = auto()
    """This call made it visible."""
    ALREADY = auto()
    """An earlier call made it visible."""
    BLOCKS_GONE = auto()
    """Its blocks do not exist: it was published and then deleted, or they expired."""


class Storage(Protocol):
    """Two containers: state (ledgers, segments, manifest, state table) and output (files).

    Dead-letter files may be in a third container, which only the implementation knows: they are named and
    accessed like output files.

    A call that fails raises PreconditionFailed (it had no effect), OutcomeUnknown (it may have had one) or
    another StorageError.
    """

    def read(self, name: str) -> Blob | None:
        """Reads a state blob; None if it does not exist."""

    def read_all(self, names: Sequence[str]) -> list[Blob | None]:
        """Reads several state blobs, several at a time."""

    def write(self, name: str, data: bytes, etag: str | None) -> str:
        """Puts a state blob in one call if its ETag matches (None: no blob exists); returns the new ETag."""

    def put(self, name: str, data: bytes) -> None:
        """Puts a state blob whose name is used only once."""

    def delete(self, names: Sequence[str]) -> None:
        """Deletes these state blobs, several at a time. Blobs that do not exist are ignored."""

    def names(self, prefix: str) -> list[str]:
        """Returns the sorted names of state blobs with this prefix."""

    def stage(self, files: Sequence[StagedFile]) -> None:
        """Puts the blocks of output files, which no reader can see."""

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """Puts one block of an output file that consists of several."""

    def publish(self, files: Sequence[PendingFile]) -> list[Publication]:
        """Makes staged files visible, if their names have no blob yet."""

    def remove(self, names: Sequence[str]) -> None:
        """Deletes these visible output files, several at a time. Files that do not exist are ignored."""

    def exists(self, name: str) -> bool:
        """Whether a visible output file has this name."""

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        """Yields the output blobs whose names have this prefix, including those that are only staged.

        All blobs of a table's folder come together, in order of their names. Directories are left out.
        """

    def part(self, name: str, offset: int, length: int) -> bytes:
        """Reads up to `length` bytes of a visible output file, from `offset`, which must be in the file."""


class LogStorage(Storage, Protocol):
    """Storage that also reads and writes whole output files: those of Delta logs."""

    def read_outputs(self, names: Sequence[str]) -> list[bytes | None]:
        """Reads whole visible output files, several at a time; None for each that does not exist."""

    def put_output(self, name: str, data: bytes, metadata: Mapping[str, str], *, replace: bool) -> None:
        """Puts a visible output file in one call; without `replace`, only if the name is free."""
