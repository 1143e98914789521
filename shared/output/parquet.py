"""Writes tables as Parquet that every reader can open, and reads the parts that the audit needs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import DamagedFile
from shared.output.lineage import BATCH, KEY, Keys
from shared.policies import Compression

CONTENT_TYPE = "application/vnd.apache.parquet"
LEVELS: dict[Compression, int | None] = {"snappy": None, "gzip": 4, "zstd": 1}
"""Compression levels. Level 9 of gzip, Arrow's default, takes six times as long for the same size."""
COMPACTED_LEVELS = LEVELS | {"zstd": 3}
"""The same for compacted files, which are written once and read often: zstd makes them 5 % smaller."""


def encode(table: pa.Table, metadata: Mapping[str, str], compression: Compression) -> bytes:
    """Encodes a table as Parquet that every reader can open.

    Data pages are of version 1 with a checksum each; text is encoded as dictionaries, everything else
    plain. The file has statistics and a page index, and its Arrow schema describes the fields.

    Args:
        table: Any table.
        metadata: Added to the table's own key-value metadata.
        compression: The codec of the data pages.
    """
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    pq.write_table(table, sink, **_options(table.schema, compression, LEVELS))
    return bytes(sink.getvalue().to_pybytes())


def writer(
    sink: Any,
    schema: pa.Schema,
    order: Sequence[str],
    distinct: int,
    metadata: Mapping[str, str],
    compression: Compression,
) -> pq.ParquetWriter:
    """Creates a writer of sorted Parquet row groups. Close it at the end.

    Args:
        sink: a file that is open for writing.
        schema: the schema of every table that is written.
        order: the columns by which rows are sorted. The first one gets a Bloom filter for each row group.
        distinct: the expected number of distinct values of that column in a row group.
        metadata: added to the file's key-value metadata, next to the schema.
        compression: the codec of the data pages.
    """
    ascending = [pq.SortingColumn(schema.get_field_index(name), nulls_first=True) for name in order]
    parquet = pq.ParquetWriter(
        sink,
        schema,
        **_options(schema, compression, COMPACTED_LEVELS),
        sorting_columns=ascending,
        bloom_filter_options={order[0]: {"ndv": max(1, distinct), "fpp": 0.01}},
    )
    parquet.add_key_value_metadata(metadata)
    return parquet


def _options(
    schema: pa.Schema, compression: Compression, levels: Mapping[Compression, int | None]
) -> dict[str, Any]:
    """Returns the options for `pyarrow.parquet`. docs/reading.md lists the readers that they support."""
    return {
        "compression": compression,
        "compression_level": levels[compression],
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
        "data_page_version": "1.0",
        "write_page_checksum": True,
        "write_page_index": True,
    }


def count_rows(file: BinaryIO) -> int:
    """Counts the rows of a file by its footer. Raises DamagedFile."""
    rows: int = opened(file).metadata.num_rows
    return rows


def read_keys(file: BinaryIO) -> Iterator[Keys]:
    """Yields the keys of all rows in batches. Raises DamagedFile."""
    with damage():
        for batch in opened(file).iter_batches(BATCH, columns=list(KEY)):
            partitions, sequences, indexes = batch.columns
            yield set(partitions.unique().to_pylist()), np.asarray(sequences), np.asarray(indexes)


def opened(file: BinaryIO) -> pq.ParquetFile:
    """Opens a file and reads only its footer. Raises DamagedFile."""
    with damage():
        return pq.ParquetFile(pa.PythonFile(file, "r"))


@contextmanager
def damage() -> Iterator[None]:
    """Turns Arrow's read errors into DamagedFile."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(str(error)) from error
