"""The dashboard for Grafana shows what the workbook shows."""

import json
from itertools import combinations
from typing import Any

from tests.infra import grafana
from tests.infra.test_queries import PANELS

DASHBOARD: dict[str, Any] = json.loads(grafana.DASHBOARD.read_text())
SHOWN = {one["title"]: one for one in DASHBOARD["panels"] if one["type"] != "row"}


def test_the_dashboard_is_generated_from_the_workbook() -> None:
    assert grafana.DASHBOARD.read_text() == grafana.written(), "make schemas"


def test_it_has_every_panel_of_the_workbook() -> None:
    assert {*SHOWN} == {one["title"] for one in PANELS.values()}
    assert len(SHOWN) == len(PANELS)


def test_every_query_uses_the_chosen_workspace_and_time() -> None:
    for one in SHOWN.values():
        (target,) = one["targets"]
        asked = target["azureLogAnalytics"]
        assert asked["resources"] == ["$workspace"]
        assert asked["query"].count(grafana.TIME_FILTER) == 1
        assert "{TimeRange" not in asked["query"]
        if asked["resultFormat"] == "time_series":
            assert asked["query"].endswith("| order by TimeGenerated asc"), "Grafana needs times in order"
            assert f"bin(TimeGenerated, {grafana.INTERVAL})" in asked["query"]
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "workspace"}


def test_panels_do_not_overlap() -> None:
    places = [one["gridPos"] for one in DASHBOARD["panels"]]
    assert all(one["x"] >= 0 and one["x"] + one["w"] <= grafana.WIDTH for one in places)
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (a, b)
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
