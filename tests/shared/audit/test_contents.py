"""Files are read in pieces, and a damaged one is reported by name."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.audit import contents
from shared.compaction import replaced_files
from shared.compaction.replaced_files import ReplacedFile
from shared.errors import DamagedFile
from shared.output import json_lines, parquet
from shared.protocol.storage import BlobInfo

ROWS = pa.table(
    {
        "_EventHubPartition": ["ns/hub/1", "ns/hub/0", "ns/hub/1", "ns/hub/1"],
        "_SequenceNumber": pa.array([7, 8, 7, 7], pa.int64()),
        "_RecordIndex": pa.array([0, 0, 1, 0], pa.int32()),
        "_EnqueuedTime": pa.array([5, 5, 5, 5], pa.timestamp("us", "UTC")),
    }
)


class Bytes:
    """A file's bytes; counts how often they are fetched."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.calls = 0

    def part(self, name: str, offset: int, length: int) -> bytes:
        assert name
        self.calls += 1
        return self.data[offset : offset + length]

    def file(self, name: str = "parquet/t/a", **metadata: str) -> BlobInfo:
        return BlobInfo(name, len(self.data), metadata)


def stored(**metadata: str) -> Bytes:
    return Bytes(parquet.encode(ROWS, metadata, "snappy"))


@pytest.mark.parametrize("size", [0, 1, contents.PIECE, contents.PIECE + 1, 2 * contents.PIECE])
def test_a_checksum_covers_every_piece(size: int) -> None:
    found = Bytes(bytes(range(251)) * (size // 251 + 1))
    found.data = found.data[:size]
    assert contents.sha256(found, found.file()) == hashlib.sha256(found.data).hexdigest()
    assert found.calls == -(-size // contents.PIECE)


@pytest.mark.parametrize(("size", "calls"), [(0, 3), (1, 1), (contents.PIECE, 1), (contents.PIECE + 1, 3)])
def test_only_small_files_are_fetched_whole(size: int, calls: int) -> None:
    found = Bytes(b"x" * size)
    fetched = contents.Fetched(found, found.file())
    assert b"".join(fetched.part("a", at, 1) for at in range(3)) == b"x" * min(size, 3)
    assert found.calls == calls


def test_rows_are_counted_by_the_format_of_the_folder() -> None:
    found = stored()
    assert contents.count(found, found.file()) == 4
    lines = Bytes(json_lines.encode(ROWS, {}, "snappy"))
    for name in ("json/t/a", "_dead_letters/a"):
        assert contents.count(lines, lines.file(name)) == 4
    with pytest.raises(DamagedFile, match="'csv'"):
        contents.count(lines, lines.file("csv/t/a"))


def test_lineage_has_the_origin_of_each_row_and_counts_duplicates() -> None:
    found = stored()
    lineage = contents.lineage(found, found.file())
    assert (lineage.partitions, lineage.duplicates) == (["ns/hub/0", "ns/hub/1"], 1)
    assert (lineage.codes.tolist(), lineage.sequences.tolist()) == ([1, 0, 1, 1], [7, 8, 7, 7])


def test_keys_are_those_of_the_rows() -> None:
    found = stored()
    ((partitions, sequences, indexes),) = contents.keys(found, found.file())
    assert partitions == {"ns/hub/0", "ns/hub/1"}
    assert (np.asarray(sequences).tolist(), np.asarray(indexes).tolist()) == ([7, 8, 7, 7], [0, 0, 1, 0])


@pytest.mark.parametrize("in_blob", [True, False])
def test_replaced_files_are_read_if_all_rows_exist(*, in_blob: bool) -> None:
    origins = [ReplacedFile("a", {"rows": "4"})]
    text = {replaced_files.KEY: replaced_files.dump(origins)}
    found = stored(**({} if in_blob else text))
    metadata = text if in_blob else {}
    assert contents.files_replaced(found, found.file(rows="4", **metadata)) == origins
    with pytest.raises(DamagedFile, match=r"parquet/t/a.* 4 rows, .*5"):
        contents.files_replaced(found, found.file(rows="5", **metadata))


def test_only_wanted_row_groups_and_existing_columns_are_read() -> None:
    sink = io.BytesIO()
    pq.write_table(ROWS, sink, row_group_size=2)
    found = Bytes(sink.getvalue())
    names = ["_RecordIndex", "none"]
    wanted = iter([False, True])
    (table,) = contents.columns(found, found.file(), names, lambda _: next(wanted))
    assert table.to_pydict() == {"_RecordIndex": [1, 0]}


@pytest.mark.parametrize(
    "read",
    [
        contents.count,
        contents.lineage,
        lambda *file: list(contents.keys(*file)),
        lambda *file: list(contents.lines(*file)),
    ],
)
def test_damage_is_reported_with_the_files_name(read: Callable[[Bytes, BlobInfo], object]) -> None:
    found = Bytes(b"PAR1 but not really")
    with pytest.raises(DamagedFile, match=r"^parquet/t/a is damaged: "):
        read(found, found.file())
