"""Rows that vanish without an erasure are found, even if an erasure removed others."""

import gzip
import io
from collections.abc import Callable
from hashlib import sha256

import orjson
import pyarrow.parquet as pq
import pytest

from shared.compaction import replaced_files
from shared.erasure.selection import Selection
from tests.audits import findings
from tests.shared.erasure.made import HIM, Made, filled

RECORDS = "ApiManagementWebSocketConnectionLogs/"
SELECTION = Selection("Source", (HIM,))


def erased() -> Made:
    made = filled()
    made.erase(SELECTION)
    assert made.audit().status == 0
    return made


def replaced(made: Made, prefix: str) -> str:
    return next(one for one in made.files() if one.startswith(prefix) and "/compacted-" in one)


def without_a_row(made: Made, name: str) -> None:
    """Removes the first row, and adapts the footer and metadata."""
    blob = made.storage.output[name]
    if name.endswith(".parquet"):
        file = pq.ParquetFile(io.BytesIO(blob.data or b""))
        rows = file.read().slice(1)
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, rows.schema) as writer:
            writer.write_table(rows)
            footer = file.metadata.metadata
            writer.add_key_value_metadata({replaced_files.KEY: footer[replaced_files.KEY.encode()].decode()})
        data = sink.getvalue()
    else:
        data = gzip.compress(b"".join(gzip.decompress(blob.data or b"").splitlines(keepends=True)[1:]))
    blob.data = data
    gone = {"erased": str(int(blob.metadata.get("erased", "0")) + 1)}
    rows_left = {"rows": str(int(blob.metadata["rows"]) - 1)}
    blob.metadata = (
        blob.metadata | gone | rows_left | {"bytes": str(len(data)), "sha256": sha256(data).hexdigest()}
    )


@pytest.mark.parametrize("format_", ["parquet", "json"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_row_removed_from_an_erased_file_is_detected(format_: str, *, deep: bool) -> None:
    made = erased()
    without_a_row(made, replaced(made, f"{format_}/{RECORDS}"))
    report = made.audit(deep=deep)
    assert (report.status, {one.code for one in findings(report)}) == (1, {"not_erased"})


def test_a_compacted_file_cannot_claim_erased_rows() -> None:
    made = filled()
    assert not made.compact()
    without_a_row(made, replaced(made, f"parquet/{RECORDS}"))
    report = made.audit(deep=False)
    assert (report.status, {one.code for one in findings(report)}) == (1, {"not_erased"})
    made.now += 2 * 3600 * 1_000_000
    assert made.erase(SELECTION).unreadable  # files that lack rows are not accepted


def test_a_small_file_cannot_claim_erased_rows() -> None:
    made = filled()
    name = next(one for one in made.files() if one.startswith(f"json/{RECORDS}"))
    without_a_row(made, name)
    assert made.audit(deep=False).status == 1


def test_another_file_with_an_erased_files_name_is_found() -> None:
    made = erased()
    blob = made.storage.output[replaced(made, f"json/{RECORDS}")]
    lines = gzip.decompress(blob.data or b"").splitlines(keepends=True)
    changed = orjson.loads(lines[0]) | {"Source": "somebody"}
    blob.data = gzip.compress(b"".join([orjson.dumps(changed) + b"\n", *lines[1:]]))
    blob.metadata = blob.metadata | {"bytes": str(len(blob.data))}
    assert {one.code for one in findings(made.audit(deep=False))} == {"content_differs"}


def test_a_replaced_row_in_an_erased_json_file_is_detected() -> None:
    made = erased()
    blob = made.storage.output[replaced(made, f"json/{RECORDS}")]
    lines = gzip.decompress(blob.data or b"").splitlines(keepends=True)
    blob.data = gzip.compress(b"".join([lines[1], *lines[1:]]))
    size, digest = {"bytes": str(len(blob.data))}, {"sha256": sha256(blob.data).hexdigest()}
    blob.metadata = blob.metadata | size | digest
    report = made.audit(deep=True)
    assert (report.status, {one.code for one in findings(report)}) == (1, {"duplicates", "not_erased"})


def bytes_of_a_dead_letter(made: Made) -> None:
    blob = made.storage.output[replaced(made, "_dead_letters/")]
    blob.data = gzip.compress(gzip.decompress(blob.data or b"").replace(b"erased", b"eraSed"))
    blob.metadata = blob.metadata | {"bytes": str(len(blob.data))}


def a_deleted_file(made: Made) -> None:
    del made.storage.output[replaced(made, f"parquet/{RECORDS}")]


def a_file_that_came_back(made: Made) -> None:
    before = filled()
    name = next(one for one in before.files() if one not in made.files())
    made.storage.output[name] = before.storage.output[name]


@pytest.mark.parametrize("change", [bytes_of_a_dead_letter, a_deleted_file, a_file_that_came_back])
def test_changes_of_erased_files_are_detected(change: Callable[[Made], None]) -> None:
    made = erased()
    change(made)
    assert made.audit(deep=False).status == 1


def test_compaction_skips_a_file_that_lacks_rows() -> None:
    made = filled()
    assert not made.compact()
    made.export(20, 29)
    made.finish()
    made.now += 6 * 3600 * 1_000_000
    without_a_row(made, replaced(made, f"parquet/{RECORDS}"))
    assert [alarm for alarm in made.compact() if "lacks rows that were not erased" in alarm]
