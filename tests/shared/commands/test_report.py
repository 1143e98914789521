"""`report` overwrites no other file, and rejects wrong ranges."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared.commands.running import ROOT
from tests.shared.report.test_write import copy, run

__all__ = ["copy"]


def test_an_existing_file_is_kept_without_force(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report.html"
    output.write_text("mine")
    assert run(copy, output) == 2
    assert "with --output, or overwrite it with --force" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert run(copy, output, "--force") == 0
    assert output.read_text().startswith("<!doctype html>")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy", "report.html"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--until", "2026-10-01"), "--since must be before --until"),
        (("--folder", "nowhere"), "nowhere is not a folder"),
        (("--output", "nowhere/report.html"), "the folder nowhere does not exist"),
    ],
)
def test_each_problem_is_a_one_line_error(
    copy: Path, tmp_path: Path, more: tuple[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(copy, tmp_path / "report.html", *more) == 2
    assert says in capsys.readouterr().err


def test_missing_packages_are_named_with_the_command_to_install() -> None:
    code = (
        "import sys; sys.modules['duckdb'] = None; sys.modules['vl_convert'] = None\n"
        "from shared import __main__; sys.exit(__main__.main(['report']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: duckdb and vl_convert not found: pip install -r requirements-report.txt, "
        "or install '.[report]'\n"
    )
