"""The requirements: short lists that people edit, and the locks that `make lock` makes of them."""

import re
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
RUNTIME, REPORT, DEV, CHECKOV, MUTANTS, DUCKDB, SPARK = (
    "requirements",
    "requirements-report",
    "requirements-dev",
    "requirements-checkov",
    "requirements-mutants",
    "requirements-duckdb",
    "requirements-spark",
)


def required(name: str) -> list[str]:
    """The packages that a short list names itself."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / f"{name}.in").read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def lock(name: str) -> dict[str, str]:
    """Package to version, marker and hashes, as the lock has them."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / f"{name}.txt").read_text(), flags=re.MULTILINE)
    found = dict(re.findall(r"^([a-z0-9-]+)==((?:[^\n]* \\\n)*[^\n]*)\n", text, re.MULTILINE))
    assert sum(not line.startswith(" ") for line in text.splitlines()) == len(found), "a line of another kind"
    return found


def here(entry: str) -> str | None:
    """The version that this machine installs of an entry of a lock, if any."""
    version, _, marker = entry.split(" \\", maxsplit=1)[0].partition(" ; ")
    return version if not marker or Marker(marker).evaluate() else None


def needed(names: set[str]) -> set[str]:
    """These packages and all that they need on this machine, as their metadata says."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(name), "") for name in names]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for requirement in map(Requirement, requires(name) or ()):
            if not requirement.marker or requirement.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(requirement.name), one) for one in ("", *requirement.extras)]
    return {name for name, _ in found}


@pytest.mark.parametrize("name", [RUNTIME, REPORT, DEV, CHECKOV, MUTANTS, DUCKDB, SPARK])
def test_lists_name_one_version_and_locks_follow(name: str) -> None:
    entries = lock(name)
    for line in required(name):
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line
        package, version = line.split("==")
        assert here(entries[package]) == version, "make lock"


@pytest.mark.parametrize("name", [RUNTIME, REPORT, DEV, CHECKOV, MUTANTS, DUCKDB, SPARK])
def test_every_package_of_a_lock_has_hashes_and_no_address(name: str) -> None:
    for package, entry in lock(name).items():
        assert "--hash=sha256:" in entry, package
    assert "://" not in (ROOT / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", [RUNTIME, DEV])
def test_every_version_is_pinned(name: str) -> None:
    names = [line.split("==")[0] for line in required(name)]
    if name == DEV:
        names += [line.split("==")[0] for part in (RUNTIME, REPORT) for line in required(part)]
    assert needed(set(names)) == {package for package, entry in lock(name).items() if here(entry)}


def test_azure_gets_the_tested_versions() -> None:
    everything = lock(DEV)
    for package, entry in lock(RUNTIME).items():
        version = here(entry)
        assert version == distribution(package).version
        assert here(everything[package]) == version
        hashes = set(re.findall(r"sha256:\w+", entry))
        assert hashes == set(re.findall(r"sha256:\w+", everything[package]))


def test_the_worker_library_supports_the_retry_policy() -> None:
    # 1.0.0 and 1.1.0 crash on it (azure-functions-python-worker#1823), and an app that names none gets the
    # platform's default.
    (version,) = (line.split("==")[1] for line in required(RUNTIME) if "azure-functions-runtime" in line)
    assert tuple(map(int, version.split("."))) >= (1, 1, 1)


def test_the_documentation_says_what_every_requirement_is_for() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    parts = re.split("^## ", text, flags=re.MULTILINE)[1:]
    for name, part in zip((RUNTIME, REPORT, DEV), parts, strict=True):
        assert part.startswith(f"{name}.in:")
        documented = re.findall(r"^\| ([a-z][a-z0-9-]+) \| .+ \|$", part, re.MULTILINE)
        named = (line.partition("==")[0] for line in required(name))
        assert sorted(documented) == sorted(["package", *named])
