"""`status` shows a verdict first, in lines that fit, without flicker."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from local.emulators.waiting import PATIENCE
from shared.commands import console
from tests.shared.commands.sample_status import (
    FULL,
    shown,
)
from tests.shared.exported import Exported, envelopes


def test_color_is_on_a_terminal_and_off_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shown(FULL).startswith(f"\033[{console.RED}m")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in shown(FULL)


def test_watching_redraws_in_place_and_cuts_long_output(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "shared", "status", "--watch", "1"],
        env=os.environ | exported.environment | {"COLUMNS": "80", "LINES": "9"},
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as watch:
        os.close(theirs)
        seen, until = "", time.monotonic() + PATIENCE
        while seen.count("\033[J") < 3 and (left := until - time.monotonic()) > 0:
            if select.select([ours], [], [], left)[0]:
                seen += os.read(ours, 65536).decode()
        watch.terminate()
    os.close(ours)
    screens = seen.split("\033[H")[1:]
    assert len(screens) >= 3, f"seen in {PATIENCE:g} s: {seen!r}"
    assert "\033[2J" not in seen, "a screen that is cleared flickers"
    for screen in screens[:2]:
        assert screen.endswith("\033[J")
        lines = screen.removesuffix("\033[J").split("\r\n")[:-1]
        assert all(line.endswith("\033[K") for line in lines)
        assert len(lines) == 8
        assert re.match(r"\d+ more lines: enlarge the terminal", lines[-1])
