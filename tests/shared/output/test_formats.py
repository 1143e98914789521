import gzip
import io
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, get_args

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input.envelope import Envelope, Reason, Rejected, Rejection
from shared.output import dead_letters, json_lines, parquet
from shared.policies import Compression, ExportPolicy
from shared.tables.websocket_connection_logs import RECORDS
from tests.records import PARTITION

TIME = datetime(2030, 1, 2, 3, 4, 5, 120000, UTC)
EXAMPLES: dict[pa.DataType, Any] = {
    pa.string(): 'ü "\n\0',
    pa.float64(): 1.5,
    pa.int64(): 2**62,
    pa.int32(): 7,
    pa.timestamp("us", "UTC"): TIME,
}


def table(rows: int = 3) -> pa.Table:
    """Returns a table with all columns filled, and a last row in which nullable ones are null."""
    full = [{column.name: EXAMPLES[column.type] for column in RECORDS.columns}] * (rows - 1)
    least = {column.name: EXAMPLES[column.type] for column in RECORDS.columns if column.required}
    return pa.Table.from_pylist([*full, least], schema=RECORDS.arrow)


def lines(data: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in gzip.decompress(data).splitlines()]


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


def test_a_json_line_has_every_column_including_nulls() -> None:
    full, _, least = lines(json_lines.encode(table(), {}, "snappy"))
    assert list(full) == list(least) == RECORDS.arrow.names
    for column in RECORDS.columns:
        expected = EXAMPLES[column.type]
        expected = "2030-01-02T03:04:05.120000Z" if expected is TIME else expected
        assert full[column.name] == expected
        assert least[column.name] == (expected if column.required else None)


def test_json_lines_of_many_blocks_are_complete() -> None:
    whole = pa.table({"row": range(40_000)})
    assert lines(json_lines.encode(whole, {}, "snappy")) == whole.to_pylist()
    assert lines(json_lines.encode(whole.slice(0, 0), {}, "snappy")) == []


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            "often": st.sampled_from([None, "a", 'quoted "b"', "back\\slash", "\x00\x1f\u2028", ""]),
            "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "integer": st.none() | st.integers(-(2**63), 2**63 - 1),
            "nothing": st.none(),
            'a "name"\n': st.booleans().map(int),
        }
    )
)
SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "often": pa.string(),
        "number": pa.float64(),
        "integer": pa.int64(),
        "nothing": pa.string(),
        'a "name"\n': pa.int32(),
    }
)


@given(ROWS, st.sampled_from([1, 2, 4096]))
def test_lines_equal_those_of_a_row_by_row_writer(rows: list[dict[str, Any]], block: int) -> None:
    rows = [{name: row[name] for name in SCHEMA.names} for row in rows]
    expected = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lines, "_ROWS", block)
        encoded = json_lines.encode(pa.Table.from_pylist(rows, schema=SCHEMA), {}, "snappy")
    assert gzip.decompress(encoded) == expected


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_every_time_is_written_with_four_digits_of_a_year(year: int) -> None:
    time = TIME.replace(year=year)
    one = pa.table({"t": pa.array([time], pa.timestamp("us", "UTC"))})
    (line,) = lines(json_lines.encode(one, {}, "snappy"))
    assert line == {"t": f"{year:04d}-01-02T03:04:05.120000Z"}


def test_equal_rows_give_equal_bytes_for_any_chunks() -> None:
    whole = table(100)
    pieces = pa.concat_tables([whole.slice(0, 7), whole.slice(7)])
    assert parquet.encode(whole, {"a": "b"}, "snappy") == parquet.encode(pieces, {"a": "b"}, "snappy")
    assert json_lines.encode(whole, {}, "snappy") == json_lines.encode(pieces, {}, "snappy")


REJECTION = st.builds(
    Rejection, st.sampled_from(Reason), st.text(), st.none() | st.integers(0, 99), st.sampled_from(["", "/a"])
)
REJECTED = st.builds(
    Rejected,
    st.builds(
        Envelope, st.integers(0, 2**62), st.integers(0, 2**52), st.binary() | st.text().map(str.encode)
    ),
    st.lists(REJECTION, max_size=3).map(tuple),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(Reason), st.integers(0, 2**40)),
)


@given(st.lists(REJECTED, max_size=4))
def test_a_dead_letter_restores_its_envelope_byte_for_byte(rejected: list[Rejected]) -> None:
    encoded = dead_letters.encode(rejected, PARTITION, 2, ExportPolicy())
    assert encoded == dead_letters.encode(rejected, PARTITION, 2, ExportPolicy())
    found = lines(encoded)
    assert len(found) == len(rejected)
    for line, one in zip(found, rejected, strict=True):
        body = line["body"].encode() if "body" in line else b64decode(line["body_base64"], validate=True)
        assert ("body" in line) != ("body_base64" in line)
        enqueued = (
            datetime.fromisoformat(line["enqueued"]) - datetime(1970, 1, 1, tzinfo=UTC)
        ).total_seconds()
        assert body == one.envelope.body
        assert (line["partition"], line["sequence"], line["incarnation"]) == (
            str(PARTITION),
            one.envelope.sequence,
            2,
        )
        assert round(enqueued * 1_000_000) == one.envelope.enqueued
        assert line["rejections"] == [
            {"index": each.index, "reason": each.reason, "pointer": each.pointer, "message": each.message}
            for each in one.rejections
        ]
        assert line["rejected_indexes"] == [list(interval) for interval in one.indexes]
        assert line["counts"] == one.counts


def test_text_stays_readable_in_a_dead_letter() -> None:
    rejection = Rejection(Reason.UNREADABLE_ENVELOPE, "expected JSON")
    body = "\ufeffgeöffnet\0".encode()
    one = Rejected(Envelope(1, 0, body), (rejection,), (), {rejection.reason: 1})
    (line,) = lines(dead_letters.encode([one], PARTITION, 0, ExportPolicy()))
    assert line["body"] == "\ufeffgeöffnet\0"
    assert line["enqueued"] == "1970-01-01T00:00:00.000000Z"
