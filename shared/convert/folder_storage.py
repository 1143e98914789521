"""Implements the storage protocol on two local folders, for one process."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared.errors import PreconditionFailed
from shared.protocol.ledger import PendingFile, StagedFile
from shared.protocol.storage import Blob, BlobInfo, Publication

STAGED = ".staged"
"""Suffix of a file that is not visible yet."""


class FolderStorage:
    """State and output as files. Not safe for concurrent processes."""

    def __init__(self, state: Path, output: Path) -> None:
        """Both folders must exist."""
        self._state = state
        self._output = output

    def read(self, name: str) -> Blob | None:
        """See Storage."""
        try:
            data = (self._state / name).read_bytes()
        except FileNotFoundError:
            return None
        return Blob(data, hashlib.blake2b(data, digest_size=16).hexdigest())

    def read_all(self, names: Sequence[str]) -> list[Blob | None]:
        """See Storage."""
        return [self.read(name) for name in names]

    def write(self, name: str, data: bytes, etag: str | None) -> str:
        """See Storage."""
        before = self.read(name)
        if (before.etag if before else None) != etag:
            raise PreconditionFailed(f"write {name}: another version exists")
        self.put(name, data)
        after = self.read(name)
        assert after is not None
        return after.etag

    def put(self, name: str, data: bytes) -> None:
        """See Storage."""
        _write(self._state / name, data)

    def delete(self, names: Sequence[str]) -> None:
        """See Storage."""
        for name in names:
            (self._state / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        """See Storage."""
        return sorted(name for name in _files(self._state) if name.startswith(prefix))

    def stage(self, files: Sequence[StagedFile]) -> None:
        """See Storage."""
        for file in files:
            self.stage_block(file.pending.name, file.pending.block_ids[0], file.data)

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """See Storage."""
        _write(self._output / f"{name}.{block_id}{STAGED}", data)

    def publish(self, files: Sequence[PendingFile]) -> list[Publication]:
        """See Storage."""
        return [self._publish(file) for file in files]

    def _publish(self, file: PendingFile) -> Publication:
        path = self._output / file.name
        if path.exists():
            return Publication.ALREADY
        blocks = [self._output / f"{file.name}.{block_id}{STAGED}" for block_id in file.block_ids]
        if not all(block.exists() for block in blocks):
            return Publication.BLOCKS_GONE
        if len(blocks) > 1:
            with blocks[0].open("ab") as first:
                for block in blocks[1:]:
                    first.write(block.read_bytes())
                    block.unlink()
        blocks[0].rename(path)
        return Publication.DONE

    def remove(self, names: Sequence[str]) -> None:
        """See Storage."""
        for name in names:
            (self._output / name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        """See Storage."""
        return (self._output / name).exists()

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        """See Storage. Files on disk have no metadata."""
        for name in sorted(_files(self._output, prefix.rpartition("/")[0])):
            if name.startswith(prefix):
                size = (self._output / name).stat().st_size
                yield BlobInfo(name, size, {}, visible=not name.endswith(STAGED))

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See Storage."""
        with (self._output / name).open("rb") as file:
            file.seek(offset)
            return file.read(length)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _files(folder: Path, inside: str = "") -> Iterator[str]:
    for at, _, names in os.walk(folder / inside):
        for name in names:
            yield Path(at, name).relative_to(folder).as_posix()
