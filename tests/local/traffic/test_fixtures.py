"""The fixtures agree with a second reader."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local.traffic.reading import read

FOLDER = Path(__file__).parents[2] / "fixtures" / "records"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text())
COLUMNS = ("index", "_ResourceId", "CorrelationId", "EventName", "TimeGenerated")


@pytest.mark.parametrize("name", EXPECTED)
def test_an_independent_parser_agrees_with_the_expectations(name: str) -> None:
    expected = EXPECTED[name]
    found = read((FOLDER / name).read_bytes(), expected["enqueued"])
    assert found.rows == [tuple(row[column] for column in COLUMNS) for row in expected["rows"]]
    assert found.rejections == [(one["index"], one["reason"]) for one in expected["rejections"]]
    assert found.skipped == expected["skipped"]


def test_every_file_has_an_expectation_and_is_small() -> None:
    files = {
        path.name: path.stat().st_size for path in FOLDER.glob("*.json*") if path.name != "expected.json"
    }
    assert files.keys() == EXPECTED.keys()
    assert max(files.values()) < 100_000
