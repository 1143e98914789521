"""Injects faults into a stack, one at a time; a seed picks each fault and its duration."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress

from local.emulators.functions_host.process import HostError, HostProcess
from tests.campaigns.faults.checkpoints import CheckpointHistory, forget
from tests.campaigns.faults.proxy import STALLED
from tests.campaigns.faults.stack import TIME_OUT, FaultyStack

STALE = 6.5
"""Seconds for which a host must sleep until another one owns its partitions (see the settings of `Stack`)."""
HOSTS = 2
FINISH, COMPACT = "finish_connections", "compact_logs"
EVERY = 600
"""Seconds between two runs of the slower one of these timers."""
LASTING = 8
"""Seconds that a host needs to start and compact."""


class FaultInjector:
    """Injects faults into a stack and counts them.

    Args:
        stack: a running stack, whose hosts this class starts.
        seed: decides everything except the timing of processes, so two runs still differ.
        only: the names of the faults to inject; all of them by default.
    """

    def __init__(self, stack: FaultyStack, seed: int, only: Collection[str] = ()) -> None:
        self.done: Counter[str] = Counter()
        self._stack = stack
        self._random = random.Random(seed)
        self._hosts: list[HostProcess] = []
        self._history = CheckpointHistory(stack)
        self._injected = 0
        self._only = bool(only)
        harm = {
            self._kill_host: 6,
            self._kill_worker: 6,
            self._kill_amid_a_swap: 8,
            self._stop_storage: 2,
            self._cut_storage: 3,
            self._cut_hub: 3,
            self._slow_down: 2,
            self._fail_requests: 4,
            self._freeze: 1,
            self._forget_checkpoints: 2,
            self._rewind_checkpoints: 2,
            self._lose_ownership: 2,
            self._silence_storage: 2,
            self._time_out: 1,
        }
        self._harm = {do: weight for do, weight in harm.items() if not only or name(do) in only}
        if only and len(self._harm) < len(set(only)):
            raise ValueError(f"There are these faults: {', '.join(map(name, harm))}")

    @property
    def kills(self) -> int:
        """The number of processes that were killed without warning."""
        return self.done["host killed"] + self.done["worker killed"]

    def has_done(self, kills: int) -> bool:
        """Whether this many processes were killed, or this many of the chosen faults injected."""
        return (self._injected if self._only else self.kills) >= kills

    def turn(self) -> None:
        """Lets hosts work for a moment, and injects the next fault."""
        self._go_on()
        time.sleep(self._random.uniform(0.2, 2))
        (harm,) = self._random.choices(list(self._harm), list(self._harm.values()))
        outcome = harm()
        self.done[outcome] += 1
        self._injected += not outcome.startswith("no ")
        self.done["amid a swap"] += self._stack.compaction().swap is not None

    def work(self) -> None:
        """Lets hosts work for a moment."""
        self._go_on()
        time.sleep(1)

    def _go_on(self) -> None:
        """Starts hosts that are down, moves their clock forward, and fires the timers of one of them."""
        self._hosts = [host for host in self._hosts if alive(host)]
        while len(self._hosts) < self._random.choice((1, HOSTS)):
            self._hosts.append(self._stack.host())
        self._stack.later(EVERY)
        self._history.look()
        host = self._random.choice(self._hosts)
        for timer in (FINISH, COMPACT):
            with suppress(OSError):  # it has just ended
                if not host.busy(timer):
                    host.invoke(timer)

    def end(self) -> HostProcess:
        """Ends all faults, and returns the one host that is left."""
        self._stack.calm()
        self.done["requests failed"] = self._stack.storage.suffered
        for host in self._hosts:
            host.kill()
        return self._stack.host()

    def _kill_host(self) -> str:
        host = self._hosts.pop(self._random.randrange(len(self._hosts)))
        host.kill()
        return "host killed"

    def _kill_worker(self) -> str:
        for host in self._random.sample(self._hosts, len(self._hosts)):
            with suppress(StopIteration, ProcessLookupError):
                host.kill_worker()
                return "worker killed"
        return "no worker yet"

    def _kill_amid_a_swap(self) -> str:
        """Slows storage down so that a swap takes long, and kills all hosts during one."""
        self._stack.storage.delay = 0.05
        self._go_on()
        until = time.monotonic() + LASTING
        while time.monotonic() < until and not self._stack.compaction().swap:
            time.sleep(0.01)
        for host in self._hosts:
            host.kill()
        self.done["host killed"] += len(self._hosts) - 1
        self._hosts = []
        self._stack.storage.delay = 0
        return "host killed"

    def _stop_storage(self) -> str:
        # SIGTERM lets Azurite save its data: Azure keeps everything that it acknowledged.
        self._stack.azurite.stop()
        time.sleep(self._random.uniform(0, 2))
        self._stack.azurite.start()
        return "storage stopped"

    def _cut_storage(self) -> str:
        self._stack.storage.cut()
        return "connections to storage cut"

    def _cut_hub(self) -> str:
        self._stack.hub.cut()
        return "connections to the hub cut"

    def _slow_down(self) -> str:
        proxy = self._random.choice((self._stack.storage, self._stack.hub))
        proxy.delay = self._random.uniform(0.01, 0.3)
        time.sleep(self._random.uniform(1, 3))
        proxy.delay = 0
        return "slowed down"

    def _fail_requests(self) -> str:
        self._stack.storage.trouble = self._random.choice((20, 100, 400))
        time.sleep(self._random.uniform(1, 4))
        self._stack.storage.calm()
        return "requests failing"

    def _freeze(self) -> str:
        """Suspends a host until another one has taken its partitions, and resumes it."""
        while len(self._hosts) < HOSTS:
            self._hosts.append(self._stack.host())
        with suppress(StopIteration, ProcessLookupError):
            pids = (self._hosts[0].pid, self._hosts[0].worker_pid)
            try:
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                time.sleep(STALE)
            finally:
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
        return "host frozen"

    def _forget_checkpoints(self) -> str:
        """Deletes the checkpoints: the next owner of a partition receives everything again."""
        forget(self._stack)
        self._kill_host()
        self.done["host killed"] += 1
        return "checkpoints deleted"

    def _rewind_checkpoints(self) -> str:
        """Rewinds the checkpoints: the next owner of a partition receives some events again."""
        if not self._history.rewind(self._random):
            return "no older checkpoint yet"
        self._kill_host()
        self.done["host killed"] += 1
        return "checkpoints rewound"

    def _lose_ownership(self) -> str:
        """Lets a host finish a batch late, after another host has taken its partitions.

        It then overwrites the newer checkpoint with its older one, from which the partitions are read again.
        """
        for host in self._hosts:
            host.kill()
        self.done["host killed"] += len(self._hosts)
        # Every partition has events, and the ownership of a dead host expires soon.
        forget(self._stack)
        loser = self._stack.host(settings=self._stack.storage_beside)
        self._hosts = [loser]
        self._stack.beside.choose = lambda _: "503"
        try:
            loser.wait_for("invocation", self._stack.partitions, timeout=6 * LASTING, ok=False)
            other = self._stack.host()
            self._hosts.append(other)
            other.wait_for("checkpoint", 2, timeout=6 * LASTING)
            self._stack.beside.calm()
            loser.wait_for("released", timeout=6 * LASTING, reason="ownership_lost")
        except HostError:
            return "ownership not lost in time"
        finally:
            self._stack.beside.calm()
        other.kill()
        self.done["host killed"] += 1
        return "ownership lost, and gone on"

    def _silence_storage(self) -> str:
        """Lets requests to storage hang without any answer."""
        self._stack.storage.choose = lambda _: STALLED
        time.sleep(self._random.uniform(1, 4))
        self._stack.storage.calm()
        return "storage silent"

    def _time_out(self) -> str:
        """Lets a worker exceed the function timeout, which ends all of its invocations."""
        self._go_on()
        for host in self._hosts:
            with suppress(StopIteration, ProcessLookupError):
                os.kill(host.worker_pid, signal.SIGSTOP)
        time.sleep(TIME_OUT + 2)
        for host in self._hosts:
            with suppress(StopIteration, ProcessLookupError):
                os.kill(host.worker_pid, signal.SIGCONT)
        return "invocations timed out"


def name(fault: Callable[[], str]) -> str:
    """Returns the name of a fault on the command line."""
    return fault.__name__.strip("_").replace("_", "-")


def alive(host: HostProcess) -> bool:
    """Whether a host still runs; without storage, it exits at its start."""
    try:
        host.wait(0)
    except subprocess.TimeoutExpired:
        return True
    return False
