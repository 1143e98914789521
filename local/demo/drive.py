"""Runs the function app, with one crash, until the hub is drained and connections are finished."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.emulators.functions_host.process import HostProcess
from local.emulators.waiting import PATIENCE
from local.stack import Stack
from shared.wording import counted

TIMER = "finish_connections"
QUIET_RUNS = 3
FIRST = 60
"""Seconds after the last commit in which no connection can finish."""
SLOWEST = 1800
"""Seconds in which the slowest machine exports everything."""


@dataclass(frozen=True, slots=True)
class Drained:
    """The result of the run."""

    host: HostProcess
    """The remaining host."""
    redelivered: int
    """Envelopes that were delivered again although they had been committed before the crash."""


def drain(
    stack: Stack, expected: Mapping[str, int], progress: Callable[[int], None], limit: float = SLOWEST
) -> Drained:
    """Exports until each partition is committed up to the expected sequence number and its files are visible.

    Halfway, the host is killed, so events that it had not checkpointed are delivered again in other batches.
    Raises WaitError if there is no progress, or after `limit` seconds.
    """
    total = sum(expected.values())
    stack.host().wait_ready()
    before: dict[str, int] | None = None
    done = 0

    def drained() -> bool:
        nonlocal before, done
        committed = stack.committed()
        done = sum(min(committed.get(partition, 0), there) for partition, there in expected.items())
        progress(done)
        if done == total and stack.published():
            return True
        if before is None and done >= total // 2:
            stack.hosts[-1].kill()
            before = stack.committed()
            stack.host()
        return False

    expectation = f"{counted(total, 'committed envelope')}, and all files visible"
    stack.wait_until(drained, expectation, limit=limit)
    host = stack.hosts[-1]
    return Drained(host, _redelivered(host, before or {}))


def _redelivered(host: HostProcess, committed: Mapping[str, int]) -> int:
    first: dict[str, int] = {}
    for event in host.seen:
        if event["event"] == "invocation" and "first" in event:
            first.setdefault(event["partition"].rpartition("/")[2], event["first"])
    return sum(max(0, committed.get(partition, 0) - sequence) for partition, sequence in first.items())


def finish(
    stack: Stack,
    host: HostProcess,
    connections: int,
    progress: Callable[[int], None],
    patience: float = FIRST + PATIENCE,
) -> None:
    """Fires the timer until every connection is written and a run changes nothing.

    Raises WaitError if there is no progress for `patience` seconds.
    """
    quiet = fired = written = 0
    last: list[str] = []

    def finished() -> bool:
        nonlocal quiet, fired, written, last
        fired += 1
        host.invoke(TIMER)
        # Scheduled runs occur in between.
        host.wait_for("invocation", count=fired, function=TIMER, scheduled=False)
        files = stack.files("parquet/ApiManagementWebSocketConnectionRevisions/date=")
        quiet = quiet + 1 if files == last and files else 0
        if files != last:
            written = stack.table("ApiManagementWebSocketConnectionRevisions").num_rows
            progress(min(connections, written))
        last = files
        if quiet >= QUIET_RUNS and written >= connections:
            return True
        time.sleep(1 if files else 3)
        return False

    expectation = f"{counted(connections, 'finished connection')}, and {QUIET_RUNS} runs without a new file"
    stack.wait_until(finished, expectation, lambda: f"{counted(written, 'row')}", patience=patience)
