"""The cost of a billion records, as docs/sizing.md states it, follows from the formulas and prices there."""

import re
from pathlib import Path

from shared.commands.cost import read

DOCS = Path(__file__).resolve().parents[1] / "docs"
PRICES = read(None)
CASES = ((50, 5_000), (20, 860))
MEMORY_GB, FILES, BYTES, CALL = 2, 1, 90, 0.05


def costs(r: int, b: int) -> dict[str, float]:
    commits = 1e9 / b
    execution = MEMORY_GB * PRICES["execution"].price
    parts = {
        "execution time, at most": commits * 1 * execution,
        "executions": commits * PRICES["executions"].price / 1e6,
        "writes and lists, at most": commits * (2 * FILES + 4) * PRICES["write"].price / 1e4,
        "ingress": 1e9 / r * PRICES["ingress"].price / 1e6,
        "stored, a month": 1e9 * BYTES / 1e9 * PRICES["stored"].price,
        "telemetry of invocations": commits * 4e3 / 1e9 * PRICES["logs"].price,
        "compaction, its execution time": (13_000 + commits * 2 * CALL / 8)
        * MEMORY_GB
        * PRICES["execution"].price,
    }
    return parts | {"together, USD": sum(parts.values())}


def test_the_table_for_a_billion_records_follows_its_formulas() -> None:
    page = (DOCS / "sizing.md").read_text().partition("## A billion records")[2]
    cells = ([cell.strip(" *") for cell in line.split("|")] for line in page.splitlines() if "|" in line)
    rows = {name: values for _, name, _, *values, _ in cells}
    for column, case in enumerate(CASES):
        for name, cost in costs(*case).items():
            assert abs(float(rows[name][column]) - cost) < 0.011, (name, case, cost)


def test_seconds_of_workers_follow_the_formula() -> None:
    page = (DOCS / "performance.md").read_text()
    found = re.search(r"S = 1e9 . \((\S+) \+ (\S+) / r\) \+ \(1e9 / b\) . (\S+)", page)
    assert found
    record, envelope, commit = map(float, found.groups())
    stated = re.search(
        r"CPU seconds of workers .*\| ([\d,]+) \| ([\d,]+) \|", (DOCS / "sizing.md").read_text()
    )
    assert stated
    for text, (r, b) in zip(stated.groups(), CASES, strict=True):
        seconds = 1e9 * (record + envelope / r) + 1e9 / b * commit
        assert round(seconds) == int(text.replace(",", ""))
