"""Does what the runbook tells an operator to do: with the program's own commands and a stack's settings."""

import io
import os
import re
import time
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from local.emulators.functions_host.process import HostProcess
from shared.__main__ import main
from tests.campaigns.faults.fault_injector import FINISH
from tests.campaigns.faults.stack import FaultyStack

STANDING = 6 * 60
"""Seconds after which the timer examines a partition that stands still."""
ADVICE = re.compile(r"`(reset-checkpoint \S+ --after \d+ --yes)`, start it, and run `(redeliver)`")


class RunbookError(RuntimeError):
    """A command failed, or an alarm did not come; the message says what was printed."""


def operate(stack: FaultyStack, *arguments: str) -> str:
    """Runs a command of the program, and returns what it prints. Raises RunbookError unless it succeeds."""
    printed = io.StringIO()
    with patch.dict(os.environ, stack.settings), redirect_stdout(printed), redirect_stderr(printed):
        status = main(arguments)
    if status:
        raise RunbookError(f"{' '.join(arguments)}: exit status {status}: {printed.getvalue()}")
    return printed.getvalue()


def advice(stack: FaultyStack, host: HostProcess, patience: float) -> list[list[str]]:
    """Returns the commands that the alarm about a partition that stands still tells an operator to run."""
    stack.later(STANDING)
    until = time.monotonic() + patience
    while not (found := ADVICE.search(host.log)):
        if time.monotonic() > until:
            raise RunbookError(f"no alarm names an event that stops a partition:\n{host.log[-4000:]}")
        if not host.busy(FINISH):
            host.invoke(FINISH)
        time.sleep(0.5)
    return [command.split() for command in found.groups()]
