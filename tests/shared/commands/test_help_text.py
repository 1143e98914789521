"""The help of each command fits the terminal."""

import argparse

import pytest

from shared import __main__
from shared.commands.help_text import HelpFormatter


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


def test_sentences_are_wrapped_and_commands_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "42")
    text = """
A sentence that the source breaks
at another place.
Another one.

  python -m shared audit --since 30d --deep
"""
    parser = argparse.ArgumentParser(formatter_class=HelpFormatter, prog="x", epilog=text)
    assert parser.format_help().partition("exit\n\n")[2].splitlines() == [
        "A sentence that the source breaks at",
        "another place.",
        "Another one.",
        "",
        "  python -m shared audit --since 30d \\",
        "      --deep",
    ]
