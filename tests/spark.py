"""Runs a script in Spark; tests that need it are skipped where its environment or Java is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.documents import ROOT

PYTHON = ROOT / ".venv-spark" / "bin" / "python"
needs_spark = pytest.mark.skipif(
    not PYTHON.exists() or not shutil.which("java"), reason="needs Java and `make .venv-spark/ready`"
)


def run(script: str, *arguments: Path) -> str:
    """Returns what the script prints. It runs in the repository and can import `shared.tables`."""
    done = subprocess.run(
        [PYTHON, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
