"""Presents a folder of the state container as a separate state with the same output container."""

from collections.abc import Iterator, Sequence

from shared.protocol.ledger import PendingFile, StagedFile
from shared.protocol.storage import Blob, BlobInfo, Publication, Storage

BACKFILL = "backfill/"
"""The folder of `backfill`'s state. Exporters and timers read `ledgers/`, and never look into it."""


class NestedStorage:
    """Storage whose state blobs are in a folder of another storage's state. Implements `Storage`."""

    def __init__(self, storage: Storage, folder: str = BACKFILL) -> None:
        """`folder` ends with a slash."""
        self._storage = storage
        self._folder = folder

    def read(self, name: str) -> Blob | None:
        """See Storage."""
        return self._storage.read(self._folder + name)

    def read_all(self, names: Sequence[str]) -> list[Blob | None]:
        """See Storage."""
        return self._storage.read_all([self._folder + name for name in names])

    def write(self, name: str, data: bytes, etag: str | None) -> str:
        """See Storage."""
        return self._storage.write(self._folder + name, data, etag)

    def put(self, name: str, data: bytes) -> None:
        """See Storage."""
        self._storage.put(self._folder + name, data)

    def delete(self, names: Sequence[str]) -> None:
        """See Storage."""
        self._storage.delete([self._folder + name for name in names])

    def names(self, prefix: str) -> list[str]:
        """See Storage."""
        return [name.removeprefix(self._folder) for name in self._storage.names(self._folder + prefix)]

    def stage(self, files: Sequence[StagedFile]) -> None:
        """See Storage."""
        self._storage.stage(files)

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """See Storage."""
        self._storage.stage_block(name, block_id, data)

    def publish(self, files: Sequence[PendingFile]) -> list[Publication]:
        """See Storage."""
        return self._storage.publish(files)

    def remove(self, names: Sequence[str]) -> None:
        """See Storage."""
        self._storage.remove(names)

    def exists(self, name: str) -> bool:
        """See Storage."""
        return self._storage.exists(name)

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        """See Storage."""
        return self._storage.outputs(prefix)

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See Storage."""
        return self._storage.part(name, offset, length)
