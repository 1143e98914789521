"""Reads output files in chunks: row counts, row identities, and dead-letter lines."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.arrays import Array
from shared.compaction import replaced_files
from shared.compaction.replaced_files import ReplacedFile
from shared.errors import DamagedFile
from shared.output import json_lines, parquet
from shared.output.formats import FORMATS, Format
from shared.output.lineage import BATCH, KEY, Keys
from shared.protocol.storage import DEAD_LETTERS, BlobInfo
from shared.wording import counted

PIECE = 4 << 20
"""Maximum bytes that one call fetches."""


class Parts(Protocol):
    """The source of a file's bytes."""

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See shared.protocol.storage.Storage."""


class Fetched:
    """The bytes of a file. A small file is fetched only once, even if it is read repeatedly."""

    def __init__(self, storage: Parts, file: BlobInfo) -> None:
        self._storage = storage
        self._data = storage.part(file.name, 0, file.size) if 0 < file.size <= PIECE else None

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See shared.protocol.storage.Storage."""
        if self._data is None:
            return self._storage.part(name, offset, length)
        return self._data[offset : offset + length]


def sha256(storage: Parts, file: BlobInfo) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    for offset in range(0, file.size, PIECE):
        digest.update(storage.part(file.name, offset, PIECE))
    return digest.hexdigest()


def count(storage: Parts, file: BlobInfo) -> int:
    """Counts the rows of a file, or the lines of a dead-letter file. Raises DamagedFile."""
    with _damage(file):
        return _count_rows(file)(_opened(storage, file))


def _count_rows(file: BlobInfo) -> Callable[[BinaryIO], int]:
    if file.name.startswith(DEAD_LETTERS):
        return json_lines.count_rows
    return _format(file).count_rows


def _format(file: BlobInfo) -> Format:
    """Returns the format that a file's folder names. Raises DamagedFile."""
    name = file.name.partition("/")[0]
    if name not in FORMATS:
        raise DamagedFile(
            f"{file.name} is in the folder {name!r}, which names no format: "
            "was it written by another program?"
        )
    return FORMATS[name]


def files_replaced(storage: Parts, file: BlobInfo) -> list[ReplacedFile]:
    """Returns the files that a file replaced, and checks its number of rows. Raises DamagedFile."""
    if replaced_files.KEY in file.metadata:
        rows = count(storage, file)
        if str(rows) != file.metadata["rows"]:
            raise DamagedFile(
                f"{file.name} has {counted(rows, 'row')}, but was written with {file.metadata['rows']}"
            )
        return replaced_files.parse(file.metadata[replaced_files.KEY], file.name)
    with _damage(file):
        metadata = parquet.opened(_opened(storage, file)).metadata
        if str(metadata.num_rows) != file.metadata["rows"]:
            raise DamagedFile(
                f"it has {counted(metadata.num_rows, 'row')}, but was written with {file.metadata['rows']}"
            )
    return replaced_files.load(metadata.metadata, file.name)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the rows of a file came from."""

    partitions: list[str]
    codes: Array
    """For each row, the index of its partition in `partitions`."""
    sequences: Array
    duplicates: int
    """The number of rows that occur twice."""


def lineage(storage: Parts, file: BlobInfo) -> Lineage:
    """Reads the origins of all rows of a Parquet file, using 40 bytes per row. Raises DamagedFile."""
    with _damage(file), parquet.damage():
        opened = parquet.opened(_opened(storage, file))
        columns = [*KEY, "_EnqueuedTime"]
        batches = [_compact(batch) for batch in opened.iter_batches(BATCH, columns=columns)]
    partitions = sorted({partition for names, _ in batches for partition in names})
    for names, part in batches:
        part[:, 0] = np.array([partitions.index(name) for name in names], np.int64)[part[:, 0]]
    whole = np.concatenate([part for _, part in batches] or [np.empty((0, 4), np.int64)])
    ordered = whole[np.lexsort(whole.T)]
    twice = int((ordered[1:] == ordered[:-1]).all(axis=1).sum())
    return Lineage(partitions, whole[:, 0], whole[:, 1], twice)


def _compact(batch: pa.RecordBatch) -> tuple[list[str], Array]:
    partition, sequence, index, enqueued = batch.columns
    coded = partition.dictionary_encode()
    numbers = [coded.indices, sequence, index, enqueued.cast(pa.int64())]
    columns = [np.asarray(one).astype(np.int64) for one in numbers]
    return coded.dictionary.to_pylist(), np.column_stack(columns)


def keys(storage: Parts, file: BlobInfo) -> Iterator[Keys]:
    """Yields partitions, sequence numbers and record indexes of rows in batches. Raises DamagedFile."""
    with _damage(file):
        yield from _format(file).read_keys(_opened(storage, file))


@contextmanager
def parquet_file(storage: Parts, file: BlobInfo) -> Iterator[pq.ParquetFile]:
    """Opens a Parquet file; if it is large, fetches only the columns that are read. Raises DamagedFile."""
    with _damage(file), parquet.damage():
        yield parquet.opened(_opened(Fetched(storage, file), file))


def lines(storage: Parts, file: BlobInfo) -> Iterator[Any]:
    """Yields the values of a dead-letter file. Raises DamagedFile."""
    with _damage(file):
        yield from json_lines.read_lines(_opened(storage, file))


def texts(storage: Parts, file: BlobInfo) -> Iterator[bytes]:
    """Yields the unparsed lines of a JSON Lines file. Raises DamagedFile."""
    with _damage(file):
        yield from json_lines.split_lines(_opened(storage, file))


def columns(
    storage: Parts, file: BlobInfo, names: Sequence[str], wanted: Callable[[Any], bool]
) -> Iterator[pa.Table]:
    """Yields these columns of a Parquet file by row group; skips columns that it lacks. Raises DamagedFile.

    `wanted` decides from the metadata of a row group (pyarrow.parquet.RowGroupMetaData) whether to read it.
    """
    with _damage(file), parquet.damage():
        opened = parquet.opened(_opened(storage, file))
        for number in range(opened.num_row_groups):
            if wanted(opened.metadata.row_group(number)):
                yield opened.read_row_group(number, columns=list(names))


@contextmanager
def _damage(file: BlobInfo) -> Iterator[None]:
    """Adds the file's name to errors about damage."""
    try:
        yield
    except DamagedFile as error:
        raise DamagedFile(f"{file.name} is damaged: {error}") from error


def _opened(storage: Parts, file: BlobInfo) -> BinaryIO:
    return cast("BinaryIO", _Reader(storage, file))


class _Reader(io.RawIOBase):
    """Presents a stored file as a Python file: Arrow reads only the footer and the columns it needs."""

    def __init__(self, storage: Parts, file: BlobInfo) -> None:
        self._storage = storage
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._file.size - self._at)
        if length <= 0:
            return 0
        data = self._storage.part(self._file.name, self._at, length)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
