"""Every file of a commit has the metadata of the commit and its own, with which the audit checks it."""

import hashlib

from shared.protocol.commit_files import Output, staged_files
from shared.protocol.stamp import Stamp

STAMP = Stamp("ab" * 16, 7)
OUTPUTS = [
    Output("parquet/t/date=d/a.parquet", 3, b"abc", "application/parquet", "1-2"),
    Output("_dead_letters/b", 2, b"", "x"),
]


def test_each_file_has_metadata_of_its_commit_and_its_own() -> None:
    first, second = staged_files(OUTPUTS, STAMP, ("parquet", "json"), {"ordinal": "9"})
    common = {
        "ordinal": "9",
        "commit_id": STAMP.commit_id,
        "committed_at": "7",
        "commit_files": "2",
        "commit_rows": "5",
        "formats": "parquet,json",
    }
    own = {
        "rows": "3",
        "bytes": "3",
        "folder": "parquet/t/date=d/",
        "sha256": hashlib.sha256(b"abc").hexdigest(),
        "times": "1-2",
    }
    assert first.pending.metadata.items() >= (common | own).items()
    assert second.pending.metadata.items() >= (common | {"rows": "2", "folder": "_dead_letters/"}).items()
    assert {"schema_version", "program_version"} <= first.pending.metadata.keys()
    assert "times" not in second.pending.metadata


def test_a_file_is_staged_in_one_block_of_the_commit() -> None:
    (file, _) = staged_files(OUTPUTS, STAMP, (), {})
    pending = file.pending
    assert (pending.name, pending.content_type, file.data) == (OUTPUTS[0].name, "application/parquet", b"abc")
    assert (pending.block_ids, pending.staged_at) == ((f"{STAMP.commit_id}-00000",), STAMP.now)
