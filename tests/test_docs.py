"""The pages hold together: links lead somewhere, and every command is run by a test or said not to be."""

import re
import subprocess
from pathlib import Path

import pytest

from shared import __main__
from tests import documents
from tests.documents import MARK, PAGES, ROOT, Block, blocks

PROGRAMS = r"(python|pip|npx|npm|make|azd?|func|duckdb|git|curl|docker|export|sudo|cd) "
RUN = {
    "sh": "tests/shared/commands/test_main.py",
    "python": "tests/e2e/test_readers.py",
    "sql": "tests/e2e/test_readers.py",
}
"""Where blocks in a language are run, all those that are not marked."""
ELSEWHERE = {
    "python -m shared ": RUN["sh"],
    ".venv/bin/python -m local.emulators.event_hubs ": "tests/local/emulators/event_hubs/test_documented.py",
}
"""Where commands that begin so are run."""
ALIKE = {"make format": "make check"}
"""What changes this folder is not run: a command that only says what it would change is."""
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_work(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_named_make_target_exists(page: Path) -> None:
    named = re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert {one or other for one, other in named} <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    named = re.findall(r"`((?:shared|local|tests|infra|docs|benchmarks)/[\w./-]+)`", page.read_text())
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_tests_exist(page: Path) -> None:
    for file, name in re.findall(r"`(test_\w+\.py)`: `(test_\w+)`", page.read_text()):
        assert any(f"def {name}(" in found.read_text() for found in (ROOT / "tests").rglob(file)), name


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            links = re.findall(r"\]\((?!https?://|#)([^)#]+\.md)", page.read_text())
            waiting += [(page.parent / link).resolve() for link in links]
    assert {page for page in PAGES if page.parent == ROOT / "docs"} <= reached


def test_make_help_lists_every_target_that_people_use() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in TARGETS - {"help"}:
        assert f"make {target} " in shown


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_every_code_block_is_run_or_marked_as_not_run(block: Block) -> None:
    if not block.language:
        assert not re.search(rf"^(\$ )?{PROGRAMS}", block.code, re.MULTILINE), "give the block its language"
    elif block.exercised:
        assert block.language in RUN, f"nothing runs {block.language}: say that it is {MARK}"


@pytest.mark.parametrize("language", RUN)
def test_all_code_blocks_are_covered_by_their_runner(language: str) -> None:
    assert f'blocks("{language}")' in (ROOT / RUN[language]).read_text()


@pytest.mark.parametrize("path", ELSEWHERE.values())
def test_each_test_that_runs_commands_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("block", [one for one in blocks("sh") if one.exercised], ids=str)
def test_every_documented_command_is_run(block: Block) -> None:
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    for command in block.commands:
        if not command.startswith(tuple(ELSEWHERE)):
            assert ALIKE.get(command, command) in ci, f"{command}: run it in a test, or say that it is {MARK}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_sentences_exist(page: Path) -> None:
    for named in re.findall(r"`python -m shared ([^`]+)`", page.read_text()):
        assert named.split()[0] in {*__main__.COMMANDS, "<command>", "--help", "--version"}, named


def test_an_unmarked_command_that_is_not_run_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    first, second = "# A\n\n```sh\naz login\n```\n\n", "## B (not exercised)\n\n```sh\nazd up\n```\n\n"
    page.write_text(f"{first}{second}## C\n\n```\nfunc start\n```\n")
    one, marked, untagged = documents.read(page)
    with pytest.raises(AssertionError, match="az login: run it in a test"):
        test_every_documented_command_is_run(one)
    assert not marked.exercised
    with pytest.raises(AssertionError, match="give the block its language"):
        test_every_code_block_is_run_or_marked_as_not_run(untagged)
