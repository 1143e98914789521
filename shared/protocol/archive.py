"""What the program asks of the container that a diagnostic setting archives to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ArchiveBlob:
    """A blob as a listing shows it."""

    name: str
    size: int


class Archive(Protocol):
    """The container, which is only read. Every call raises BackfillError if it does not succeed."""

    def blobs(self) -> Iterator[ArchiveBlob]:
        """All blobs, in any order."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a blob, in pieces."""
