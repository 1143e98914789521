"""Manages the host's worker process: starts it, replaces it if it dies, and kills it on a timeout."""

import asyncio
import itertools
import json
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.emulators.functions_host.configuration import AppError, Function
from local.emulators.functions_host.metadata import Typed
from local.emulators.functions_host.protocol import READER_LIMIT, Frame, encode, read
from local.emulators.functions_host.status import Status

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[3]


FAILURES = 3
"""The number of consecutive workers that may end while they index the app."""
AFTER_TIMEOUT = 10.0
"""Seconds until another worker starts after a timeout; after a crash, it starts immediately."""


@dataclass(frozen=True)
class Call:
    """The arguments of one invocation.

    A batch of events has `bodies`, a timer has `data` as JSON. `unbindable` says why the host cannot even
    call the function. All attempts share one `invocation_id` and one `trace_parent`.
    """

    bodies: Sequence[bytes] = ()
    metadata: Mapping[str, Typed] = field(default_factory=dict)
    data: str | None = None
    unbindable: str | None = None
    retry_count: int = 0
    max_retry_count: int = 0
    retry_error: str | None = None
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_parent: str = field(default_factory=lambda: f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01")


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended; `seconds` is its duration."""

    ok: bool
    error: str | None
    seconds: float


class IndexingError(AppError):
    """The worker cannot import the app, or finds no functions in it."""


class WorkerEndedError(AppError):
    """The worker process ended while it indexed the app."""


class Worker:
    """One worker process at a time, as long as the host runs.

    Args:
        app: the function app folder, absolute.
        environment: the environment of the worker process.
        timeout: seconds that an invocation may take (host.json `functionTimeout`); None means no limit.
        status: where restarts are reported.
        time_scale: the factor for the wait for another worker (1: as in the real host).
    """

    def __init__(
        self,
        app: Path,
        environment: Mapping[str, str],
        timeout: float | None,
        status: Status,
        time_scale: float = 1,
    ) -> None:
        self._app = app
        self._environment = dict(environment)
        self._timeout = timeout
        self._status = status
        self._time_scale = time_scale
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[tuple[bool, str | None]]] = {}
        self._ready = asyncio.Event()
        self._broken: str | None = None
        self._timed_out = False
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id of the current worker."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> list[Function]:
        """Starts the process and returns the functions that it finds, or none if it cannot index the app.

        Raises `AppError` if the process repeatedly ends while indexing.
        """
        reader, functions = await self._launch()
        self._watch = asyncio.create_task(self._keep_running(reader))
        return functions

    async def failed(self) -> None:
        """Returns when stopped; raises `AppError` if no worker keeps running."""
        assert self._watch is not None
        await asyncio.shield(self._watch)

    async def stop(self) -> None:
        """Ends the process immediately; the caller has already waited for invocations."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._process is not None:
            await self._end()

    async def _launch(self) -> tuple[asyncio.StreamReader, list[Function]]:
        for left in reversed(range(FAILURES)):
            reader = await self._spawn()
            try:
                functions = await self._index(reader)
            except IndexingError as error:
                # The real host logs "Worker failed to index functions", and idles without functions.
                self._broken = str(error)
                self._status.report("indexing_failed", error=self._broken)
                LOG.error("Worker failed to index functions: %s", self._broken)  # noqa: TRY400 - the app's trace
                functions = []
            except WorkerEndedError as error:
                self._status.report("indexing_failed", error=str(error))
                if not left:
                    raise
                continue
            self._ready.set()
            return reader, functions
        raise AssertionError

    async def _spawn(self) -> asyncio.StreamReader:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join(filter(None, [str(ROOT), self._environment.get("PYTHONPATH")]))
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "local.emulators.functions_host.worker"),
                *(str(theirs.fileno()), str(self._app)),
                cwd=self._app,
                env=self._environment | {"PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                # Standard output is the host's status channel, so the app's output goes to the logs.
                stdout=sys.stderr,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=READER_LIMIT)
        return reader

    async def _index(self, reader: asyncio.StreamReader) -> list[Function]:
        assert self._process is not None
        answer = await read(reader)
        if answer is None:
            raise WorkerEndedError(f"The worker ended with status {await self._end()} while indexing the app")
        if "error" in answer.header:
            raise IndexingError(f"{answer.header['error']}\n{answer.header['trace']}".rstrip())
        self._broken = None
        return [
            Function(
                name=found["name"],
                function_id=found["id"],
                bindings=tuple(json.loads(text) for text in found["bindings"]),
                retry=found["retry"],
            )
            for found in answer.header["functions"]
        ]

    async def _keep_running(self, reader: asyncio.StreamReader) -> None:
        while True:
            while (frame := await read(reader)) is not None:
                waiting = self._pending.pop(frame.header["id"], None)
                if waiting is not None:
                    waiting.set_result((frame.header["ok"], frame.header["trace"] or frame.header["error"]))
            self._ready.clear()
            status = await self._end()
            lost, self._pending = self._pending, {}
            failed = 0
            if self._timed_out:
                # Other invocations on that worker get no answer until their own timeouts.
                self._timed_out = False
                await asyncio.sleep(AFTER_TIMEOUT * self._time_scale)
            else:
                failed = len(lost)
                for waiting in lost.values():
                    waiting.set_result((False, f"The worker process ended with status {status}"))
            reader, _ = await self._launch()
            self._status.report("worker_restarted", worker_pid=self.pid, status=status, failed=failed)

    async def _end(self) -> int:
        assert self._process is not None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._process.returncode is None:
            self._kill()
        return await self._process.wait()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            try:
                self._process.send_signal(signal.SIGKILL)
            except ProcessLookupError:
                return

    async def invoke(self, function: Function, call: Call) -> Outcome:
        """Runs one attempt to its end, after waiting for a worker that is being restarted."""
        await self._ready.wait()
        if self._broken is not None:
            return Outcome(ok=False, error=self._broken, seconds=0)
        assert self._writer is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        number = next(self._ids)
        answer = self._pending[number] = loop.create_future()
        self._writer.writelines(encode(Frame(_header(number, function, call), call.bodies)))
        try:
            ok, error = await asyncio.wait_for(answer, self._timeout)
        except TimeoutError:
            ok, error = False, f"Timeout: {function.name} took longer than {self._timeout:g} s"
            if self._pending.pop(number, None) is not None:
                # The whole worker is restarted, unless another timeout has already done that.
                self._timed_out = True
                self._kill()
        return Outcome(ok, error, loop.time() - began)


def _header(number: int, function: Function, call: Call) -> dict[str, Any]:
    return {
        "id": number,
        "invocation_id": call.invocation_id,
        "trace_parent": call.trace_parent,
        "function_id": function.function_id,
        "parameter": function.trigger["name"],
        "data": call.data,
        "metadata": dict(call.metadata),
        "retry_count": call.retry_count,
        "max_retry_count": call.max_retry_count,
        "retry_exception": call.retry_error and _exception(function.name, call.retry_error),
    }


def _exception(function: str, error: str) -> dict[str, str]:
    """Builds the exception of the previous attempt as Python receives it (without .NET's own frames)."""
    return {
        "message": (
            "Microsoft.Azure.WebJobs.Host.FunctionInvocationException : Exception while executing function: "
            f"Functions.{function} ---> Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException : "
            f"Result: Failure\nException: {error}"
        ),
        "stack_trace": "   at Microsoft.Azure.WebJobs.Host.Executors.FunctionExecutor.TryExecuteAsync",
        "source": "System.Private.CoreLib",
    }
