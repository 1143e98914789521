"""Storage in memory, with exactly the guarantees of Azure for the few calls that the protocol uses."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from shared.errors import PreconditionFailed, StorageError
from shared.protocol.hub import HubState
from shared.protocol.ledger import Ledger, PendingFile, StagedFile
from shared.protocol.storage import Blob, BlobInfo, Publication, Storage, is_directory

PAGE = 5000
"""Blobs that one call of a listing shows."""
WEEK = 7 * 24 * 3600 * 1_000_000


@dataclass
class Output:
    """An output blob: its visible content, if any, and its uncommitted blocks with the time they were put."""

    data: bytes | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    content_encoding: str | None = None
    blocks: dict[str, tuple[bytes, int]] = field(default_factory=dict)


class MemoryStorage:
    """Storage in memory. Every call goes through `call`, which simulations override.

    `hierarchical`: as in an account with a hierarchical namespace, listings show directories before their
    content, and sort by the parts of names between slashes.
    """

    def __init__(self, now: Callable[[], int] = lambda: 0, *, hierarchical: bool = False) -> None:
        self.state: dict[str, Blob] = {}
        self.output: dict[str, Output] = {}
        self.now = now
        self.hierarchical = hierarchical
        self._writes = 0

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:  # noqa: ARG002
        """Makes one request and returns its answer."""
        return effect()

    def calls_of[T](self, kind: str, names: Sequence[str], effect: Callable[[str], T]) -> list[T]:
        """Makes several requests that Blob Storage receives at the same time."""
        return [self.call(kind, name, lambda name=name: effect(name)) for name in names]  # type: ignore[misc]

    def read(self, name: str) -> Blob | None:
        return self.call("read", name, lambda: self.state.get(name))

    def read_all(self, names: Sequence[str]) -> list[Blob | None]:
        return [self.read(name) for name in names]

    def write(self, name: str, data: bytes, etag: str | None) -> str:
        def effect() -> str:
            current = self.state.get(name)
            if (current.etag if current else None) != etag:
                raise PreconditionFailed(f"write {name}: has ETag {current and current.etag}, not {etag}")
            return self._put(name, data)

        return self.call("write", name, effect)

    def put(self, name: str, data: bytes) -> None:
        self.call("put", name, lambda: self._put(name, data))

    def delete(self, names: Sequence[str]) -> None:
        self.calls_of("delete", names, lambda name: self.state.pop(name, None))

    def names(self, prefix: str) -> list[str]:
        def effect() -> list[str]:
            files: dict[str, Mapping[str, str]] = {name: {} for name in self.state}
            found = self._with_directories(files).items()
            return sorted(
                name
                for name, metadata in found
                if name.startswith(prefix) and not is_directory(name, metadata)
            )

        return self.call("names", prefix, effect)

    def stage(self, files: Sequence[StagedFile]) -> None:
        staged = {file.pending.name: file for file in files}
        self.calls_of(
            "stage",
            list(staged),
            lambda name: self._stage(name, staged[name].pending.block_ids[0], staged[name].data),
        )

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        self.call("stage", name, lambda: self._stage(name, block_id, data))

    def publish(self, files: Sequence[PendingFile]) -> list[Publication]:
        listed = {file.name: file for file in files}
        return self.calls_of("publish", list(listed), lambda name: self._publish(listed[name]))

    def remove(self, names: Sequence[str]) -> None:
        self.calls_of("remove", names, self._remove)

    def exists(self, name: str) -> bool:
        return self.call("exists", name, lambda: self.visible(name))

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        page = self.call("outputs", prefix, lambda: self._page(prefix, ""))
        yield from _files(page)
        while len(page) == PAGE:
            last = page[-1].name
            page = self.call("outputs", prefix, lambda last=last: self._page(prefix, last))  # type: ignore[misc]
            yield from _files(page)

    def _page(self, prefix: str, after: str) -> list[BlobInfo]:
        files: dict[str, Mapping[str, str]] = {
            name: blob.metadata for name, blob in self.output.items() if blob.data is not None or blob.blocks
        }
        found = (
            self._stored(name, metadata)
            for name, metadata in sorted(
                self._with_directories(files).items(), key=lambda one: self._place(one[0])
            )
            if name.startswith(prefix) and self._place(name) > self._place(after)
        )
        return list(islice(found, PAGE))

    def _stored(self, name: str, metadata: Mapping[str, str]) -> BlobInfo:
        blob = self.output.get(name)
        if blob is None:
            return BlobInfo(name, 0, metadata)
        return BlobInfo(name, len(blob.data or b""), metadata, visible=blob.data is not None)

    def _with_directories(self, files: dict[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
        """Returns the metadata of these files by name, and of their directories if listings show them."""
        if not self.hierarchical:
            return files
        directories = {
            "/".join(parts[:depth])
            for parts in (name.split("/") for name in files)
            for depth in range(1, len(parts))
        }
        return {directory: {"hdi_isfolder": "true"} for directory in directories} | files

    def _place(self, name: str) -> list[str]:
        """Returns the sort key of a name in a listing."""
        return name.split("/") if self.hierarchical else [name]

    def part(self, name: str, offset: int, length: int) -> bytes:
        def effect() -> bytes:
            data = self.output[name].data if name in self.output else None
            if data is None:
                raise StorageError(f"read {name}: HTTP 404 BlobNotFound")
            return data[offset : offset + length]

        return self.call("part", name, effect)

    def read_outputs(self, names: Sequence[str]) -> list[bytes | None]:
        return self.calls_of(
            "read output", names, lambda name: self.output[name].data if name in self.output else None
        )

    def put_output(self, name: str, data: bytes, metadata: Mapping[str, str], *, replace: bool) -> None:
        def effect() -> None:
            if self.visible(name) and not replace:
                raise PreconditionFailed(f"put {name}: HTTP 409 BlobAlreadyExists")
            self.output[name] = Output(data, dict(metadata))

        self.call("put output", name, effect)

    def visible(self, name: str) -> bool:
        """Whether readers see the file."""
        return name in self.output and self.output[name].data is not None

    def remove_output(self, name: str) -> None:
        """Deletes a blob and its uncommitted blocks, like a lifecycle rule or compaction."""
        self.output.pop(name, None)

    def _put(self, name: str, data: bytes) -> str:
        self._writes += 1
        etag = f'"{self._writes}-{hashlib.blake2b(data, digest_size=4).hexdigest()}"'
        self.state[name] = Blob(data, etag)
        return etag

    def _remove(self, name: str) -> None:
        # The blocks of an invisible blob stay.
        if self.visible(name):
            del self.output[name]

    def _stage(self, name: str, block_id: str, data: bytes) -> None:
        blob = self.output.setdefault(name, Output())
        if any(len(block_id) != len(other) for other in blob.blocks):
            raise StorageError(f"stage {name}: HTTP 400 InvalidBlobOrBlock")
        blob.blocks[block_id] = (data, self.now())

    def _publish(self, file: PendingFile) -> Publication:
        blob = self.output.setdefault(file.name, Output())
        if blob.data is not None:
            return Publication.ALREADY
        live = {name: data for name, (data, put) in blob.blocks.items() if self.now() - put < WEEK}
        if any(block_id not in live for block_id in file.block_ids):
            return Publication.BLOCKS_GONE
        blob.data = b"".join(live[block_id] for block_id in file.block_ids)
        blob.metadata = file.metadata
        blob.content_encoding = file.content_encoding
        blob.blocks = {}
        return Publication.DONE


def _files(page: Sequence[BlobInfo]) -> Iterator[BlobInfo]:
    return (file for file in page if not is_directory(file.name, file.metadata))


class CountingStorage(MemoryStorage):
    """Counts its calls by kind."""

    def __init__(self, now: Callable[[], int] = lambda: 0, *, hierarchical: bool = False) -> None:
        super().__init__(now, hierarchical=hierarchical)
        self.calls: Counter[str] = Counter()

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        """See MemoryStorage."""
        self.calls[kind] += 1
        return super().call(kind, name, effect)


def confirm(storage: Storage, now: int) -> None:
    """Empties the lists of all ledgers, as the timer does once the files are published."""
    for name in storage.names("ledgers/"):
        blob = storage.read(name)
        assert blob
        ledger = Ledger.parse(blob.data, name).confirmed("0" * 32, now)
        storage.write(name, ledger.dump(), blob.etag)


@dataclass(frozen=True)
class StillHub:
    """A hub that gives the same answer each time, or none. Implements `shared.protocol.hub.Hub`."""

    state: HubState | None = None

    def ask(self) -> HubState | None:
        return self.state
