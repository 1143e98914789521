"""Makes infra/grafana.json, a dashboard for Grafana, from the panels in infra/workbook.json.

`make schemas` writes the file; a test compares it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parents[2] / "infra"
DASHBOARD = INFRA / "grafana.json"
SOURCE = {"type": "grafana-azure-monitor-datasource", "uid": "${datasource}"}
WIDTH, HEIGHT = 24, 8
"""The columns of Grafana's grid, and the rows of a panel."""
TIME_FILTER, INTERVAL = "$__timeFilter(TimeGenerated)", "$__interval"
"""Macros of Grafana's data source: the chosen time, and the width of an interval that fits the panel."""


def query(workbook: str, kind: str) -> str:
    """The query of a panel with Grafana's macros in place of the workbook's parameters."""
    source, *steps = workbook.replace("{TimeRange:grain}", INTERVAL).split("\n")
    lines = [source, f"| where {TIME_FILTER}", *steps]
    if kind != "table":
        lines.append("| order by TimeGenerated asc")
    return "\n".join(lines)


def panel(item: Mapping[str, Any], number: int, x: int, y: int) -> dict[str, Any]:
    """Returns a panel at a position of the grid."""
    content = item["content"]
    kind = "table" if content["visualization"] == "table" else "timeseries"
    style = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}}
    custom = style if content["visualization"] == "barchart" else {}
    return {
        "id": number,
        "type": kind,
        "title": content["title"],
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH * int(item["customWidth"]) // 100, "h": HEIGHT},
        "fieldConfig": {"defaults": {"custom": custom, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": "A",
                "datasource": SOURCE,
                "queryType": "Azure Log Analytics",
                "azureLogAnalytics": {
                    "query": query(content["query"], kind),
                    "resources": ["$workspace"],
                    "resultFormat": "table" if kind == "table" else "time_series",
                },
            }
        ],
    }


def dashboard(workbook: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the dashboard: a row for each heading, with panels from left to right."""
    panels: list[dict[str, Any]] = []
    x = y = 0
    for item in workbook["items"]:
        text = item["content"].get("json", "")
        if text.startswith("## "):
            y, x = y + (HEIGHT if x else 0), 0
            place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
            title = text.removeprefix("## ")
            panels.append(
                {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []}
            )
            y += 1
        elif item["type"] == 3:
            width = WIDTH * int(item["customWidth"]) // 100
            if x + width > WIDTH:
                x, y = 0, y + HEIGHT
            panels.append(panel(item, len(panels) + 1, x, y))
            x += width
    return {
        "title": "WebSocket log exporter",
        "uid": "apim-websocket-logs",
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "timezone": "utc",
        "time": {"from": "now-4h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": SOURCE["type"]},
                {
                    "name": "workspace",
                    "label": "Resource id of the workspace",
                    "type": "textbox",
                    "query": "",
                },
            ]
        },
        "panels": panels,
    }


def written() -> str:
    """Returns the content of the file."""
    return json.dumps(dashboard(json.loads((INFRA / "workbook.json").read_text())), indent=2) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(written())
