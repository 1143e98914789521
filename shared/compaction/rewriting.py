"""Writes the rows of several files into one, staged as uncommitted blocks that no reader can see yet."""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared import __version__, deadline
from shared.arrays import integers
from shared.compaction import erasures, merging, replaced_files
from shared.compaction.replaced_files import ReplacedFile
from shared.errors import DamagedFile, PreconditionFailed
from shared.output import parquet
from shared.policies import Compression
from shared.protocol.ledger import PendingFile
from shared.protocol.stamp import Stamp
from shared.protocol.storage import BlobInfo, Storage
from shared.tables.table import VERSION, Table
from shared.wording import counted

PARALLEL = 8
PIECE = 4 << 20
"""Maximum number of bytes that one call fetches."""
BLOCK = 16 << 20
"""Maximum size of a block in bytes."""

SCRATCH = "websocketlogs-compaction-"
"""The prefix of the name of a temporary folder, followed by the process id."""

type Drop = Callable[[pa.Table], pa.Array]
"""Returns for each row of a table whether it is left out."""


def nothing(rows: pa.Table) -> pa.Array:
    """Keeps every row."""
    return pa.repeat(pa.scalar(value=False), rows.num_rows)


def rewrite(
    storage: Storage,
    table: Table,
    files: Sequence[BlobInfo],
    name: str,
    stamp: Stamp,
    compression: Compression,
    drop: Drop = nothing,
) -> tuple[PendingFile, int]:
    """Stages the sorted rows of these files under one name; returns the file to publish, and its bytes.

    Raises DamagedFile if one of them differs from what was written, or if two have the same rows.
    """
    _sweep()
    with TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-") as scratch:
        paths = _fetch(storage, files, Path(scratch))
        origins = [origin for file, path in zip(files, paths, strict=True) for origin in _origins(file, path)]
        if len({origin.name for origin in origins}) < len(origins):
            raise DamagedFile(f"{files[0].name} and others hold rows of the same file; run the audit")
        rows = sum(origin.rows for origin in origins) - sum(map(erasures.erased, files))
        blocks = Blocks(storage, name, stamp.commit_id)
        merged = _Merged(table.time_column)
        try:
            _merge(table, paths, Path(scratch) / "runs", origins, blocks, compression, drop, merged)
        except pa.ArrowException as error:
            raise DamagedFile(f"{files[0].name} and others have incompatible columns: {error}") from error
    if merged.read != rows:
        raise DamagedFile(
            f"{files[0].name} and others have {counted(merged.read, 'row')}, but {rows:,} were "
            "expected; run the audit"
        )
    erased = sum(map(erasures.erased, files)) + merged.dropped
    listed = PendingFile(
        name=name,
        block_ids=tuple(blocks.ids),
        content_type=parquet.CONTENT_TYPE,
        metadata={
            "compacted": str(len(origins)),
            "commit_id": stamp.commit_id,
            "committed_at": str(stamp.now),
            "rows": str(merged.read - merged.dropped),
            "bytes": str(blocks.size),
            "folder": name[: name.rindex("/") + 1],
            "sha256": blocks.digest.hexdigest(),
            **merged.times,
            **({"erased": str(erased)} if erased else {}),
            "schema_version": str(VERSION),
            "program_version": __version__,
        },
        staged_at=stamp.now,
    )
    return listed, blocks.size


def _sweep() -> None:
    """Deletes temporary files of killed processes, because an instance has little disk space."""
    processes = Path("/proc")
    if not (processes / "self").exists():  # not Linux: no way to tell which processes exist
        return
    for folder in Path(gettempdir()).glob(f"{SCRATCH}*"):
        if not (processes / folder.name.removeprefix(SCRATCH).partition("-")[0]).exists():
            rmtree(folder, ignore_errors=True)


def _fetch(storage: Storage, files: Sequence[BlobInfo], scratch: Path) -> list[Path]:
    """Copies the files to disk. Their total size is at most the target size of a compacted file."""

    def fetch(number: int, file: BlobInfo) -> Path:
        path = scratch / f"{number}.parquet"
        digest = hashlib.sha256()
        with path.open("wb") as copy:
            for offset in range(0, file.size, PIECE):
                try:
                    piece = storage.part(file.name, offset, PIECE)
                except PreconditionFailed as error:  # archived, for example; other hours are not affected
                    raise DamagedFile(f"{file.name} cannot be read: {error}") from error
                digest.update(piece)
                copy.write(piece)
        # Without this check, the merged file would hide that this one was changed.
        if digest.hexdigest() != file.metadata["sha256"]:
            raise DamagedFile(f"{file.name}: its bytes differ from those that were written; run the audit")
        if not file.name.startswith(file.metadata["folder"]):
            raise DamagedFile(f"{file.name} was written to {file.metadata['folder']}; run the audit")
        return path

    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="fetch") as pool:
        return list(pool.map(deadline.carried(fetch), range(len(files)), files))


def _merge(
    table: Table,
    paths: Sequence[Path],
    scratch: Path,
    origins: Sequence[ReplacedFile],
    blocks: "Blocks",
    compression: Compression,
    drop: Drop,
    merged: "_Merged",
) -> None:
    """Stages the merged rows, row group by row group, and counts them."""
    scratch.mkdir()
    arrow, order = merging.schema_of(table, paths), table.sort_key
    # A row group has at least two records of each connection, so a Bloom filter pays off.
    distinct = min(merging.ROWS, sum(origin.rows for origin in origins)) // 2
    metadata = {replaced_files.KEY: replaced_files.dump(origins), "program_version": __version__}
    with parquet.writer(blocks, arrow, order, distinct, metadata, compression) as writer:
        for group in merging.merge(table, paths, arrow, scratch):
            left = group if drop is nothing else group.filter(pc.invert(drop(group)))
            merged.take(group.num_rows, left)
            if left.num_rows:
                writer.write_table(left, row_group_size=left.num_rows)
                blocks.stage()
    blocks.stage()


def _origins(file: BlobInfo, path: Path) -> list[ReplacedFile]:
    """Returns the files that a file represents: itself, or those it replaced. Raises DamagedFile."""
    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{file.name} is damaged: {error}") from error
    if str(metadata.num_rows) != file.metadata["rows"]:
        raise DamagedFile(
            f"{file.name} has {counted(metadata.num_rows, 'row')}, but was written with "
            f"{file.metadata['rows']}"
        )
    if "compacted" not in file.metadata:
        return [ReplacedFile(file.name, file.metadata)]
    return replaced_files.load(metadata.metadata, file.name)


@dataclass(slots=True)
class _Merged:
    """Counts the rows that were read and the rows that were written."""

    time_column: str
    read: int = 0
    dropped: int = 0
    first: int | None = None
    last: int = 0

    def take(self, read: int, left: pa.Table) -> None:
        """Counts the rows that were read, and those of them that are left to write."""
        self.read += read
        self.dropped += read - left.num_rows
        if left.num_rows:
            times = integers(left[self.time_column])
            self.first = int(times.min()) if self.first is None else min(self.first, int(times.min()))
            self.last = max(self.last, int(times.max()))

    @property
    def times(self) -> dict[str, str]:
        """The metadata `times` of the rows that were written; empty if there are none."""
        return {} if self.first is None else {"times": f"{self.first}-{self.last}"}


class Blocks(io.RawIOBase):
    """A writable file that collects data and stages it in blocks."""

    def __init__(self, storage: Storage, name: str, commit_id: str) -> None:
        """`name` is that of the output file; the commit's id makes the names of its blocks unique."""
        self._storage = storage
        self._name = name
        self._commit_id = commit_id
        self._waiting = bytearray()
        self.ids: list[str] = []
        self.size = 0
        self.digest = hashlib.sha256()
        """The digest of all data that was written."""

    def writable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def tell(self) -> int:
        """See io.RawIOBase."""
        return self.size

    def write(self, data: Any) -> int:
        """See io.RawIOBase."""
        with memoryview(data) as view:
            self._waiting += view
            self.digest.update(view)
            self.size += view.nbytes
            return view.nbytes

    def stage(self) -> None:
        """Stages data written since the last call. `write` does not, because third-party code calls it."""
        data = bytes(self._waiting)
        self._waiting = bytearray()
        for at in range(0, len(data), BLOCK):
            block_id = f"{self._commit_id}-{len(self.ids):05d}"
            self._storage.stage_block(self._name, block_id, data[at : at + BLOCK])
            self.ids.append(block_id)
