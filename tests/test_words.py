"""Retired words stay out of names: one word for one thing, as docs/design.md defines it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import __main__, metrics
from shared.settings import Settings
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS

ROOT = Path(__file__).resolve().parents[1]
RETIRED = {
    **dict.fromkeys(("source", "sources"), "partition"),
    **dict.fromkeys(("head", "master"), "manifest, state table"),
    **dict.fromkeys(("absorb", "absorbed", "absorbing"), "merge"),
    **dict.fromkeys(("heal", "healed", "mend", "mending", "recover", "recovered", "recoveries"), "repair"),
    **dict.fromkeys(("adopt", "adopting", "adopted"), "accept"),
    **dict.fromkeys(("unfolding", "provenance"), "compacted files, replaced files"),
    "refused": "conflict, PreconditionFailed",
    **dict.fromkeys(("losing", "trimming", "reborn"), "with_lost, without_merged, with_new_incarnation"),
    **dict.fromkeys(("harmless", "mischief"), "allowlist, fault injector"),
    **dict.fromkeys(("told", "said"), "describe, metadata"),
    **dict.fromkeys(("bring", "brought"), "fetch"),
    **dict.fromkeys(("ripe", "vouched"), "mergeable, matches_record"),
    **dict.fromkeys(("standing", "standings"), "state of a partition"),
}
"""The word, and what to say instead."""
MOST_WORDS = 10
ALLOWED = {"Source", "SourceSystem", "DurationSource"}
"""Columns: the first two are Azure's own, and say where an event or a duration comes from."""
ALLOWED_IN = {name: {"source"} for name in ("shared/commands/cost_model.py", "shared/commands/documents.py")}
"""Where the word means another thing: the page that a figure is from."""
CODE = [
    path
    for folder in (
        "shared",
        "local/traffic",
        "local/demo",
        "local/emulators/functions_host",
        "tests/campaigns",
    )
    for path in sorted((ROOT / folder).rglob("*.py"))
] + [ROOT / "function_app.py", ROOT / "local/stack.py"]
TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
).stdout.splitlines()


def words(name: str) -> list[str]:
    """`absorbedAge`, `absorbed_age` and `absorbed.age` are the words `absorbed` and `age`."""
    return re.findall(r"[a-z]+", re.sub(r"([A-Z]+)", r" \1", name).lower())


def retired(names: set[str]) -> set[str]:
    return {name for name in names - ALLOWED if set(words(name)) & RETIRED.keys()}


def defined(path: Path) -> Iterator[str]:
    """Every name that the module defines: modules, classes, functions, parameters, variables and fields."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_identifiers_use_no_retired_word(path: Path) -> None:
    allowed = ALLOWED_IN.get(str(path.relative_to(ROOT)), set())
    assert retired(set(defined(path))) - allowed == set()


def test_files_use_no_retired_word() -> None:
    names = {name for name in TRACKED if not name.startswith("tests/fixtures/")}
    assert {name for name in names if retired({Path(name).stem})} == set()


def test_metrics_columns_settings_and_commands_use_no_retired_word() -> None:
    names = {
        *(metric.name for metric in metrics.METRICS),
        *metrics.ATTRIBUTES,
        *(column.name for table in (RECORDS, CONNECTIONS) for column in table.columns),
        *Settings.model_fields,
        *__main__.COMMANDS,
    }
    assert retired(names) == set()


def test_state_blobs_and_folders_use_no_retired_word() -> None:
    blob = re.compile(r'"(_?[a-z][a-z_-]*(?:/|\.json|\.arrow))')
    names = {match for path in CODE if "shared" in path.parts for match in blob.findall(path.read_text())}
    assert {"ledgers/", "manifest.json", "compaction.json", "state-table/"} <= names
    assert retired(names) == set()


def test_test_names_have_at_most_10_words() -> None:
    files = [ROOT / name for name in TRACKED if re.fullmatch(r"tests/.*test_[^/]*\.py", name)]
    names = {name for file in files for name in re.findall(r"\bdef (test_\w+)", file.read_text())}
    assert len(names) > 1000
    assert {name for name in names if len(name.split("_")) - 1 > MOST_WORDS} == set()
