"""samples/output is what `convert` makes of the sample; `python -m tests.test_docs_samples` writes it."""

import gzip
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from shared import __main__
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from tests.documents import ROOT

SAMPLES = ROOT / "samples"
COMMIT_ID = re.compile(r"[0-9a-f]{32}")
"""Random, so it is left out of comparisons; it occurs in file names and in the column CommitId."""

type Contents = dict[str, list[Any]]


def contents(folder: Path) -> Contents:
    """The rows or lines of each file below a folder, by its path without the commit id."""
    found: Contents = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        rows = pq.read_table(path).to_pylist() if path.suffix == ".parquet" else lines(path)
        found[COMMIT_ID.sub("ID", str(path.relative_to(folder)))] = [
            {name: value for name, value in row.items() if name != "CommitId"} for row in rows
        ]
    return found


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def convert(output: Path) -> int:
    arguments = ["convert", str(SAMPLES / "PT1H.json"), "--output", str(output)]
    return __main__.main([*arguments, "--format", "parquet,json", "--arrived", "2025-11-20T10:00Z"])


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    output = tmp_path_factory.mktemp("samples") / "output"
    assert convert(output) == 1
    return contents(output)


def test_the_stored_output_is_up_to_date(converted: Contents) -> None:
    assert converted == contents(SAMPLES / "output")


def test_the_sample_has_rows_rejections_and_connections(converted: Contents) -> None:
    sent = len((SAMPLES / "PT1H.json").read_text().splitlines())
    rejected = [
        rejection["reason"]
        for path, letters in converted.items()
        if path.startswith("_dead_letters/")
        for letter in letters
        for rejection in letter["rejections"]
    ]
    assert sorted(rejected) == ["missing_required_field", "unparseable_time"]
    for form in ("parquet", "json"):
        rows = {
            table.name: [
                row
                for path, found in converted.items()
                if path.startswith(f"{form}/{table.name}/")
                for row in found
            ]
            for table in (RECORDS, CONNECTIONS)
        }
        assert len(rows[RECORDS.name]) == sent - len(rejected) == 102
        assert len(rows[CONNECTIONS.name]) == 25
        assert {row["Status"] for row in rows[CONNECTIONS.name]} == {"closed", "failed", "timed_out"}


if __name__ == "__main__":
    shutil.rmtree(SAMPLES / "output")
    sys.exit(convert(SAMPLES / "output") != 1)
