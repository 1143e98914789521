"""The help of each command fits the terminal, and its examples can be pasted."""

import argparse
import shlex

import pytest

from shared import __main__


@pytest.fixture(scope="module")
def parsers() -> dict[str, argparse.ArgumentParser]:
    (commands,) = (
        action for action in __main__.parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(commands.choices)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_of_help_is_wider_than_the_terminal(
    parsers: dict[str, argparse.ArgumentParser], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = {(name, line) for name, parser in parsers.items() for line in parser.format_help().splitlines()}
    wide = [(name, line) for name, line in lines if len(line) > columns and " " in line.strip()]
    assert len(lines) > 300
    assert wide == []


def test_examples_are_commands_of_their_parser(
    parsers: dict[str, argparse.ArgumentParser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    for name, parser in parsers.items():
        examples = parser.format_help().partition("examples:\n")[2].replace("\\\n", "").splitlines()
        assert examples, name
        for example in examples:
            python, _, module, command, *arguments = shlex.split(example.partition("|")[0])
            assert (python, module, command) == ("python", "shared", name)
            assert parser.parse_args([one for one in arguments if one not in (">", "<")]).run
