"""The demo shows its commands, and leaves nothing behind whenever it is interrupted."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from local.emulators.waiting import wait_until
from local.stack import ROOT
from shared.__main__ import main

PATIENCE = 240


class Demo:
    """`make demo` with little traffic in a separate folder; all processes that it starts carry a mark."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.mark = f"DEMO_MARK={uuid.uuid4().hex}"
        self.folder = folder
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local.demo", "--connections", "60", *options],
            cwd=ROOT,
            env=os.environ | {name: value, "TMPDIR": str(folder), "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, text: str) -> str:
        """Read its output up to a line with this text."""
        assert self.process.stdout is not None
        lines = []
        # Ends the loop, too: the demo would wait for Ctrl+C.
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        for line in self.process.stdout:
            lines.append(line)
            if text in line:
                break
        watchdog.cancel()
        output = "".join(lines)
        assert text in output, f"not printed in {PATIENCE} s: {text}; but: {output}"
        return output

    def wait_until_it_listens(self) -> None:
        """Earlier, Python itself is starting, and an interruption ends it silently."""
        status = Path(f"/proc/{self.process.pid}/status")

        def listens() -> bool:
            (caught,) = re.findall(r"^SigCgt:\s*(\w+)$", status.read_text(), re.MULTILINE)
            return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

        wait_until(listens, "a demo that handles SIGTERM", pause=0.005)

    def end(self, number: signal.Signals) -> str:
        """Interrupt the demo, and return the rest of its output."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=PATIENCE)[0]

    def left(self) -> list[str]:
        """Return the processes and files that it leaves behind."""
        deadline = time.monotonic() + 20
        while found := [*self._processes(), *map(str, self.folder.iterdir())]:
            if time.monotonic() > deadline:
                break
            # A worker ends by itself a moment after its host.
            time.sleep(0.1)
        return found

    def _processes(self) -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (path / "environ").read_bytes():
                    found.append((path / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found


@pytest.mark.parametrize(
    ("seconds", "number"), [(0, signal.SIGTERM), (1.5, signal.SIGINT), (4, signal.SIGTERM)]
)
def test_an_interrupted_demo_leaves_nothing_behind(
    tmp_path: Path, seconds: float, number: signal.Signals
) -> None:
    demo = Demo(tmp_path)
    demo.wait_until_it_listens()
    time.sleep(seconds)
    said = demo.end(number)
    assert "Traceback" not in said
    assert demo.process.returncode == 128 + number
    assert not demo.left()


@pytest.mark.long
def test_a_kept_demo_prints_the_next_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo(tmp_path, "--keep")
    said = demo.read_until("Ctrl+C stops")
    try:
        assert "Azure Storage Explorer" in said
        settings = dict(re.findall(r"^export (\w+)='?(.*?)'?$", said, re.MULTILINE))
        commands = [
            line.removeprefix(".venv/bin/python -m ")
            for line in said.splitlines()
            if line.startswith(".venv/bin/python -m shared ")
        ]
        assert [command.split()[1] for command in commands] == ["status", "audit", "delta", "report"]
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        for command in commands:
            arguments = command.replace("report.html", str(tmp_path / "page.html")).split()[1:]
            assert main(arguments) == 0, command
        (tmp_path / "page.html").unlink()
    finally:
        rest = demo.end(signal.SIGINT)
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert demo.process.returncode == 0
    assert not demo.left()
    tables = said[said.index("A few records") : said.index("records in")]
    assert max(map(len, tables.splitlines())) <= 80
    steps = said[said.index("The command line") :].splitlines()
    prose = [line for line in steps if not line.startswith(("export ", ".venv/bin/python "))]
    assert max(map(len, prose)) <= 80
