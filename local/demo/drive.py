"""Runs the function app until the hub is drained, with a crash on the way, and until connections are finished."""

import time
from collections.abc import Callable, Mapping

from local.functions.process import HostProcess
from local.stack import Stack

PATIENCE = 120
"""Seconds without any progress after which something is wrong."""


class DemoError(RuntimeError):
    """It did not get on; the message holds the end of the host's log."""


def drain(stack: Stack, expected: Mapping[str, int], progress: Callable[[int], None]) -> HostProcess:
    """Exports until each source is committed up to the expected sequence number; the host that is left.

    When half is done, the host is killed: what it had not checkpointed comes again, in other batches.
    """
    total = sum(expected.values())
    host = stack.host()
    host.wait_ready()
    crashed = False
    last, since = -1, time.monotonic()
    while True:
        committed = stack.committed()
        done = sum(min(committed.get(source, 0), there) for source, there in expected.items())
        progress(done)
        if done == total:
            return host
        if done > last:
            last, since = done, time.monotonic()
        if not crashed and done >= total // 2:
            host.kill()
            host = stack.host()
            crashed = True
        if time.monotonic() - since > PATIENCE:
            raise DemoError(f"{done} of {total} envelopes, no progress for {PATIENCE} s:\n{host.log[-4000:]}")
        time.sleep(0.25)


def redelivered(hosts: list[HostProcess]) -> int:
    """How many envelopes were handed over more than once, by the hosts' own account."""
    seen: set[tuple[str, int]] = set()
    again = 0
    for host in hosts:
        for event in host.seen:
            if event["event"] == "invocation" and "first" in event:
                for sequence in range(event["first"], event["last"] + 1):
                    again += (event["source"], sequence) in seen
                    seen.add((event["source"], sequence))
    return again
