"""The structure that the design promises: who imports what, who reads the environment, what a module is."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests import mirror

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]
ALL = [*PROGRAM, *sorted((ROOT / "local").rglob("*.py"))]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in ALL
}
FOUNDATION = {f"shared.{room}" for room in ("tables", "input", "output", "protocol", "azure")}
"""Rooms that know nothing of what is built on them."""
BUILDING = {
    f"shared.{room}"
    for room in (
        *(
            "connections",
            "export",
            "compaction",
            "erasure",
            "audit",
            "report",
            "capture",
            "convert",
            "reconcile",
            "backfill",
            "matching",
            "commands",
        ),
    )
}


def imports(path: Path, *, top_level: bool = False) -> Iterator[str]:
    """What a module imports, as absolute names: modules, and what is taken from them."""
    tree = ast.parse(path.read_text())
    package = path.relative_to(ROOT).parts[:-1]
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def importers(package: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in PROGRAM
        if any(name == package or name.startswith(f"{package}.") for name in imports(path))
    }


@pytest.mark.parametrize(
    ("package", "only"),
    [
        (
            "azure.storage",
            {
                f"shared/azure/{name}.py"
                for name in ("access", "archive", "blob_storage", "blob_calls", "checkpoints")
            },
        ),
        ("azure.functions", {"function_app.py"}),
        ("azure.eventhub", {"shared/azure/event_hub.py"}),
        ("duckdb", {"shared/report/database.py"}),
        ("vl_convert", {"shared/report/page.py"}),
    ],
)
def test_each_azure_service_and_report_package_has_one_importing_module(package: str, only: set[str]) -> None:
    assert importers(package) == only


def test_only_the_command_line_needs_the_report() -> None:
    assert {one for one in importers("shared.report") if "report/" not in one} == {
        "shared/commands/report.py"
    }
    assert "shared.report" not in set(imports(ROOT / "shared/commands/report.py", top_level=True))


def test_the_environment_is_read_in_settings_alone() -> None:
    reading = re.compile(r"os\.environ|os\.getenv|BaseSettings")
    found = {str(path.relative_to(ROOT)) for path in PROGRAM if reading.search(path.read_text())}
    # NO_COLOR is a convention of terminals (https://no-color.org), not a setting of the program.
    # A child process needs to know where programs and libraries are, and gets nothing else.
    assert found == {
        "shared/settings/services.py",
        "shared/commands/console.py",
        "shared/export/isolation.py",
    }


def test_the_program_imports_neither_stand_ins_nor_tests() -> None:
    for path in PROGRAM:
        assert not [
            name for name in imports(path) if name.partition(".")[0] in {"local", "tests", "benchmarks"}
        ]


def purpose(path: Path) -> str:
    """The first line of the docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def test_pure_modules_have_no_clock_no_randomness_and_no_io() -> None:
    impure = {
        *("time", "uuid", "random", "secrets", "logging", "socket", "threading", "os", "pathlib"),
        *("azure", "shared.azure", "shared.clock", "shared.telemetry"),
    }
    pure = {path for path in ALL if re.search(r"\bPure\b", purpose(path))}
    assert len(pure) > 20
    for path in pure:
        found = {name for name in imports(path) for one in impure if f"{name}.".startswith(f"{one}.")}
        assert not found, path


def test_emulators_import_nothing_of_the_program() -> None:
    for name, path in MODULES.items():
        if name.startswith("local.emulators"):
            others = {
                other
                for other in imports(path)
                if other.partition(".")[0] in {"shared", "tests", "benchmarks", "function_app"}
                or (other.startswith("local.") and not other.startswith("local.emulators"))
            }
            assert not others, name


def graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """What each module imports of the others, wherever in it: also for type checkers, also in functions."""
    return {
        name: {
            other for other in imports(path) if other in modules and other not in {name, "shared", "local"}
        }
        for name, path in modules.items()
    }


def folder(module: str) -> str:
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def folders(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between folders; what lies in `shared/` itself is no folder."""
    found: dict[str, set[str]] = {}
    for module, others in edges.items():
        inside = found.setdefault(folder(module), set())
        inside |= {folder(other) for other in others} - {folder(module), "shared", "local"}
    found.pop("shared", None)
    return found


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_files_form_no_cycle() -> None:
    assert circle(graph(MODULES)) == []


def test_folders_form_no_cycle() -> None:
    assert circle(folders(graph(MODULES))) == []


def test_folders_and_their_modules_form_no_cycle() -> None:
    """A module in `shared/` itself counts as a folder, except the entry point of the command line."""
    entry = {"shared", "shared.__main__"}
    arrows: dict[str, set[str]] = {}
    for module, others in graph(MODULES).items():
        if module.startswith("shared.") and module not in entry:
            names = {".".join(other.split(".")[:2]) for other in others - entry}
            name = ".".join(module.split(".")[:2])
            arrows.setdefault(name, set()).update(names - {name})
    assert {"shared.telemetry", "shared.metrics", "shared.protocol"} <= arrows.keys()
    assert circle(arrows) == []


def test_a_cycle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})


def test_the_foundation_imports_nothing_built_on_it() -> None:
    arrows = folders(graph(MODULES))
    assert arrows.keys() >= FOUNDATION | BUILDING
    assert {room: arrows[room] & BUILDING for room in FOUNDATION} == {room: set() for room in FOUNDATION}
    assert arrows["shared.tables"] == set()


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_a_docstring_and_is_not_long(path: Path) -> None:
    text = path.read_text()
    assert purpose(path).rstrip("`").endswith((".", ":")), "expected a sentence as the first line"
    assert len(text.splitlines()) <= 300
    assert path.stem not in {"utils", "helpers", "common", "manager", "misc"}


@pytest.mark.parametrize("module", mirror.MODULES)
def test_each_module_has_its_test_file_or_one_exception(module: str) -> None:
    own = (ROOT / "tests" / mirror.MODULES[module]).exists()
    assert own + mirror.EXCEPTIONS.count(module) == 1, (
        "expected one test file: name it like the module, or list the module once in tests/mirror.py"
    )


def test_exceptions_name_modules_and_test_files_that_exist() -> None:
    assert set(mirror.EXCEPTIONS) <= mirror.MODULES.keys()
    assert not [path for path in mirror.TESTED_IN if not (ROOT / path).exists()]


def test_the_trigger_file_has_no_logic() -> None:
    assert len((ROOT / "function_app.py").read_text().splitlines()) < 110


def test_the_worker_can_index_the_annotation_of_the_events() -> None:
    # A builtin list[...] fails in azure-functions-runtime 1.3.0; ruff's UP006 asks for it.
    assert "events: List[func.EventHubEvent]" in (ROOT / "function_app.py").read_text()


def test_a_start_imports_nothing_heavy_without_need() -> None:
    code = (
        "import sys, shared.export.exporter, shared.azure.blob_storage, shared.__main__;"
        "heavy = ('azure.identity', 'azure.eventhub', 'pandas', 'duckdb', 'vl_convert');"
        "print([one for one in heavy if one in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_formats_of_an_events_time_stay_compiled() -> None:
    code = (
        "import function_app, _strptime;"
        "from azure.functions.meta import _BaseConverter;"
        "_BaseConverter._parse_datetime('2030-01-02T03:04:05.123');"
        "kept = dict(_strptime._regex_cache);"
        "_BaseConverter._parse_datetime('2030-01-02T03:04:05.123');"
        "print(len(kept) > 6 and all(_strptime._regex_cache[one] is kept[one] for one in kept))"
    )
    settings = {
        "EventHubConnection": "Endpoint=sb://localhost/;SharedAccessKeyName=name;SharedAccessKey=a2V5",
        "EVENT_HUB_NAME": "hub",
        "EVENT_HUB_CONSUMER_GROUP": "group",
        "OutputStorage": (
            "DefaultEndpointsProtocol=http;AccountName=name;AccountKey=a2V5;"
            "BlobEndpoint=http://localhost:1/name"
        ),
        "OUTPUT_CONTAINER": "output",
        "STATE_CONTAINER": "state",
    }
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.strip() == "True", run.stderr
