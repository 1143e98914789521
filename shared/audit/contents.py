"""Reads output files in chunks: row counts, row identities, and dead-letter lines."""

import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shared.compaction import replaced_files
from shared.compaction.replaced_files import ReplacedFile
from shared.errors import DamagedFile
from shared.protocol.storage import BlobInfo

type Array = np.ndarray[Any, Any]

PIECE = 4 << 20
"""Bytes that one call fetches at most."""
BATCH = 1 << 16
"""Rows that are in memory at a time."""
KEY = ("_EventHubPartition", "_SequenceNumber", "_RecordIndex")


class Parts(Protocol):
    """Where the bytes of a file come from."""

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See shared.protocol.storage.Storage."""


class Fetched:
    """The bytes of a file: a small one is fetched once, however often it is read."""

    def __init__(self, storage: Parts, file: BlobInfo) -> None:
        self._storage = storage
        self._data = storage.part(file.name, 0, file.size) if 0 < file.size <= PIECE else None

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See shared.protocol.storage.Storage."""
        if self._data is None:
            return self._storage.part(name, offset, length)
        return self._data[offset : offset + length]


def sha256(storage: Parts, file: BlobInfo) -> str:
    """The SHA-256 of all bytes of a file, hexadecimal."""
    digest = hashlib.sha256()
    for offset in range(0, file.size, PIECE):
        digest.update(storage.part(file.name, offset, PIECE))
    return digest.hexdigest()


def count(storage: Parts, file: BlobInfo) -> int:
    """The rows of a file: of Parquet as its footer says, of JSON Lines as counted. Raises DamagedFile."""
    if file.name.endswith(".parquet"):
        rows: int = _parquet(storage, file).metadata.num_rows
        return rows
    return sum(piece.count(b"\n") for piece in _inflated(storage, file))


def files_replaced(storage: Parts, file: BlobInfo) -> list[ReplacedFile]:
    """The files that a compacted one replaced; it has the rows it was written with. Raises DamagedFile."""
    metadata = _parquet(storage, file).metadata
    if str(metadata.num_rows) != file.metadata["rows"]:
        raise _damaged(file, f"it has {metadata.num_rows} rows, was written with {file.metadata['rows']}")
    return replaced_files.load(metadata.metadata, file.name)


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the rows of a file came from."""

    partitions: list[str]
    codes: Array
    """Of each row, the place of its partition in `partitions`."""
    sequences: Array
    duplicates: int
    """Rows that are there twice."""


def lineage(storage: Parts, file: BlobInfo) -> Lineage:
    """Of all rows of a Parquet file, 40 bytes each. Raises DamagedFile."""
    try:
        parquet = _parquet(storage, file)
        columns = [*KEY, "_EnqueuedTime"]
        batches = [_compact(batch) for batch in parquet.iter_batches(BATCH, columns=columns)]
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
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


def keys(storage: Parts, file: BlobInfo) -> Iterator[tuple[set[str], Array, Array]]:
    """Partitions, sequence numbers and record indexes of a file's rows, in batches. Raises DamagedFile."""
    if file.name.endswith(".parquet"):
        try:
            for batch in _parquet(storage, file).iter_batches(BATCH, columns=list(KEY)):
                partitions, sequences, indexes = batch.columns
                yield set(partitions.unique().to_pylist()), np.asarray(sequences), np.asarray(indexes)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(file, error) from error
        return
    rows: list[Any] = []
    for row in lines(storage, file):
        rows.append(row)
        if len(rows) == BATCH:
            yield _keys(rows, file)
            rows = []
    if rows:
        yield _keys(rows, file)


def lines(storage: Parts, file: BlobInfo) -> Iterator[Any]:
    """The values of a JSON Lines file. Raises DamagedFile."""
    rest: list[bytes] = []
    for piece in _inflated(storage, file):
        first, *others = piece.split(b"\n")
        rest.append(first)
        for other in others:
            yield _value(b"".join(rest), file)
            rest = [other]
    if any(rest):
        raise _damaged(file, "it ends inside a line")


def _value(line: bytes, file: BlobInfo) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _damaged(file, error) from error


def _keys(rows: list[Any], file: BlobInfo) -> tuple[set[str], Array, Array]:
    try:
        partitions, sequences, indexes = zip(*([row[name] for name in KEY] for row in rows), strict=True)
        return set(partitions), np.array(sequences, np.int64), np.array(indexes, np.int32)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(file, f"a row without {', '.join(KEY)}: {error}") from error


def _parquet(storage: Parts, file: BlobInfo) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.PythonFile(_Reader(storage, file), "r"))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _inflated(storage: Parts, file: BlobInfo) -> Iterator[bytes]:
    """The text of a gzip file of one member, which is how it was written."""
    member = zlib.decompressobj(31)
    for offset in range(0, file.size, PIECE):
        data = storage.part(file.name, offset, PIECE)
        while data and not member.eof:
            try:
                yield member.decompress(data, PIECE)
            except zlib.error as error:
                raise _damaged(file, error) from error
            data = member.unconsumed_tail
        if member.unused_data or (data and member.eof):
            raise _damaged(file, "there is more behind its end")
    if not member.eof:
        raise _damaged(file, "it is cut off")


def _damaged(file: BlobInfo, problem: object) -> DamagedFile:
    return DamagedFile(f"{file.name}: is damaged: {problem}")


class _Reader(io.RawIOBase):
    """A file in storage as Python's, for Arrow, which reads the footer and the columns it needs."""

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
