"""Encodes rows and dead letters as the bytes of a file: the same rows, the same bytes."""

import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.input.envelope import HubPartition, Rejected
from shared.policies import Compression

_LEVEL = 6
_QUICK = 1
"""The level for dead letters: whole bodies, however few of their records were rejected, and seldom read."""
_NEW_LINE = orjson.OPT_APPEND_NEWLINE
_BLOCK = 1_024
"""Rows whose lines are held at a time: so few that the memory they lay in is used again for the next."""
PARQUET = "application/vnd.apache.parquet"
LEVELS: dict[Compression, int | None] = {"snappy": None, "gzip": 4, "zstd": 1}
"""Compression levels. Level 9 of gzip, Arrow's default, takes six times as long for the same size."""
COMPACTED_LEVELS = LEVELS | {"zstd": 3}
"""The same for compacted files, which are written once and read often: zstd makes them 5 % smaller."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The bytes of a file and how they are to be stored."""

    data: bytes
    content_type: str
    extension: str
    """Without a dot at its beginning."""
    content_encoding: str | None
    """None for gzip files too: with `gzip`, HTTP clients would unpack what is called `.gz`."""


def parquet(table: pa.Table, metadata: Mapping[str, str], compression: Compression = "snappy") -> Encoded:
    """Encodes a table as Parquet that every reader opens.

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
    return Encoded(sink.getvalue().to_pybytes(), PARQUET, "part.parquet", None)


def parquet_writer(
    sink: Any,
    schema: pa.Schema,
    order: Sequence[str],
    distinct: int,
    metadata: Mapping[str, str],
    compression: Compression,
) -> pq.ParquetWriter:
    """Writes Parquet in row groups that are given one by one, sorted; close it.

    Args:
        sink: Takes bytes: a file, open for writing.
        schema: That of every table that is written.
        order: The columns that rows are sorted by. The first one gets a Bloom filter for each row group.
        distinct: So many different values of that column a row group is expected to have.
        metadata: Goes beside the schema into the file's key-value metadata.
        compression: The codec of the data pages.
    """
    ascending = [pq.SortingColumn(schema.get_field_index(name), nulls_first=True) for name in order]
    writer = pq.ParquetWriter(
        sink,
        schema,
        **_options(schema, compression, COMPACTED_LEVELS),
        sorting_columns=ascending,
        bloom_filter_options={order[0]: {"ndv": max(1, distinct), "fpp": 0.01}},
    )
    writer.add_key_value_metadata(metadata)
    return writer


def _options(
    schema: pa.Schema, compression: Compression, levels: Mapping[Compression, int | None]
) -> dict[str, Any]:
    """What `pyarrow.parquet` is told; docs/reading.md says which readers this is for."""
    return {
        "compression": compression,
        "compression_level": levels[compression],
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
        "data_page_version": "1.0",
        "write_page_checksum": True,
        "write_page_index": True,
    }


def json_lines(table: pa.Table) -> Encoded:
    """As JSON Lines, gzip: times in ISO 8601 with `Z` and microseconds.

    Nulls are written, so that a reader that takes the columns from the first lines finds all of them.
    """
    return Encoded(_gzip(_lines(table), _LEVEL), "application/gzip", "part.jsonl.gz", None)


def dead_letters(rejected: Sequence[Rejected], partition: HubPartition, incarnation: int) -> Encoded:
    """As JSON Lines, gzip, one line per envelope, whose body can be had back byte for byte.

    A line has `partition`, `sequence`, `enqueued` (ISO 8601, microseconds), `incarnation`, `body` (or
    `body_base64`, where it is not UTF-8), `amqp_body_type` if the body was an AMQP value or sequence and is
    kept as JSON, `rejections` (the first 100: `index`, `reason`, `pointer`,
    `message`), `rejected_indexes` (all of them, as closed intervals; empty: the whole envelope) and `counts`.
    """
    lines = (orjson.dumps(_dead_letter(one, partition, incarnation), option=_NEW_LINE) for one in rejected)
    return Encoded(_gzip(lines, _QUICK), "application/gzip", "jsonl.gz", None)


def _lines(table: pa.Table) -> Iterator[bytes]:
    names = table.column_names
    for batch in table.to_batches(_BLOCK):
        rows = zip(*map(_values, batch.columns), strict=True)
        yield b"".join([orjson.dumps(dict(zip(names, row, strict=True)), option=_NEW_LINE) for row in rows])


def _values(column: pa.Array) -> list[Any]:
    if column.null_count == len(column):
        return [None] * len(column)
    if pa.types.is_timestamp(column.type):
        times = column.cast(pa.timestamp("us")).cast(pa.string())
        column = pc.binary_join_element_wise(pc.utf8_replace_slice(times, 10, 11, "T"), "Z", "")
    values: list[Any] = column.to_pylist()
    return values


def _dead_letter(one: Rejected, partition: HubPartition, incarnation: int) -> dict[str, Any]:
    envelope = one.envelope
    try:
        body = {"body": envelope.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": b64encode(envelope.body).decode()}
    amqp = {"amqp_body_type": envelope.amqp} if envelope.amqp else {}
    return {
        "partition": str(partition),
        "sequence": envelope.sequence,
        "enqueued": f"{np.datetime64(envelope.enqueued, 'us')}Z",
        "incarnation": incarnation,
        **body,
        **amqp,
        "rejections": [
            {"index": each.index, "reason": each.reason, "pointer": each.pointer, "message": each.message}
            for each in one.rejections
        ],
        "rejected_indexes": one.indexes,
        "counts": {str(reason): number for reason, number in one.counts.items()},
    }


def _gzip(blocks: Iterable[bytes], level: int) -> bytes:
    """One gzip member; zlib leaves its time 0."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return b"".join([*map(packer.compress, blocks), packer.flush()])
