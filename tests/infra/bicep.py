"""Finds and runs Microsoft's Bicep compiler: in BICEP, in PATH, or where `az bicep install` puts it.

With BICEP_REQUIRED=1, tests fail without it.
"""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.infra.snapshots import INFRA

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


@cache
def compiler() -> Path | None:
    """Returns the compiler, if there is one."""
    installed = Path.home() / ".azure" / "bin" / "bicep"  # by `az bicep install`
    for place in (os.environ.get("BICEP"), shutil.which("bicep"), installed):
        if place and Path(place).is_file():
            return Path(place).resolve()
    return None


def bicep(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the compiler; skips the test if there is none."""
    program = compiler()
    if program is None:
        assert not os.environ.get("BICEP_REQUIRED"), "no Bicep compiler in BICEP, PATH or ~/.azure/bin"
        pytest.skip("THE TEMPLATES ARE NOT CHECKED: no Bicep compiler in BICEP, PATH or ~/.azure/bin")
    # Without ICU, and with a folder to unpack into, because the home folder may be read-only.
    settings = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
    if not os.access(Path.home(), os.W_OK):
        settings["DOTNET_BUNDLE_EXTRACT_BASE_DIR"] = "/tmp/dotnet"
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | settings,
        timeout=300,
    )


@cache
def template() -> dict[str, Any]:
    """The compiled main.bicep; skips the test without a compiler."""
    done = bicep("build", INFRA / "main.bicep", "--stdout")
    assert (done.returncode, done.stderr) == (0, "")
    made: dict[str, Any] = json.loads(done.stdout)
    return made
