"""Does what the runbook tells an operator to do: with the program's own commands and a stack's settings."""

import io
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from signal import SIGKILL
from unittest.mock import patch

import orjson

from local.emulators.functions_host.process import HostProcess
from shared.__main__ import main
from shared.audit.audit import OK, WRONG
from shared.clock import now
from shared.timeunits import SECOND
from tests.campaigns.faults.fault_injector import FINISH
from tests.campaigns.faults.stack import FaultyStack

PATIENCE = 180
"""Seconds that hosts may take."""
STALLED = 6 * 60
"""Seconds after which the timer examines a partition that stands still."""
ADVICE = re.compile(r"`(reset-checkpoint \S+ --after \d+ --yes)`, start it, and run `(redeliver)`")


class RunbookError(RuntimeError):
    """A command failed, or an alarm did not come; the message says what was printed."""


def operate(settings: Mapping[str, str], *arguments: str, good: Collection[int] = (OK,)) -> str:
    """Runs a command of the program with these settings, and returns its output.

    Raises RunbookError if its exit status is not a good one.
    """
    printed, errors = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, settings), redirect_stdout(printed), redirect_stderr(errors):
        status = main(arguments)
    if status not in good:
        output = f"{printed.getvalue()}{errors.getvalue()}"
        raise RunbookError(f"{' '.join(arguments)}: exit status {status}: {output}")
    return printed.getvalue()


def erase(stack: FaultyStack, *selection: str) -> list[str]:
    """Erases the selected rows, by the clock of the hosts; returns what is left."""
    return _erase(stack.settings, stack.ahead, selection)


def killed_erase(stack: FaultyStack, *selection: str) -> bool:
    """Erases in a process of its own, and kills it as soon as it has begun to replace a file.

    Returns whether it was killed; if nothing could be replaced, it ends by itself.
    """
    arguments = (stack.settings, stack.ahead, selection)
    process = get_context("spawn").Process(target=_erase, args=arguments)
    process.start()
    while process.is_alive():
        swap = stack.compaction().swap
        if swap and swap.erases:
            process.kill()
            break
        time.sleep(0.002)
    process.join()
    return process.exitcode == -SIGKILL


def _erase(settings: Mapping[str, str], ahead: int, selection: Collection[str]) -> list[str]:
    arguments = ("erase", *selection, "--yes", "--json")
    with patch("shared.commands.erase.now", lambda: now() + ahead * SECOND):
        problems: list[str] = orjson.loads(operate(settings, *arguments, good=(OK, WRONG)))["problems"]
    return problems


def work(stack: FaultyStack, host: HostProcess, until: Callable[[], bool], problem: str) -> None:
    """Fires the timer until something holds and all files are visible, and once more."""
    began = time.monotonic()
    done = False
    while not done:
        done = until() and stack.published()
        if time.monotonic() - began > PATIENCE:
            raise RunbookError(f"{problem} in {PATIENCE} s: {stack.committed()}\n{host.log[-4000:]}")
        if not host.busy(FINISH):
            host.invoke(FINISH)
        time.sleep(0.5)
    while host.busy(FINISH):
        time.sleep(0.1)


def reached(stack: FaultyStack, expected: Mapping[str, int]) -> bool:
    """Whether these partitions are committed up to these sequence numbers."""
    committed = stack.committed()
    return all(committed.get(partition) == there for partition, there in expected.items() if there)


def advice(stack: FaultyStack, host: HostProcess) -> list[list[str]]:
    """Returns the commands that the alarm about a partition that stands still tells an operator to run."""
    until = time.monotonic() + PATIENCE
    while not (found := ADVICE.search(host.log)):
        if time.monotonic() > until:
            raise RunbookError(f"no alarm names an event that stops a partition:\n{host.log[-4000:]}")
        if not host.busy(FINISH):
            stack.later(STALLED)  # again, because a run may write the ledger, which then looks alive
            host.invoke(FINISH)
        time.sleep(0.5)
    return [command.split() for command in found.groups()]
