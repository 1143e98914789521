"""Microsoft's parser accepts all KQL of this repository: alerts, workbook and documentation."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.metrics import METRICS, SCOPE
from shared.tables import join_views, views
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.engine_types import engine_type
from shared.tables.registry import TABLES
from shared.tables.table import Table
from tests.documents import blocks
from tests.infra import grafana
from tests.infra.snapshots import INFRA, NAMES, ROOT, log_rules, of_type

HERE = Path(__file__).parent / "kusto"
WORKBOOK: dict[str, Any] = json.loads((INFRA / "workbook.json").read_text())
PANELS = {one["name"]: one["content"] for one in WORKBOOK["items"] if one["type"] == 3}
BY_NAME = {metric.name: metric for metric in METRICS}
ALERTS = {
    f"{scenario}: severity {severity}": query
    for scenario in ("default", "everything")
    for severity, query in log_rules(scenario).items()
}
GRAFANA: dict[str, Any] = json.loads(grafana.DASHBOARD.read_text())
VIEWS = {
    f"newest {table.name}": views.newest_kql(table, table.newest) for table in TABLES.values() if table.newest
}
JOINS = {
    table.join.view: "let since = datetime(2026-11-20);\nlet until = datetime(2026-11-21);\n"
    + join_views.kql_query(table, table.join)
    for table in TABLES.values()
    if table.join
}
FUNCTIONS = "".join(
    f"let {table.join.view} = (since: datetime, until: datetime) {{\n"
    f"{join_views.kql_query(table, table.join)}\n}};\n"
    for table in TABLES.values()
    if table.join
)
PAGES = {
    str(block): (FUNCTIONS if "(datetime(" in block.code else "") + block.code
    for block in blocks("kusto", "kql")
}
QUERIES = {
    **ALERTS,
    # Azure replaces this parameter of the workbook with a time span.
    **{name: panel["query"].replace("{TimeRange:grain}", "1h") for name, panel in PANELS.items()},
    **PAGES,
    **VIEWS,
    **JOINS,
    # Grafana replaces its macros with a condition and a time span.
    **{
        f"grafana: {one['title']}": one["targets"][0]["azureLogAnalytics"]["query"]
        .replace(grafana.TIME_FILTER, "TimeGenerated > ago(1h)")
        .replace(grafana.INTERVAL, "1m")
        for one in GRAFANA["panels"]
        if one["type"] != "row"
    },
}
METRICS_TABLE = {**ALERTS, **{name: panel["query"] for name, panel in PANELS.items()}}

# learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule: not in a rule.
FORBIDDEN = {"bag_unpack", "pivot", "narrow"}
PLATFORM = {"ThrottledRequests", "IncomingBytes", "IncomingMessages"}
"""Of Microsoft.EventHub/namespaces: learn.microsoft.com/azure/event-hubs/monitor-event-hubs-reference."""


def analyze(queries: dict[str, str]) -> dict[str, Any]:
    """Returns each query's `problems`, the `columns` that it returns, and the `functions` that it calls."""
    tables = json.loads((HERE / "tables.json").read_text())
    folder = {"date": "datetime", "hour": "string"}
    externals = {
        table.name: {column.name: engine_type(column).kql for column in table.columns} | folder
        for table in TABLES.values()
    }
    done = subprocess.run(
        ["node", str(HERE / "analyze.cjs")],
        input=json.dumps(
            {
                "tables": tables,
                "externals": externals,
                "queries": queries,
            }
        ),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def analyzed() -> dict[str, Any]:
    return analyze(QUERIES)


def metrics(query: str) -> set[str]:
    return set(re.findall(rf"'({SCOPE}\.[\w.]+)'", query))


def test_the_parser_finds_nothing_wrong_with_any_query(analyzed: dict[str, Any]) -> None:
    assert {name: one["problems"] for name, one in analyzed.items() if one["problems"]} == {}
    assert len(PAGES) >= 3


def test_the_view_of_newest_revisions_has_the_tables_columns(analyzed: dict[str, Any]) -> None:
    columns = analyzed[f"newest {CONNECTIONS.name}"]["columns"]
    assert {*columns} == {"date", "hour", *CONNECTIONS.arrow.names}


@pytest.mark.parametrize(
    "table", [table for table in TABLES.values() if table.join], ids=lambda one: one.name
)
def test_a_joined_view_adds_columns_to_the_other_table(table: Table, analyzed: dict[str, Any]) -> None:
    join = table.join
    assert join
    columns = analyzed[join.view]["columns"]
    assert {*columns} == {"date", "hour", *join.left.arrow.names, join.time_name, *join.columns}
    assert columns[join.time_name] == "datetime"


MISTAKES = {
    "column": ("AppMetrics | where Nme == 'a'", "Nme"),
    "table": ("AppMetric | take 1", "AppMetric"),
    "type": ("AppMetrics | extend a = Sum + Name", "+"),
    "function": ("AppMetrics | extend a = tostrin(Name)", "tostrin"),
    "keyword": ("AppMetrics | extend last = 1 | where last == 1", "last"),
    "parenthesis": ("AppMetrics | where (Sum > 1", ")"),
    "aggregate": ("AppMetrics | summarize a = sum(Name)", "sum"),
}


def test_the_parser_finds_deliberate_mistakes() -> None:
    found = analyze({name: query for name, (query, _) in MISTAKES.items()})
    assert [name for name in MISTAKES if not found[name]["problems"]] == []


@pytest.mark.parametrize("name", ALERTS)
def test_a_rule_returns_its_measure_and_dimensions(name: str, analyzed: dict[str, Any]) -> None:
    assert analyzed[name]["columns"] == {
        "TimeGenerated": "datetime",
        "alert": "string",
        "subject": "string",
        "value": "real",
        "page": "string",
    }
    assert not FORBIDDEN & set(analyzed[name]["functions"])
    assert not re.search(r"\bunion \*|\bsearch\b", ALERTS[name])


@pytest.mark.parametrize("scenario", NAMES)
def test_a_rule_looks_back_further_than_its_query(scenario: str) -> None:
    for one in of_type("Microsoft.Insights/scheduledQueryRules", scenario):
        condition = one.properties["criteria"]["allOf"][0]
        assert [each["name"] for each in condition["dimensions"]] == ["alert", "subject", "page"]
        assert (condition["timeAggregation"], condition["metricMeasureColumn"]) == ("Maximum", "value")
        assert (condition["operator"], condition["threshold"]) == ("GreaterThan", 0)
        assert one.properties["windowSize"] == "PT2H"
        hours = 48 if one.properties["overrideQueryTimeRange"] == "P2D" else 2
        query = condition["query"]
        spans = dict(re.findall(r"let (\w+) = (\d+[mh]);", query))
        for span in re.findall(r"ago\((\w+)\)", query):
            number, unit = re.fullmatch(r"(\d+)([mh])", spans.get(span, span)).groups()  # type: ignore[union-attr]
            assert int(number) * (60 if unit == "h" else 1) <= hours * 60, span
        # Azure Monitor knows tables only after the first data: with validation, the first deployment fails.
        assert one.properties["skipQueryValidation"] is True


@pytest.mark.parametrize("scenario", NAMES)
def test_each_severity_has_exactly_one_rule(scenario: str) -> None:
    assert sorted(log_rules(scenario)) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", METRICS_TABLE)
def test_a_query_names_only_reported_metrics_and_attributes(name: str) -> None:
    query = METRICS_TABLE[name]
    assert metrics(query) <= set(BY_NAME)
    for part in query.split("| extend alert ="):
        named = metrics(part)
        for attribute in re.findall(r"Properties\.(\w+)", part):
            assert all(attribute in BY_NAME[metric].attributes for metric in named), (attribute, named)
        if re.search(r"\b(ItemCount|Min|Max)\b", part):
            assert {BY_NAME[metric].kind for metric in named} == {"histogram"}


def test_every_query_of_the_alerts_is_deployed() -> None:
    deployed = "\n".join(log_rules("default").values())
    for path in (INFRA / "alerts").glob("*.kql"):
        assert path.read_text() in deployed, path.name
        assert f"| extend alert = '{path.stem}'" in deployed


def test_thresholds_can_be_changed_by_parameter() -> None:
    def given(scenario: str) -> dict[str, str]:
        return dict(re.findall(r"let (\w+) = ([\d.]+[mh]?);", log_rules(scenario)[0]))

    default, changed = given("default"), given("everything")
    assert default.keys() == changed.keys()
    assert {name for name in default if default[name] == changed[name]} == set()


def test_the_alerts_of_the_platform_name_its_metrics() -> None:
    alerts = of_type("Microsoft.Insights/metricAlerts", "everything")
    named = {one.properties["criteria"]["allOf"][0]["metricName"]: one for one in alerts}
    assert set(named) == PLATFORM
    # 80 % of the namespace's maximum in five minutes: 240 s of 300.
    thresholds = {name: one.properties["criteria"]["allOf"][0]["threshold"] for name, one in named.items()}
    assert thresholds == {
        "ThrottledRequests": 5,
        "IncomingBytes": 14 * 240 * 1_000_000,
        "IncomingMessages": 14 * 240 * 1_000,
    }


def test_the_workbook_shows_throughput_lag_rejections_and_connections() -> None:
    shown = set().union(*(metrics(panel["query"]) for panel in PANELS.values()))
    assert {f"{SCOPE}.{name}" for name in ("rows", "lag.envelopes", "rejected", "connections.open")} <= shown
    names = [one["name"] for one in WORKBOOK["items"]]
    assert len(names) == len(set(names))


def test_the_workbook_queries_its_workspaces_in_the_chosen_time() -> None:
    for panel in PANELS.values():
        assert panel["timeContextFromParameter"] == "TimeRange"
    for scenario, workspaces in (("default", 1), ("everything", 2)):
        (deployed,) = of_type("Microsoft.Insights/workbooks", scenario)
        made = json.loads(deployed.properties["serializedData"])
        asked = [one["content"]["crossComponentResources"] for one in made["items"] if one["type"] == 3]
        assert {len(one) for one in asked} == {workspaces}
        assert all(id_.startswith("/subscriptions/") for one in asked for id_ in one)
