import re
import subprocess
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.infra.snapshots import ROOT, the

TOP = ("function_app.py", "host.json", "requirements.txt")
SHIPPED = {
    *TOP,
    *(str(path.relative_to(ROOT)) for path in (ROOT / "shared").rglob("*") if path.suffix in {".py", ".sql"}),
}
COMPILED = "shared/__pycache__/plan.cpython-313.pyc"
LEFT = {
    "README.md",
    "azure.yaml",
    "requirements.in",
    "requirements-report.txt",
    "local.settings.json",
    COMPILED,
    *(
        f"{folder}/one.py"
        for folder in (
            *("tests", "local", "benchmarks", "infra", "docs", ".git", ".github", ".azure"),
            *(".venv", ".venv/lib/shared", "node_modules", "tests/shared"),
        )
    ),
}
LINES = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line and line[0] != "#"]


def test_only_files_that_run_are_shipped(tmp_path: Path) -> None:
    """Reads the file like VS Code."""
    for name in SHIPPED | {name for name in LEFT if not name.startswith(".git/")}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_text("\n".join(LINES))
    git = ("git", "-c", "core.excludesFile=/dev/null", "-C", str(tmp_path))
    subprocess.run([*git, "init", "--quiet"], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    assert set(listed.stdout.split()) == SHIPPED


def azd_ignores(path: str, *, folder: bool) -> bool:
    """Reads the file like github.com/denormal/go-gitignore, which azd uses: the last match decides.

    A pattern without a slash must match the whole path, and its `*` matches slashes.
    """
    for line in reversed(LINES):
        pattern = line.removeprefix("!").removesuffix("/")
        if line.endswith("/") and not folder:
            continue
        if pattern.endswith("/**"):
            matches = f"/{path}/".startswith(pattern.removesuffix("**"))
        else:
            assert "/" not in pattern[1:], "not seen yet: read the library"
            whole = path if pattern.startswith("/") else path.rsplit("/", 1)[-1]
            matches = fnmatchcase(whole, pattern.removeprefix("/"))
        if matches:
            return not line.startswith("!")
    return False


def azd_ships(path: str) -> bool:
    """It matches each folder of the path, then the file (cli/azd/pkg/project/project_utils.go)."""
    folders = [parent.as_posix() for parent in Path(path).parents][-2::-1]
    return not any(azd_ignores(one, folder=True) for one in folders) and not azd_ignores(path, folder=False)


def core_tools_ship(path: str) -> bool:
    """Reads the file like `func azure functionapp publish`: exceptions win (Common/GitIgnoreParser.cs)."""

    def named(lines: list[str]) -> bool:
        patterns = (re.escape(line.removeprefix("/")).replace(r"\*\*", ".+") for line in lines)
        return bool(
            re.match("|".join(rf"(?:{one.replace(r'\*', '[^/]+')})\b" for one in patterns), path, re.ASCII)
        )

    return named([line[1:] for line in LINES if line[0] == "!"]) or not named(
        [line for line in LINES if line[0] != "!"]
    )


@pytest.mark.parametrize("ships", [azd_ships, core_tools_ship])
def test_deployment_tools_ship_only_files_that_run(ships: Callable[[str], bool]) -> None:
    # For Core Tools, exceptions win over everything, so they also ship compiled Python, which is harmless.
    left = LEFT - {COMPILED} if ships is core_tools_ship else LEFT
    assert [name for name in sorted(SHIPPED) if not ships(name)] == []
    assert [name for name in sorted(left) if ships(name)] == []


def test_azd_finds_the_app_by_its_tag() -> None:
    manifest = (ROOT / "azure.yaml").read_text()
    (service,) = re.findall(r"^services:\n  ([\w-]+):", manifest, re.MULTILINE)
    assert the("Microsoft.Web/sites").body["tags"]["azd-service-name"] == service
    assert "host: function" in manifest
    assert "language: python" in manifest


@pytest.mark.parametrize("file", [".github/workflows/ci.yml", ".devcontainer/devcontainer.json"])
def test_ci_and_hooks_call_only_make(file: str) -> None:
    source = (ROOT / file).read_text()
    commands = re.findall(r'- run: (.*)|"post\w+Command": "(.*)"', source)
    targets = set(re.findall(r"^([\w-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert commands
    for command in ("".join(one) for one in commands):
        assert re.fullmatch(r"make (\S+)", command)
        assert command.removeprefix("make ") in targets
    assert "Not exercised" in source
