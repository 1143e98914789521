"""Runs the function app, with one crash, until the hub is drained and connections are finished."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.emulators.functions_host.process import HostProcess
from local.stack import Stack
from shared.wording import counted

PATIENCE = 120
"""Seconds without progress after which the demo fails."""
TIMER = "finish_connections"
QUIET_RUNS = 3
MAX_RUNS = 120


class DemoError(RuntimeError):
    """There was no progress; the message contains the end of the host's log."""


@dataclass(frozen=True, slots=True)
class Drained:
    """The result of the run."""

    host: HostProcess
    """The remaining host."""
    redelivered: int
    """Envelopes that were delivered again although they had been committed before the crash."""


def drain(stack: Stack, expected: Mapping[str, int], progress: Callable[[int], None]) -> Drained:
    """Exports until each partition is committed up to the expected sequence number and its files are visible.

    Halfway, the host is killed, so events that it had not checkpointed are delivered again in other batches.
    """
    total = sum(expected.values())
    host = stack.host()
    host.wait_ready()
    before: dict[str, int] | None = None
    last, since = -1, time.monotonic()
    while True:
        committed = stack.committed()
        done = sum(min(committed.get(partition, 0), there) for partition, there in expected.items())
        progress(done)
        if done == total and stack.published():
            return Drained(host, _redelivered(host, before or {}))
        if done > last:
            last, since = done, time.monotonic()
        if before is None and done >= total // 2:
            host.kill()
            before = stack.committed()
            host = stack.host()
        if time.monotonic() - since > PATIENCE:
            raise DemoError(
                f"{done} of {counted(total, 'envelope')}, no progress for {PATIENCE} s:\n{host.log[-4000:]}"
            )
        time.sleep(0.25)


def _redelivered(host: HostProcess, committed: Mapping[str, int]) -> int:
    first: dict[str, int] = {}
    for event in host.seen:
        if event["event"] == "invocation" and "first" in event:
            first.setdefault(event["partition"].rpartition("/")[2], event["first"])
    return sum(max(0, committed.get(partition, 0) - sequence) for partition, sequence in first.items())


def finish(stack: Stack, host: HostProcess, connections: int, progress: Callable[[int], None]) -> None:
    """Fires the timer until every connection is written and a run changes nothing."""
    quiet = fired = written = 0
    last: list[str] = []
    while quiet < QUIET_RUNS or written < connections:
        fired += 1
        host.invoke(TIMER)
        # Scheduled runs occur in between.
        host.wait_for("invocation", count=fired, timeout=PATIENCE, function=TIMER, scheduled=False)
        files = stack.files("parquet/ApiManagementWebSocketConnectionRevisions/date=")
        quiet = quiet + 1 if files == last and files else 0
        if files != last:
            written = stack.table("ApiManagementWebSocketConnectionRevisions").num_rows
            progress(min(connections, written))
        last = files
        if fired > MAX_RUNS:
            raise DemoError(
                f"connections are still being written after {counted(fired, 'run')}:\n{host.log[-4000:]}"
            )
        # Nothing can finish in the first minute after the last commit.
        time.sleep(1 if files else 3)
