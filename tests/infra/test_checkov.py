import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.templates import FILES, INFRA, ROOT, template, text

CHECKOV = ROOT / ".venv-checkov" / "bin"

# Parameters and resources that its checks looked at. A drop without a cause: something is passed over.
SEEN = 85

# The parser of checkov is older than ours, and a file it cannot read is left out without a word.
PARSE = """
import json, sys
from pathlib import Path
from checkov.bicep.parser import Parser
definitions, _, errors = Parser().get_files_definitions([Path(one) for one in sys.argv[1:]])
print(json.dumps({
    "errors": errors,
    "resources": {str(path): sorted(one.get("resources", {})) for path, one in definitions.items()},
}))
"""


def run(*command: str | Path) -> Any:
    assert CHECKOV.exists(), "make .venv-checkov/ready"
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=600)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_checkov_reads_every_resource_of_every_file() -> None:
    parsed = run(CHECKOV / "python", "-c", PARSE, *(INFRA / file for file in FILES))
    assert parsed["errors"] == []
    names = {
        Path(path).relative_to(INFRA).as_posix(): {*found} - {"__start_line__", "__end_line__"}
        for path, found in parsed["resources"].items()
    }
    assert names == {file: set(template(file).get("resources", {})) for file in FILES}


def test_checkov_finds_nothing() -> None:
    report = run(
        *(CHECKOV / "checkov", "--directory", INFRA, "--framework", "bicep"),
        *("--skip-download", "--quiet", "--compact", "--output", "json"),
    )
    failed = [f"{one['check_id']} {one['resource']}" for one in report["results"]["failed_checks"]]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] == SEEN
    assert report["summary"]["skipped"] == sum(len(skips(file)) for file in FILES)


@pytest.mark.parametrize("file", FILES)
def test_every_check_that_is_skipped_says_why(file: str) -> None:
    for check, reason in skips(file):
        assert len(reason.split()) > 3, check


def skips(file: str) -> list[tuple[str, str]]:
    return re.findall(r"// checkov:skip=(\w+):? ?(.*)", text(file))
