"""The few storage calls that the commit protocol needs, and the data that they take and give."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from shared.protocol.ledger import PendingFile, StagedFile

DEAD_LETTERS = "_dead_letters"
"""What the names of dead letters' files begin with. They can lie in a container of their own."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A state blob as it was read."""

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
    """Whether a listing shows a directory here, or the marker that some tools put in its place.

    Accounts with a hierarchical namespace (Data Lake Storage Gen2) list each directory as an empty blob with
    this metadata, before what is in it. Source: learn.microsoft.com/rest/api/storageservices/list-blobs.
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

    Files of dead letters may lie in a third one, which only the implementation knows: their names, and the
    calls, are those of output files.

    Every call raises PreconditionFailed (it had no effect), OutcomeUnknown (it may have had) or another
    StorageError.
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

    def stage(self, files: Sequence[StagedFile]) -> None:
        """Puts the blocks of output files: no reader can see them."""

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """Puts one block of an output file that is made of several."""

    def publish(self, files: Sequence[PendingFile]) -> list[Publication]:
        """Makes staged files visible, each under a name that has no blob yet."""

    def remove(self, names: Sequence[str]) -> None:
        """Deletes those of these visible output files that are there, several at a time."""

    def exists(self, name: str) -> bool:
        """Whether there is a visible output file of this name."""

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        """The output blobs whose names start with the prefix, those that are only staged included.

        All blobs of a table's folder come together, in order of their names. Directories are left out.
        """

    def part(self, name: str, offset: int, length: int) -> bytes:
        """Bytes of a visible output file; `offset` lies inside it, fewer bytes come at its end."""


class LogStorage(Storage, Protocol):
    """Storage that also reads and writes whole output files: those of Delta logs."""

    def read_outputs(self, names: Sequence[str]) -> list[bytes | None]:
        """Whole visible output files, several at a time; None for each that is not there."""

    def put_output(self, name: str, data: bytes, metadata: Mapping[str, str], *, replace: bool) -> None:
        """Puts a visible output file in one call. Without `replace`, only if none has this name."""
