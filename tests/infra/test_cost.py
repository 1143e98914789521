"""The sizes and costs in docs/sizing.md are those that the calculator computes for the deployment."""

import json
import re
from datetime import timedelta

import pytest

from shared import __main__
from shared.commands import cost_model
from shared.commands.cost import read
from shared.commands.cost_model import DERIVED, LINES, Workload
from shared.compaction import grouping
from shared.metrics import METRICS
from shared.policies import CompactionPolicy
from tests.infra.bicep import template
from tests.infra.snapshots import ROOT, of_type, the

PAGE = (ROOT / "docs" / "sizing.md").read_text()
PRICES_FILE = ROOT / "shared" / "commands" / "prices.json"
HUB = json.loads((ROOT / "host.json").read_text())["extensions"]["eventHubs"]
DEPLOYED_HUB = the("Microsoft.EventHub/namespaces/eventhubs").properties
MONTH = timedelta(hours=730)
PRICES = read(None)
EXAMPLE = Workload()
CASES = {
    "no traffic": Workload(R=0, P=2),
    "1 record/s": Workload(R=86_400, P=2),
    "100 records/s": Workload(R=8_640_000),
    "the example": EXAMPLE,
    "1,000 records/s": Workload(R=86_400_000, U=2, s=0.1),
}


def rows(head: str) -> list[list[str]]:
    """Returns the cells of the table whose first line begins with this text."""
    table = PAGE[PAGE.index(f"\n{head}") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip(" `*") for cell in line.strip("|").split("|")] for line in table[2:]]


def number(cell: str) -> float:
    return float(cell.replace(",", ""))


def amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == round(value) else f"{value:,.2f}"


def test_the_page_shows_the_inputs() -> None:
    expected = [
        f"| `{name}` | {one.metadata['meaning']} | {one.default:,} |"
        for name, one in Workload.__dataclass_fields__.items()
    ]
    assert "\n".join(expected) in PAGE, "\n".join(expected)


def test_the_page_shows_the_derived_values() -> None:
    values = cost_model.values(EXAMPLE)
    expected = [
        f"| `{name}` | {meaning} | `{formula}` | {amount(values[name])} |"
        for name, (meaning, formula) in DERIVED.items()
    ]
    assert "\n".join(expected) in PAGE, "\n".join(expected)


def test_the_page_shows_the_lines_as_the_calculator_computes_them() -> None:
    expected = [
        f"| {line.name} | `{line.formula}` | {amount(line.amount)} | {line.price.label} | {line.cost:.2f} |"
        for line in cost_model.lines(EXAMPLE, PRICES)
    ]
    expected.append(f"| **all** | | | | **{cost_model.total(EXAMPLE, PRICES):.2f}** |")
    assert "\n".join(expected) in PAGE, "\n".join(expected)


def test_the_page_states_costs_for_small_and_large_users() -> None:
    expected = []
    for name, load in CASES.items():
        costs = [cost_model.total(load, PRICES), *cost_model.others(load, PRICES).values()]
        expected.append(f"| {name} | {' | '.join(f'{cost:,.0f}' for cost in costs)} |")
    assert "\n".join(expected) in PAGE, "\n".join(expected)


def test_without_traffic_nothing_is_charged_by_the_commit() -> None:
    values = cost_model.values(Workload(R=0))
    assert values["N"] == values["E"] == values["F"] == 0


@pytest.mark.parametrize("records", [1, 86_400, 10_000_000, 10_000_000_000])
def test_commits_never_exceed_events(records: float) -> None:
    values = cost_model.values(Workload(R=records))
    assert 0 < values["N"] <= values["E"]


def test_every_price_has_a_source() -> None:
    file = json.loads(PRICES_FILE.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", file["checked"])
    for price in file["prices"].values():
        assert "https://" in price["source"]
    assert {price for _, price in LINES.values()} <= set(file["prices"])


def test_the_example_matches_the_templates() -> None:
    assert DEPLOYED_HUB["partitionCount"] == EXAMPLE.P
    assert the("Microsoft.EventHub/namespaces").body["sku"]["capacity"] == EXAMPLE.U
    (rules,) = of_type("Microsoft.Storage/storageAccounts/managementPolicies")
    parquet = rules.properties["policy"]["rules"][0]["definition"]
    assert parquet["filters"]["prefixMatch"] == ["websocket-logs/parquet/"]
    assert parquet["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"] == EXAMPLE.D
    app = the("Microsoft.Web/sites").properties["functionAppConfig"]
    assert app["scaleAndConcurrency"]["instanceMemoryMB"] == EXAMPLE.M * 1024
    assert int(LINES["log alert rules"][0]) == len(of_type("Microsoft.Insights/scheduledQueryRules"))
    assert int(LINES["metric alerts"][0]) == len(of_type("Microsoft.Insights/metricAlerts"))


def test_the_formulas_count_the_existing_metrics() -> None:
    of_a_partition = [one for one in METRICS if "partition" in one.attributes]
    gauges = [one for one in of_a_partition if one.kind == "gauge" and one.name != "websocketlogs.gaps"]
    formula = LINES["telemetry of the app, GB"][0]
    assert f"({len(gauges)} * P + " in formula
    # A commit reports fewer, because conflicts and similar events are rare.
    assert len(of_a_partition) - len(gauges) <= 26
    assert "* 20 " in formula


def test_the_formulas_hold_for_the_batches_of_host_json() -> None:
    hours, minutes, seconds = map(int, HUB["maxWaitTime"].split(":"))
    wait = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    commits = DERIVED["N"][1]
    assert f"{MONTH // wait} * P" in commits
    assert f"E / {HUB['minEventBatchSize']}" in commits
    assert timedelta(minutes=43800) == MONTH


def test_the_formulas_hold_for_the_runs_of_compaction() -> None:
    assert 'schedule="30 */10 * * * *"' in (ROOT / "function_app.py").read_text()
    runs = MONTH // timedelta(minutes=10)
    day = timedelta(days=1)
    hours = DEPLOYED_HUB["retentionDescription"]["retentionTimeInHours"]
    # With the templates' retention of a week: RECORD_MAX_AGE, EVENT_HUB_RETENTION, WS_IDLE_TIMEOUT.
    policy = CompactionPolicy(reach=7 * day + timedelta(hours=hours) + day)
    lists = max(len(list(grouping.days(run * grouping.SLOT, policy))) for run in range(365 * 144, 366 * 144))
    assert f"+ {runs} * {lists} +" in LINES["writes and lists, at most"][0]
    assert LINES["executions"][0].endswith(f"+ {runs}")


@pytest.mark.parametrize("row", rows("| peak records/s |"), ids=lambda row: row[0])
def test_a_row_of_the_sizing_table_is_correct(row: list[str]) -> None:
    records, megabytes, units, partitions, memory = row
    least, most = map(int, units.split(" to "))
    assert number(megabytes) == pytest.approx(number(records) * 600 / 1e6)
    assert least >= number(megabytes)
    assert most >= 2 * number(megabytes)
    assert max(2, number(records) / 1000) <= int(partitions) <= 32
    assert int(memory) in {2048, 4096}


def test_the_template_allows_the_listed_instance_sizes() -> None:
    assert template()["parameters"]["instanceMemoryMB"]["allowedValues"] == [512, 2048, 4096]


def test_the_command_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["cost", "--records-per-day", "86400", "--partitions", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["total"] == cost_model.total(CASES["1 record/s"], PRICES)
    assert __main__.main(["cost"]) == 0
    said = capsys.readouterr().out
    for name in LINES:
        assert name in said
    assert f"{cost_model.total(EXAMPLE, PRICES):,.2f}" in said


def test_own_prices_are_accepted_and_a_wrong_file_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("prices") / "mine.json"
    doubled = json.loads(PRICES_FILE.read_text())
    for price in doubled["prices"].values():
        price["price"] *= 2
    file.write_text(json.dumps(doubled))
    assert __main__.main(["cost", "--prices", str(file), "--json"]) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    assert total == pytest.approx(2 * cost_model.total(EXAMPLE, PRICES), abs=0.1)
    file.write_text('{"prices": {}}')
    assert __main__.main(["cost", "--prices", str(file)]) == 2
    assert "no price for" in capsys.readouterr().err
