"""Encodes rows and dead letters as the bytes of a file: the same rows, the same bytes."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from isal import isal_zlib

from shared.input.envelope import HubPartition, Rejected
from shared.policies import Compression

_LEVEL = 1
"""Of ISA-L: a twentieth of the time that zlib takes at level 6, for 18 % more bytes."""
_NEW_LINE = orjson.OPT_APPEND_NEWLINE
_ROWS = 4_096
"""Rows whose lines are made at a time."""
_BLOCK = 8 << 20
"""Bytes, in memory, of such rows at most, unless a single row is larger."""
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
    return Encoded(sink.getvalue().to_pybytes(), PARQUET, "parquet", None)


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
    return Encoded(_gzip(_lines(table)), "application/gzip", "jsonl.gz", None)


def dead_letters(rejected: Sequence[Rejected], partition: HubPartition, incarnation: int) -> Encoded:
    """As JSON Lines, gzip, one line per envelope, whose body can be had back byte for byte.

    A line has `partition`, `sequence`, `enqueued` (ISO 8601, microseconds), `incarnation`, `body` (or
    `body_base64`, where it is not UTF-8), `amqp_body_type` if the body was an AMQP value or sequence and is
    kept as JSON, `rejections` (the first 100: `index`, `reason`, `pointer`,
    `message`, and `text` of a record that is no JSON), `rejected_indexes` (all of them, as closed intervals;
    empty: the whole envelope) and `counts`.
    """
    lines = (orjson.dumps(_dead_letter(one, partition, incarnation), option=_NEW_LINE) for one in rejected)
    return Encoded(_gzip(lines), "application/gzip", "jsonl.gz", None)


def _lines(table: pa.Table) -> Iterator[bytes]:
    """The lines, some at a time, made by column: a value that occurs often is written out once."""
    names = [f"{orjson.dumps(name).decode()}:" for name in table.column_names]
    rows = max(1, min(_ROWS, _BLOCK * table.num_rows // max(1, table.nbytes)))
    for batch in table.combine_chunks().to_batches(rows):
        parts: list[Any] = []
        lead = "{"
        for name, column in zip(names, batch.columns, strict=True):
            lead += name
            if column.null_count == len(column):
                lead += "null"
            else:
                parts += [lead, _values(column).fill_null("null")]
                lead = ""
            lead += ","
        rest = pa.array([f"{lead[:-1]}}}\n"]).take(pa.array(np.zeros(len(batch), np.int32)))
        _, offsets, lines = pc.binary_join_element_wise(*parts, rest, "").buffers()
        if lines is not None:
            yield lines[: int(np.frombuffer(offsets, np.int32)[len(batch)])].to_pybytes()


def _values(column: pa.Array) -> pa.Array:
    """Each value as JSON text; null stays null."""
    coded = column.dictionary_encode()
    values = coded.dictionary
    if pa.types.is_timestamp(values.type):
        times = values.cast(pa.timestamp("us")).cast(pa.string())
        values = pc.binary_join_element_wise('"', pc.utf8_replace_slice(times, 10, 11, "T"), 'Z"', "")
    elif pa.types.is_string(values.type):
        values = pa.array([orjson.dumps(value) for value in values.to_pylist()], pa.binary())
    else:
        values = pa.array(orjson.dumps(values.to_pylist())[1:-1].split(b","), pa.binary())
    return values.cast(pa.string()).take(coded.indices)


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
            | ({"text": each.text} if each.text else {})
            for each in one.rejections
        ],
        "rejected_indexes": one.indexes,
        "counts": {str(reason): number for reason, number in one.counts.items()},
    }


def _gzip(blocks: Iterable[bytes]) -> bytes:
    """Packs one gzip member, whose time is 0."""
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, 31)
    return b"".join([*map(packer.compress, blocks), packer.flush()])
