"""Bodies like those of real senders give the expected rows, rejections and skipped records."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.input.envelope import Envelope
from shared.input.validation import validate
from shared.policies import ExportPolicy
from tests.records import PARTITION

FOLDER = Path(__file__).parents[2] / "fixtures" / "inputs"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_a_body_of_each_kind_gives_its_rows(case: dict[str, Any]) -> None:
    enqueued = int(datetime.fromisoformat(case["enqueued"]).timestamp()) * 1_000_000
    validated = validate(
        PARTITION, [Envelope(0, enqueued, (FOLDER / case["file"]).read_bytes())], ExportPolicy()
    )
    rows = validated.table.to_pylist()
    rejected = sum(sum(each.counts.values()) for each in validated.rejected)
    assert (len(rows), rejected, validated.skipped) == (case["rows"], case["rejected"], case["skipped"])
    assert validated.records == len(rows) + rejected + validated.skipped
    for name, expected in case["where"].items():
        for row in rows:
            value = row[name.removesuffix("~")]
            if name.endswith("~"):
                assert expected in value
            elif isinstance(value, datetime):
                assert value.astimezone(UTC) == datetime.fromisoformat(expected)
            else:
                assert value == expected
