import json
import re
from typing import Any

import pytest

from shared.telemetry import METRICS, SCOPE
from tests.infra.templates import INFRA, ROOT, modules, of_type, template, text, variable

ALERTS = "modules/alerts.bicep"
WORKBOOK: dict[str, Any] = json.loads((INFRA / "workbook.json").read_text())
PANELS = {one["name"]: one["content"] for one in WORKBOOK["items"] if one["type"] == 3}
QUERIES = {
    **{f"alerts/{path.name}": path.read_text() for path in sorted((INFRA / "alerts").glob("*.kql"))},
    **{f"workbook: {name}": panel["query"] for name, panel in PANELS.items()},
}
BY_NAME = {metric.name: metric for metric in METRICS}

# Of the tables that Application Insights writes, the columns that queries may ask for: pages appmetrics,
# apprequests, appexceptions, apptraces of learn.microsoft.com/azure/azure-monitor/reference/tables.
# Of a counter, azure-monitor-opentelemetry-exporter sends as Sum what was added since the last time
# (export/metrics/_exporter.py); of a gauge its value; of a histogram Sum, ItemCount, Min and Max.
COLUMNS = {
    "AppMetrics": {"TimeGenerated", "Name", "Sum", "ItemCount", "Min", "Max", "Properties"},
    "AppRequests": {"TimeGenerated", "Name", "Success"},
    "AppExceptions": {"TimeGenerated", "ExceptionType", "OuterMessage"},
    "AppTraces": {"TimeGenerated", "Message", "SeverityLevel", "AppRoleInstance"},
}

# Of Microsoft.EventHub/namespaces: learn.microsoft.com/azure/event-hubs/monitor-event-hubs-reference.
PLATFORM = {"ThrottledRequests", "IncomingBytes", "IncomingMessages"}


def metrics(query: str) -> set[str]:
    return set(re.findall(rf"'({SCOPE}\.[\w.]+)'", query))


def code(query: str) -> str:
    """Without comments and strings."""
    return re.sub(r"//.*|'[^']*'", "", query)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_only_metrics_that_are_reported(name: str) -> None:
    query = QUERIES[name]
    assert metrics(query) <= set(BY_NAME)
    assert SCOPE not in code(query)
    assert bool(metrics(query)) == ("AppMetrics" in query)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_tells_apart_only_by_what_its_metrics_carry(name: str) -> None:
    attributes = set(re.findall(r"Properties\.(\w+)", QUERIES[name]))
    for metric in metrics(QUERIES[name]):
        assert attributes <= set(BY_NAME[metric].attributes), metric


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_only_columns_that_the_tables_have(name: str) -> None:
    words = set(re.findall(r"\b[A-Z]\w+", code(QUERIES[name]).replace("{TimeRange:grain}", "1h")))
    tables = words & set(COLUMNS)
    assert tables
    assert words - tables <= set().union(*(COLUMNS[table] for table in tables))


@pytest.mark.parametrize("name", QUERIES)
def test_counts_and_extremes_are_asked_of_histograms_alone(name: str) -> None:
    if re.search(r"\b(ItemCount|Min|Max)\b", code(QUERIES[name])):
        assert {BY_NAME[metric].kind for metric in metrics(QUERIES[name])} == {"histogram"}


def test_every_query_of_the_alerts_is_used() -> None:
    used = set(re.findall(r"loadTextContent\('\.\./(alerts/[\w-]+\.kql)'\)", text(ALERTS)))
    assert used == {name for name in QUERIES if name.startswith("alerts/")}


@pytest.mark.parametrize("alert", variable(ALERTS, "logAlerts"), ids=lambda alert: alert["name"])
def test_a_log_alert_measures_columns_that_its_query_returns(alert: dict[str, Any]) -> None:
    query = QUERIES[f"alerts/{alert['name']}.kql"]
    returned = query.rsplit("| project", 1)[1]
    assert "TimeGenerated" in returned
    for column in (alert["column"], alert["dimension"]):
        assert not column or re.search(rf"(?<!\.)\b{column}\b", returned), column
    assert (alert["aggregation"] == "Count") == (not alert["column"])


def test_the_alerts_of_the_platform_name_its_metrics() -> None:
    assert {alert["metric"] for alert in variable(ALERTS, "metricAlerts")} == PLATFORM


def test_every_threshold_has_a_default() -> None:
    used = set(re.findall(r"limits\.(\w+)", text(ALERTS)))
    given = re.search(r"var limits = union\(\{(.*?)\}, thresholds\)", text(ALERTS), re.DOTALL)
    assert given
    assert used == set(re.findall(r"(\w+):", given[1]))


def test_alerts_notify_the_action_groups_and_ask_the_workspace() -> None:
    (logs,) = of_type("Microsoft.Insights/scheduledQueryRules")
    assert logs.properties["actions"] == {"actionGroups": "actionGroupIds"}
    assert logs.properties["scopes"] == ["workspaceId"]
    (platform,) = of_type("Microsoft.Insights/metricAlerts")
    assert platform.properties["actions"]["loop_type"]["detail"]["array_name"] == "actionGroupIds"
    assert platform.properties["scopes"] == ["namespaceId"]


def test_rules_can_be_deployed_before_the_first_metric_has_made_the_tables() -> None:
    (logs,) = of_type("Microsoft.Insights/scheduledQueryRules")
    assert logs.properties["skipQueryValidation"] is True


def test_an_exporter_that_reports_no_lag_is_an_alert_even_if_it_never_did() -> None:
    query = QUERIES["alerts/timer-silent.kql"]
    # A timer that runs, and gets no answer from the hub, reports all but these.
    assert metrics(query) == {"websocketlogs.lag.envelopes"}
    # A table that is not there yet is an error, and an error wakes nobody.
    assert "union isfuzzy=true (datatable(TimeGenerated: datetime, Name: string) []), AppMetrics" in query
    (alert,) = (one for one in variable(ALERTS, "logAlerts") if one["name"] == "timer-silent")
    assert (alert["aggregation"], alert["operator"], alert["threshold"]) == ("Count", "LessThan", 1)


def test_compaction_that_never_succeeds_is_an_alert_even_if_it_never_ran() -> None:
    query = QUERIES["alerts/compaction-silent.kql"]
    # By the name of the function; a run that failed does not count, one that finds nothing to do does.
    assert "def compact_logs(" in (ROOT / "function_app.py").read_text()
    assert "where Name == 'compact_logs' and Success == true" in query
    assert re.search(r"union isfuzzy=true \(datatable\(.*\) \[\]\), AppRequests", query)
    (alert,) = (one for one in variable(ALERTS, "logAlerts") if one["name"] == "compaction-silent")
    assert (alert["aggregation"], alert["operator"], alert["threshold"]) == ("Count", "LessThan", 1)
    # Twelve runs: one that a deployment cut off wakes nobody.
    assert alert["window"] == "PT2H"


def test_the_namespace_is_nearly_full_by_what_it_may_grow_to() -> None:
    units = modules("main.bicep")["alerts"]["params"]["throughputUnits"]["function"]
    assert units["type"] == "max"
    assert set(units["parameters"].values()) == {"throughputUnits", "maximumThroughputUnits"}


def test_every_alert_says_what_to_do_at_3_am() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    alerts = [*variable(ALERTS, "logAlerts"), *variable(ALERTS, "metricAlerts")]
    assert re.findall(r"^### `([\w-]+)`", page, re.MULTILINE) == [alert["name"] for alert in alerts]


def test_the_workbook_shows_throughput_lag_rejections_and_connections() -> None:
    shown = set().union(*(metrics(query) for query in QUERIES.values()))
    assert {f"{SCOPE}.{name}" for name in ("rows", "lag.envelopes", "rejected", "connections.open")} <= shown
    names = [one["name"] for one in WORKBOOK["items"]]
    assert len(names) == len(set(names))


def test_the_workbook_asks_the_workspace_in_the_chosen_time() -> None:
    assert template("modules/workbook.bicep")["resources"]["workbook"]
    assert "'__WORKSPACE_ID__', workspaceId" in text("modules/workbook.bicep")
    assert WORKBOOK["fallbackResourceIds"] == ["__WORKSPACE_ID__"]
    for panel in PANELS.values():
        assert panel["crossComponentResources"] == ["__WORKSPACE_ID__"]
        assert panel["timeContextFromParameter"] == "TimeRange"
