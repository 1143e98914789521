"""Merge-sorts the rows of many Parquet files, with a few row groups in memory and the others on disk.

Rows are read in runs of several megabytes. Each run is sorted and stored in a temporary file in small
batches, whose first keys stay in memory. Between two of these keys there is a limited number of batches, plus
one of each run, so the amount sorted at a time is bounded for any distribution of keys.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.errors import DamagedFile
from shared.tables.table import Table

RUN = 32 << 20
"""Size of a run in memory, in bytes."""
RANGE = 16 << 20
"""Size in memory, in bytes, of the rows that are merged at a time, in addition to a batch of each run."""
BATCH = 256 << 10
"""Size of a batch in memory, in bytes: one partly needed batch of each run is in memory."""
ROWS = 1 << 17
"""Maximum rows of a row group of the output."""
GROUP = 64 << 20
"""Maximum size of such a row group in memory, in bytes."""
_READ = 1 << 14

type Key = tuple[Any, ...]


def schema_of(table: Table, files: Sequence[Path]) -> pa.Schema:
    """Returns the declared schema, followed by nullable columns that only files of a newer program have."""
    declared = table.arrow
    found = pa.unify_schemas(
        [pa.schema(declared), *(pq.read_schema(file) for file in files)], promote_options="permissive"
    )
    more = [field.with_nullable(nullable=True) for field in found if field.name not in declared.names]
    return pa.schema([*declared, *more], metadata=declared.metadata)


def merge(table: Table, files: Sequence[Path], schema: pa.Schema, scratch: Path) -> Iterator[pa.Table]:
    """Yields the rows of all files, sorted, in pieces for row groups. `scratch`: an empty folder.

    Columns that an older program's file does not have are null. Raises DamagedFile.
    """
    order = table.sort_key
    with ExitStack() as stack:
        whole: pa.Table | None = None
        runs: list[_Run] = []
        for run in _runs(files, schema, order):
            if whole is None and not runs:
                whole = run
                continue
            if whole is not None:
                runs.append(_Run.kept(whole, order, scratch / "0.arrow", stack))
                whole = None
            runs.append(_Run.kept(run, order, scratch / f"{len(runs)}.arrow", stack))
        yield from _cut([whole] if whole is not None else _merged(runs, order))


def _runs(files: Sequence[Path], schema: pa.Schema, order: Sequence[str]) -> Iterator[pa.Table]:
    """Yields all rows, in sorted pieces of about RUN bytes."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                for batch in parquet.iter_batches(_READ):
                    waiting.append(_conforming(batch, schema))
                    size += waiting[-1].nbytes
                    if size >= RUN:
                        yield _sorted(pa.Table.from_batches(waiting), order)
                        waiting, size = [], 0
        except (pa.ArrowException, OSError) as error:
            raise DamagedFile(f"{file.name} is damaged: {error}") from error
    if waiting:
        yield _sorted(pa.Table.from_batches(waiting), order)


def _conforming(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        batch[field.name].cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.record_batch(columns, schema=schema)


def _sorted(table: pa.Table, order: Sequence[str]) -> pa.Table:
    table = table.combine_chunks()
    return table.take(pc.sort_indices(table, [(name, "ascending") for name in order]))


@dataclass(frozen=True, slots=True)
class _Run:
    """Sorted rows in a file, which is read one batch at a time."""

    reader: Any
    firsts: list[Key]
    """The first key of each batch."""

    @classmethod
    def kept(cls, table: pa.Table, order: Sequence[str], path: Path, stack: ExitStack) -> "_Run":
        """Writes sorted rows to a file."""
        rows = max(1, table.num_rows * BATCH // max(1, table.nbytes))
        with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as sink:
            sink.write_table(table, rows)
        firsts = [_key(table, at, order) for at in range(0, table.num_rows, rows)]
        return cls(pa.ipc.open_file(stack.enter_context(pa.OSFile(str(path)))), firsts)

    def between(self, low: Key, high: Key | None, order: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yields the rows from one key up to another one (None: to the end)."""
        # The batch before the first one that begins at `low` may reach beyond it.
        start = max(0, bisect_left(self.firsts, low) - 1)
        stop = len(self.firsts) if high is None else bisect_left(self.firsts, high)
        for number in range(start, stop):
            batch = self.reader.get_batch(number)
            begin = 0 if self.firsts[number] >= low else _place(batch, low, order)
            end = batch.num_rows if high is None else _place(batch, high, order)
            if begin < end:
                yield batch.slice(begin, end - begin)


def _merged(runs: Sequence[_Run], order: Sequence[str]) -> Iterator[pa.Table]:
    """Yields the rows of all runs, sorted, in pieces."""
    firsts = sorted(key for run in runs for key in run.firsts)
    bounds = [*firsts[:: RANGE // BATCH], None]
    for low, high in pairwise(bounds):
        if low is None or low == high:
            continue
        # Not assigned to variables, so that each copy is freed as soon as the next one exists.
        yield _sorted(
            pa.Table.from_batches([piece for run in runs for piece in run.between(low, high, order)]), order
        )


def _cut(tables: Iterator[pa.Table] | list[pa.Table]) -> Iterator[pa.Table]:
    """Yields the rows in pieces of ROWS, or fewer if rows are large; only the last one may be smaller."""
    rest: pa.Table | None = None
    for table in tables:
        rest = table if rest is None else pa.concat_tables([rest, table])
        rows = max(1, min(ROWS, GROUP * rest.num_rows // max(1, rest.nbytes)))
        while rest.num_rows > rows:
            yield rest.slice(0, rows)
            rest = rest.slice(rows)
    if rest is not None and rest.num_rows:
        yield rest


def _place(batch: pa.RecordBatch, key: Key, order: Sequence[str]) -> int:
    """Returns how many rows of a sorted batch are below a key."""
    low, high = 0, batch.num_rows
    while low < high:
        middle = (low + high) // 2
        if _key(batch, middle, order) < key:
            low = middle + 1
        else:
            high = middle
    return low


def _key(rows: Any, at: int, order: Sequence[str]) -> Key:
    return tuple(
        value.value if isinstance(value, pa.TimestampScalar) else value.as_py()
        for value in (rows[name][at] for name in order)
    )
