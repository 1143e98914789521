"""No content of a record reaches a log line, or a metric's name or attributes."""

import json
import subprocess
import sys
from pathlib import Path

from shared import metrics

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = ROOT / "tests" / "fixtures" / "hostile"
BODIES = ("ids_like_paths.json", "text_for_logs.json", "rejected_text_for_logs.json", "all_bytes.bin")
VALUES = (
    "../",
    "..\\",
    "jndi",
    "%s%n",
    "[31m",
    "u2028",
    "u202e",
    "%2e",
    "date=2026-01-01",
    "commit {}",
    "xxxx",
)


def test_log_lines_and_metrics_hold_no_content_of_records() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.fuzz.logged", *(str(HOSTILE / name) for name in BODIES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, exported = run.stdout.splitlines()
    assert any("shared.export:commit {" in line for line in lines)
    for line in (*lines, exported, *run.stderr.splitlines()):
        assert line.isascii()
        assert line.isprintable()
        assert not [value for value in VALUES if value in line.replace("export:commit {", "")]
    found = {
        metric["name"]: point["attributes"]
        for resource in json.loads(exported)["resource_metrics"]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
        for point in metric["data"]["data_points"]
    }
    assert found.keys() <= {one.name for one in metrics.METRICS}
    assert "websocketlogs.rejected" in found
    assert {key for attributes in found.values() for key in attributes} <= metrics.ATTRIBUTES.keys()
