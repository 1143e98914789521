"""Sends traffic through a stack while injecting faults, and checks the output against the ground truth."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf

from local.demo import delta
from local.emulators.functions_host.process import HostProcess
from local.emulators.waiting import WaitError
from local.stack import HUB, ROOT
from local.traffic.check import Records, check
from local.traffic.generate import Traffic, generate
from local.traffic.send import next_sequences, producer, send
from shared.protocol.ledger import Counts
from shared.tables.websocket_connection_logs import RECORDS
from tests.campaigns.faults.aftermath import made_anew, unbindable
from tests.campaigns.faults.checkpoints import forget
from tests.campaigns.faults.erased import erased
from tests.campaigns.faults.fault_injector import COMPACT, EVERY, FINISH, FaultInjector
from tests.campaigns.faults.observer import Observer
from tests.campaigns.faults.stack import FaultyStack

PATIENCE = 150
"""Seconds without progress after which the campaign fails; the SDK alone retries for a minute."""
DAY = 24 * 3600
"""Seconds."""
TURNS = 30
"""Compactions without a swap after all faults, at most: an hour is quiet after three."""
AFTERMATH = {
    "erased beside a host": erased,
    "unbindable event": unbindable,
    "hub re-created": made_anew,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a campaign."""

    done: Counter[str]
    kills: int
    counts: Counts
    found: Records
    audit: str
    """The output of the audit; empty if it proved everything."""
    seconds: float
    """Seconds from the first host's start to the last commit."""
    swaps: int
    """Swaps of compaction that began while faults were injected."""
    delta: Records
    """Differences between the newest snapshot of the Delta table and the truth."""
    versions: int = 0
    """Versions of the Delta table that a reader saw during the campaign."""
    broken: list[str] = field(default_factory=list)
    """Violations that readers saw during the campaign."""
    aftermath: dict[str, Records] = field(default_factory=dict)
    """The outcome of an erasure and of the faults that change the hub, by name."""

    @property
    def exact(self) -> bool:
        """Whether every record is there once, is counted correctly, and the audit proves it."""
        counts = self.counts
        balanced = counts.records == counts.rows + sum(counts.rejected.values()) + counts.skipped
        proven = self.found.exact and balanced and not self.audit and not counts.lost
        proven = proven and self.delta.exact and not self.broken
        return proven and self.swaps > 0 and all(found.exact for found in self.aftermath.values())


def traffic(seed: int, connections: int) -> Traffic:
    """Traffic of the last three hours: about five records a connection, and 20 % of other categories."""
    now = datetime.now(UTC)
    return generate(seed, connections, now - timedelta(hours=3), now, bad=0.02)


def campaign(
    stack: FaultyStack,
    one: Traffic,
    kills: int,
    say: Callable[[str], None],
    *,
    rate: float | None = None,
    twice: bool = False,
    only: Collection[str] = (),
    aftermath: bool = False,
    observe: bool = True,
) -> Outcome:
    """Injects faults until this many processes were killed and everything is sent, and checks the outcome.

    `rate`: envelopes a second; None: no limit. `twice`: everything is delivered again at the end.
    `only`: the faults to inject. `aftermath`: at the end, a connection is erased beside a host, then an event
    arrives that no host can bind, and then the hub is re-created. `observe`: readers observe all the time,
    which takes memory for each row.
    """
    expected: dict[str, int] = {}

    async def deliver() -> None:
        async with producer(stack.broker.connection_string, HUB) as client:
            await send(one.sends, client, rate=rate)
            expected.update(await next_sequences(client))

    observer = Observer(stack)
    with observer if observe else nullcontext():
        sender = threading.Thread(target=lambda: asyncio.run(deliver()), daemon=True)
        sender.start()
        began = time.monotonic()
        injector = FaultInjector(stack, stack.seed, only)
        shown = 0
        while not injector.has_done(kills) or sender.is_alive():
            if not injector.has_done(kills):
                injector.turn()
            else:
                injector.work()
            if injector.kills >= shown + 10:
                shown = injector.kills
                envelopes = sum(stack.committed().values())
                say(f"{shown} kills, {envelopes} envelopes committed, {swaps(stack)} swaps")
        sender.join()
        if not expected:
            raise WaitError("the traffic could not be sent")
        for _ in range(TURNS):
            if not swaps(stack):
                injector.work()
        begun = swaps(stack)
        host = injector.end()
        drain(stack, expected, say)
        seconds = time.monotonic() - began
        if twice:
            host.kill()
            forget(stack)
            host = stack.host()
            again(stack, expected)
        wait(stack, stack.published, "all files are visible")
        compact(stack, host)
        host.stop()
    counts = stack.counts()
    found = check(one.truth, stack.table(RECORDS.name), rejected=stack.rejected(), skipped=counts.skipped)
    newest = check(one.truth, delta.snapshot(stack, RECORDS.name))
    audit = audited(stack)
    after = {name: run(stack) for name, run in AFTERMATH.items()} if aftermath else {}
    return Outcome(
        injector.done,
        injector.kills,
        counts,
        found,
        audit,
        seconds,
        begun,
        newest,
        len(observer.versions),
        observer.broken,
        after,
    )


def drain(stack: FaultyStack, expected: dict[str, int], say: Callable[[str], None]) -> None:
    """Waits until each partition is committed up to the expected sequence number."""
    total = sum(expected.values())
    done, logged = 0, 0.0

    def drained() -> bool:
        nonlocal done, logged
        committed = stack.committed()
        done = sum(min(committed.get(partition, 0), there) for partition, there in expected.items())
        if time.monotonic() - logged > 10:
            logged = time.monotonic()
            say(f"{done} of {total} envelopes committed")
        return done == total

    stack.wait_until(drained, f"{total} committed envelopes", lambda: done, patience=PATIENCE, limit=inf)


def again(stack: FaultyStack, expected: dict[str, int]) -> None:
    """Waits until a host has received every envelope again."""

    def reached() -> bool:
        last = {
            event["partition"].rpartition("/")[2]: event["sequence"]
            for event in list(stack.hosts[-1].seen)
            if event["event"] == "checkpoint"
        }
        return all(last.get(partition, -1) == there - 1 for partition, there in expected.items() if there)

    wait(stack, reached, f"everything comes again: {expected}")


def swaps(stack: FaultyStack) -> int:
    """The number of swaps that began, among the last 512."""
    return len(stack.compaction().touched)


def compact(stack: FaultyStack, host: HostProcess) -> None:
    """Ends the current swap, if any, and compacts everything that may be compacted an hour later."""
    stack.later(6 * EVERY)
    host.invoke(FINISH)
    wait(stack, lambda: not host.busy(FINISH), "a run of the timer ends")
    # After a day, all folders are compared with the Delta log: the clock is far ahead of the files' days.
    for later in (0, DAY):
        stack.later(later)
        host.invoke(COMPACT)
        wait(stack, lambda: not host.busy(COMPACT), "a run of compaction ends")


def wait(stack: FaultyStack, until: Callable[[], bool], expected: str) -> None:
    """Waits until a host has done something."""
    stack.wait_until(until, expected, patience=PATIENCE)


def audited(stack: FaultyStack) -> str:
    """Returns the output of `python -m shared audit` unless it proves that everything is there."""
    run = subprocess.run(
        [sys.executable, "-m", "shared", "audit"],
        cwd=ROOT,
        env=os.environ | stack.settings,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"exit status {run.returncode}: {run.stdout}{run.stderr}" if run.returncode else ""
