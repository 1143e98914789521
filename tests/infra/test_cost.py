"""What docs/sizing.md says of sizes and costs, computed again."""

import json
import re
from datetime import timedelta

import pytest

from shared.compaction import swaps
from shared.policies import CompactionPolicy
from tests.infra.snapshots import INFRA, ROOT, of_type

PAGE = (ROOT / "docs" / "sizing.md").read_text()
HUB = json.loads((ROOT / "host.json").read_text())["extensions"]["eventHubs"]
DEFAULTS = dict(re.findall(r"^param (\w+) int = (\d+)$", (INFRA / "main.bicep").read_text(), re.MULTILINE))
MONTH = timedelta(hours=730)


def rows(manifest: str) -> list[list[str]]:
    """The cells of the table whose first line begins so."""
    table = PAGE[PAGE.index(f"\n{manifest}") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip(" `*") for cell in line.strip("|").split("|")] for line in table[2:]]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def evaluate(formula: str, values: dict[str, float]) -> float:
    return float(eval(formula, {"__builtins__": {}, "max": max}, values))


GIVEN = {name: number(example) for name, _, example in rows("| | | example |")}
DERIVED = rows("| | | formula | example |")
COSTS = rows("| a month |")
VALUES = dict(GIVEN)
for symbol, _, formula, _ in DERIVED:
    VALUES[symbol] = evaluate(formula, VALUES)


def test_what_follows_from_the_example_follows() -> None:
    assert {name: VALUES[name] for name, *_ in DERIVED} == {name: number(cell) for name, *_, cell in DERIVED}


@pytest.mark.parametrize("row", COSTS[:-1], ids=lambda row: row[0])
def test_a_row_of_the_worked_example_computes(row: list[str]) -> None:
    _, formula, amount, price, cost = row
    each, per = map(number, price.split(" for "))
    value = evaluate(formula, VALUES)
    assert number(amount) == pytest.approx(value, rel=0.01)
    assert number(cost) == round(value * each / per, 2)


def test_the_costs_add_up() -> None:
    *parts, (_, _, _, _, total) = COSTS
    assert number(total) == round(sum(number(row[-1]) for row in parts), 2)


def test_the_example_is_what_the_templates_deploy() -> None:
    for name, parameter in {
        "P": "partitionCount",
        "U": "throughputUnits",
        "D": "parquetRetentionDays",
    }.items():
        assert GIVEN[name] == int(DEFAULTS[parameter])
    assert GIVEN["M"] * 1024 == int(DEFAULTS["instanceMemoryMB"])
    amounts = {row[0]: row[2] for row in COSTS}
    assert int(amounts["log alerts"]) == len(of_type("Microsoft.Insights/scheduledQueryRules"))
    assert int(amounts["metric alerts"]) == len(of_type("Microsoft.Insights/metricAlerts"))


def test_the_formulas_hold_for_the_batches_of_host_json() -> None:
    hours, minutes, seconds = map(int, HUB["maxWaitTime"].split(":"))
    wait = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    (commits,) = (formula for name, _, formula, _ in DERIVED if name == "N")
    assert re.findall(r"\d+", commits)[0] == str(MONTH // wait)
    assert commits.endswith(f"/ {HUB['minEventBatchSize']})")
    assert timedelta(minutes=43800) == MONTH


def test_the_formulas_hold_for_the_runs_of_compaction() -> None:
    assert 'schedule="30 */10 * * * *"' in (ROOT / "function_app.py").read_text()
    runs = MONTH // timedelta(minutes=10)
    day = timedelta(days=1)
    # With the templates' retention of a week: RECORD_MAX_AGE, EVENT_HUB_RETENTION, WS_IDLE_TIMEOUT.
    rules = CompactionPolicy(reach=7 * day + timedelta(hours=int(DEFAULTS["eventRetentionHours"])) + day)
    lists = max(len(list(swaps.days(run * swaps.SLOT, rules))) for run in range(365 * 144, 366 * 144))
    formulas = {row[0]: row[1] for row in COSTS}
    assert f"+ {runs} * {lists} +" in formulas["writes and lists, at most"]
    assert formulas["executions"].endswith(f"+ {runs}")


@pytest.mark.parametrize("row", rows("| records/s at the peak |"), ids=lambda row: row[0])
def test_a_row_of_the_sizing_table_holds_what_the_page_says_of_it(row: list[str]) -> None:
    records, megabytes, units, partitions, memory = row
    least, most = map(int, units.split(" to "))
    assert number(megabytes) == pytest.approx(number(records) * 600 / 1e6)
    assert least >= number(megabytes)
    assert most >= 2 * number(megabytes)
    assert max(2, number(records) / 1000) <= int(partitions) <= 32
    allowed = re.search(
        r"@allowed\(\[\s+([\d\s]+)\]\)\nparam instanceMemoryMB", (INFRA / "main.bicep").read_text()
    )
    assert allowed
    assert memory in allowed[1].split()
