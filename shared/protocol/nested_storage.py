"""Presents a folder of the state container as a separate state with the same output container."""

from collections.abc import Sequence

from shared.protocol.storage import Blob, Storage

BACKFILL = "backfill/"
"""The folder of `backfill`'s state. Exporters and timers read `ledgers/`, and never look into it."""


class NestedStorage:
    """Storage whose state blobs are in a folder of another storage's state. Implements `Storage`."""

    def __init__(self, storage: Storage, folder: str = BACKFILL) -> None:
        """`folder` ends with a slash."""
        self._storage = storage
        self._folder = folder
        self.stage, self.stage_block, self.publish = storage.stage, storage.stage_block, storage.publish
        self.remove, self.exists = storage.remove, storage.exists
        self.outputs, self.part = storage.outputs, storage.part

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
