"""The page is small and lets only its own scripts run."""

import re
from datetime import UTC, datetime
from pathlib import Path

from tests.shared.report.test_write import copy, run

__all__ = ["copy"]


def test_a_page_without_data_takes_under_half_a_megabyte(copy: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    assert run(copy, output, "--since", "2031-01-01", "--until", "2031-01-02") == 0
    assert 100_000 < output.stat().st_size < 500_000


def test_a_page_lets_only_its_own_scripts_run(copy: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    assert run(copy, output) == 0
    text = output.read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert re.search(rf"Created on {datetime.now(UTC):%Y-%m-%d} \d\d:\d\d UTC", text)
    assert not re.search(r"<(link|img|iframe|base)\b|\ssrc=", text[: text.index("<script")])
