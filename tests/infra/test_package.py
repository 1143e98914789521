import re
import subprocess
from pathlib import Path

import pytest

from tests.infra.templates import ROOT, modules, strings

SHIPPED = {"function_app.py", "host.json", "requirements.txt", "shared/plan.py", "shared/views/one.sql"}
LEFT = {
    "README.md",
    "azure.yaml",
    "requirements-report.txt",
    ".funcignore",
    "local.settings.json",
    "shared/__pycache__/plan.pyc",
    *(
        f"{folder}/one.py"
        for folder in ("tests", "local", "benchmarks", "infra", "docs", ".venv", "node_modules")
    ),
}


def test_only_what_runs_is_shipped(tmp_path: Path) -> None:
    for name in SHIPPED | LEFT:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    # The file has the syntax of .gitignore, so git says what it means.
    (tmp_path / ".gitignore").write_text((ROOT / ".funcignore").read_text())
    git = ("git", "-c", "core.excludesFile=/dev/null", "-C", str(tmp_path))
    subprocess.run([*git, "init", "--quiet"], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    assert set(listed.stdout.split()) == SHIPPED


def test_azd_finds_the_app_by_its_tag() -> None:
    manifest = (ROOT / "azure.yaml").read_text()
    (service,) = re.findall(r"^services:\n  ([\w-]+):", manifest, re.MULTILINE)
    assert service in set(strings(modules("main.bicep")["app"]["params"]["tags"]))
    assert "host: function" in manifest
    assert "language: python" in manifest


@pytest.mark.parametrize("file", [".github/workflows/ci.yml", ".devcontainer/devcontainer.json"])
def test_surroundings_call_make_and_nothing_else(file: str) -> None:
    source = (ROOT / file).read_text()
    commands = re.findall(r'- run: (.*)|"post\w+Command": "(.*)"', source)
    targets = set(re.findall(r"^([\w-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert commands
    for command in ("".join(one) for one in commands):
        assert re.fullmatch(r"make (\S+)", command)
        assert command.removeprefix("make ") in targets
    assert "Not exercised" in source
