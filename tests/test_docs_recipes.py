"""The recipes in CONTRIBUTING.md name files and names that exist, and every module concerned."""

import re
from collections.abc import Iterator

import pytest

from tests.documents import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = {
    title: re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| \S", section, re.MULTILINE)
    for title, section in re.findall(r"^### (Add a \w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
CONCERNED = {
    "Add a category": re.compile(r"\bCATEGORY\b|\"WebSocketConnectionLogs\""),
    "Add a format": re.compile(r"[=!]= [\"'](?:parquet|json)[\"']|\belse json_lines\b"),
}
"""What a module of the program has that a recipe must name."""


def steps() -> Iterator[tuple[str, str, str]]:
    for title, files in RECIPES.items():
        for file, name in files:
            yield title, file, name


def test_each_common_change_has_a_recipe() -> None:
    assert set(RECIPES) == {"Add a column", "Add a category", "Add a format", "Add a setting"}
    for title, section in re.findall(r"^### (Add a \w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL):
        rows = re.findall(r"^\| (?!file|---)", section, re.MULTILINE)
        assert len(rows) == len(RECIPES[title]) > 1


@pytest.mark.parametrize(("title", "file", "name"), list(steps()))
def test_each_file_of_a_recipe_has_its_name(title: str, file: str, name: str) -> None:
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", (ROOT / file).read_text())
    assert found, f"{title}: {name} is not in {file}"


@pytest.mark.parametrize("title", CONCERNED)
def test_recipes_list_every_module(title: str) -> None:
    concerned = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "shared").rglob("*.py")
        if CONCERNED[title].search(path.read_text())
    }
    assert concerned <= {file for file, _ in RECIPES[title]}, f"{title} in CONTRIBUTING.md"
