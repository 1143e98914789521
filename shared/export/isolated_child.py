"""The child process of isolation.py: limits itself, then plans batches until the parent disconnects."""

import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from shared.arrays import Array
from shared.export.isolation import resolved
from shared.wording import quote


class Asking:
    """Asks the parent for start times. Implements shared.connections.observations.StartTimeLookup."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def earliest(self, observations: pa.Table) -> tuple[Array, Array]:
        """See observations.StartTimeLookup."""
        self._connection.send(("earliest", observations))
        answer: tuple[Array, Array] = self._connection.recv()
        return answer


def serve() -> None:
    """Serves a connection, with the limits and the planner that the command line names."""
    descriptor, cpu, memory, planner = sys.argv[1:]
    connection = Connection(int(descriptor))
    make = resolved(planner)
    _limit(int(memory))
    connection.send(("ready", None))
    while True:
        try:
            partition, envelopes, ledger, policy, stamp = connection.recv()
        except EOFError:
            return
        _limit_cpu(int(cpu))
        connection.send(_attempt(make, partition, envelopes, ledger, Asking(connection), policy, stamp))


def _attempt(make: Any, *arguments: Any) -> tuple[str, Any]:
    try:
        return "plan", make(*arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it goes into the dead letter
        return "failed", f"{type(error).__name__}: {quote(str(error))}"


def _limit(memory: int) -> None:
    """Limits memory to this many bytes above current use, and lets the kernel kill this process first."""
    pa.set_cpu_count(1)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    _lower(resource.RLIMIT_CORE, 0)
    Path("/proc/self/oom_score_adj").write_text("1000")


def _limit_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + seconds + 1)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
