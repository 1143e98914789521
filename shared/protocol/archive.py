"""The calls that the program needs from the container to which a diagnostic setting archives."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ArchiveBlob:
    """A blob as shown by a listing."""

    name: str
    size: int


class Archive(Protocol):
    """The container, which is only read. Every call raises BackfillError if it fails."""

    def blobs(self) -> Iterator[ArchiveBlob]:
        """Yields all blobs, in any order."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yields the bytes of a blob in chunks."""
