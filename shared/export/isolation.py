"""Plans commits in a child process with limits on CPU and memory, so that no message breaks the worker."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from shared import deadline
from shared.connections.observations import StartTimeLookup
from shared.errors import DeadlineExceeded, PlanningFailed
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ChildLimits, ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Stamp

CHILD = "from shared.export.isolated_child import serve; serve()"
ROOT = Path(__file__).resolve().parents[2]
PLANNER = "shared.export.plan:plan_commit"
START = 60
"""Maximum seconds that the imports of a child may take."""
KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "HOME")
"""Environment variables that a child gets: no settings, and therefore no secrets."""


class IsolatedPlanner:
    """Plans in a child process, which it starts when needed: `with IsolatedPlanner(limits) as planner`.

    `planner`: the `module:function` to call in the child.
    """

    def __init__(self, limits: ChildLimits, planner: str = PLANNER) -> None:
        self._limits = limits
        self._planner = planner
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """See the class."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the child if there is one."""
        self._end()

    def make(
        self,
        partition: HubPartition,
        envelopes: Sequence[Envelope],
        ledger: Ledger,
        known: StartTimeLookup,
        policy: ExportPolicy,
        stamp: Stamp,
    ) -> CommitPlan | None:
        """Like `plan_commit`. Raises DeadlineExceeded, or PlanningFailed if it fails or exceeds a limit."""
        connection = self._connection or self._start()
        seconds = self._limits.wall if len(envelopes) == 1 else self._limits.batch
        until = monotonic() + seconds
        try:
            connection.send((partition, envelopes, ledger, policy, stamp))
            while True:
                kind, value = self._receive(connection, until, seconds)
                match kind:
                    case "earliest":
                        connection.send(known.earliest(value))
                    case "plan":
                        return value  # type: ignore[no-any-return]
                    case _:
                        raise PlanningFailed(value)
        except (EOFError, OSError):
            raise PlanningFailed(self._ended()) from None

    def _start(self) -> Connection:
        """Starts a child and waits until it is ready, so that no message is blamed for earlier failures."""
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
                # Reserves little unused memory, because the limit applies to address space.
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                "MALLOC_ARENA_MAX": "1",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            }
            limits = (str(self._limits.cpu), str(self._limits.memory))
            self._process = subprocess.Popen(  # noqa: S603 - nothing of a message is in its command line
                [sys.executable, "-c", CHILD, str(theirs.fileno()), *limits, self._planner],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        self._connection = Connection(ours.detach())
        try:
            self._receive(self._connection, monotonic() + START, START)
        except (EOFError, OSError, PlanningFailed) as error:
            self._end()
            raise DeadlineExceeded("the child process for planning did not start") from error
        return self._connection

    def _receive(self, connection: Connection, until: float, seconds: float) -> Any:
        """Returns the child's next message. Raises PlanningFailed at `until`, after a wait of `seconds`."""
        left = deadline.left()
        if not connection.poll(max(0, min(left, until - monotonic()))):
            self._end()
            if deadline.left() <= 0:
                raise DeadlineExceeded("planning in a child process: the time of this run is up")
            raise PlanningFailed(f"it took more than {seconds:g} s")
        return connection.recv()

    def _ended(self) -> str:
        """Returns how the child ended; the next plan starts another one."""
        assert self._process
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            status = 0
        self._end()
        if status == -signal.SIGXCPU:
            return f"it took more than {self._limits.cpu} s of CPU time"
        if status < 0:
            return f"its process was killed by {signal.Signals(-status).name}"
        return f"its process ended with status {status}"

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._connection:
            self._connection.close()
            self._connection = None


def resolved(planner: str) -> Any:
    """Returns the function that `module:function` names."""
    module, _, function = planner.partition(":")
    return getattr(import_module(module), function)
