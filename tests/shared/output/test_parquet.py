"""Parquet files hold the table, and every reader can open them."""

import io
from collections.abc import Callable
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.output import parquet
from shared.policies import Compression
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.output.made import table


def test_parquet_gives_the_table_back_with_its_descriptions() -> None:
    data = parquet.encode(table(), {"partition": "s"}, "snappy")
    read = pq.read_table(pa.BufferReader(data))
    assert read.equals(table())
    assert read.schema.metadata == {**RECORDS.arrow.metadata, b"partition": b"s"}
    for field in read.schema:
        assert field.metadata[b"description"] == RECORDS.arrow.field(field.name).metadata[b"description"]


def small(compression: Compression) -> bytes:
    return parquet.encode(table(), {}, compression)


def compacted(compression: Compression) -> bytes:
    sink = io.BytesIO()
    rows = table().sort_by("CorrelationId")
    order = ["CorrelationId", "TimeGenerated"]
    with parquet.writer(sink, rows.schema, order, 2, {}, compression) as writer:
        writer.write_table(rows)
    return sink.getvalue()


@pytest.mark.parametrize("make", [small, compacted])
@pytest.mark.parametrize("compression", get_args(Compression))
def test_parquet_uses_only_what_old_readers_know(
    make: Callable[[Compression], bytes], compression: Compression
) -> None:
    metadata = pq.read_metadata(io.BytesIO(make(compression)))
    for number in range(metadata.num_columns):
        column = metadata.row_group(0).column(number)
        assert column.compression == compression.upper()
        assert set(column.encodings) <= {"PLAIN", "RLE", "RLE_DICTIONARY"}
        assert column.statistics.has_min_max
        assert column.statistics.has_null_count


@pytest.mark.parametrize("make", [small, compacted])
def test_a_flipped_bit_of_any_column_fails_its_page_checksum(make: Callable[[Compression], bytes]) -> None:
    data = make("snappy")
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        damaged = bytearray(data)
        begin = column.dictionary_page_offset or column.data_page_offset
        damaged[begin + column.total_compressed_size - 1] ^= 1
        with pytest.raises(OSError, match="CRC"):
            pq.read_table(io.BytesIO(bytes(damaged)), page_checksum_verification=True)
