"""`completion` prints a script that knows every command."""

import re
import sys

import pytest

from shared.__main__ import COMMANDS
from tests.shared.commands.running import ran


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = ran(capsys, "completion", shell)
    assert status == 0
    assert [name for name in COMMANDS if name not in output] == []
    assert re.search(r"^(#compdef|complete)\b.* apim-ws-logs\b", output, re.MULTILINE), (
        "the installed command"
    )


def test_completion_names_the_package_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    status, output = ran(capsys, "completion", "bash")
    assert status == 2
    assert "pip install shtab" in output
