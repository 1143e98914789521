"""The host's handle on its worker process: starts it, replaces it when it dies, kills it on timeout."""

import asyncio
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.functions.configuration import AppError, Function
from local.functions.protocol import READER_LIMIT, Frame, encode, read
from local.functions.status import Status

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Call:
    """What one invocation hands to the function: `bodies` and `metadata`, or `data` as JSON (a timer's)."""

    bodies: Sequence[bytes] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    data: str | None = None
    retry_count: int = 0
    max_retry_count: int = 0


@dataclass(frozen=True)
class Outcome:
    """How one invocation ended; `seconds` is its duration."""

    ok: bool
    error: str | None
    seconds: float


class Worker:
    """One worker process at a time, for the life of the host.

    Args:
        app: the function app folder, absolute.
        environment: the environment of the worker process.
        timeout: seconds that an invocation may take (host.json `functionTimeout`); None is for ever.
        status: where restarts are reported.
    """

    def __init__(
        self, app: Path, environment: Mapping[str, str], timeout: float | None, status: Status
    ) -> None:
        self._app = app
        self._environment = dict(environment)
        self._timeout = timeout
        self._status = status
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[tuple[bool, str | None]]] = {}
        self._ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id of the present worker."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> list[Function]:
        """Starts the process and returns the functions it found; raises `AppError` when indexing fails."""
        reader, functions = await self._launch()
        self._watch = asyncio.create_task(self._keep_running(reader))
        return functions

    async def failed(self) -> None:
        """Returns when stopped; raises `AppError` when a restarted worker could not index the app."""
        assert self._watch is not None
        await asyncio.shield(self._watch)

    async def stop(self) -> None:
        """Ends the process at once; the host sees to it that nothing it waits for is in flight."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        if self._process is not None:
            await self._end()

    async def _launch(self) -> tuple[asyncio.StreamReader, list[Function]]:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join(filter(None, [str(ROOT), self._environment.get("PYTHONPATH")]))
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "local.functions.worker"),
                *(str(theirs.fileno()), str(self._app)),
                cwd=self._app,
                env=self._environment | {"PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                # Standard output is the host's status channel: what the app prints goes with the logs.
                stdout=sys.stderr,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=READER_LIMIT)
        answer = await read(reader)
        if answer is None:
            raise AppError(
                f"The worker ended with status {await self._process.wait()} while indexing the app"
            )
        if "error" in answer.header:
            await self._end()
            raise AppError(f"{answer.header['error']}\n{answer.header['trace']}".rstrip())
        self._ready.set()
        return reader, [
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
            for waiting in lost.values():
                waiting.set_result((False, f"The worker process ended with status {status}"))
            reader, _ = await self._launch()
            self._status.report("worker_restarted", worker_pid=self.pid, status=status, failed=len(lost))

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
        """Runs one invocation to its end, waiting first for a worker that is being restarted."""
        await self._ready.wait()
        assert self._writer is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        number = next(self._ids)
        answer = self._pending[number] = loop.create_future()
        self._writer.writelines(
            encode(
                Frame(
                    {
                        "id": number,
                        "function_id": function.function_id,
                        "parameter": function.trigger["name"],
                        "data": call.data,
                        "metadata": dict(call.metadata),
                        "retry_count": call.retry_count,
                        "max_retry_count": call.max_retry_count,
                    },
                    call.bodies,
                )
            )
        )
        try:
            ok, error = await asyncio.wait_for(asyncio.shield(answer), self._timeout)
        except TimeoutError:
            # The real host restarts the whole worker process, and with it every other invocation in it.
            self._kill()
            await answer
            ok, error = False, f"Time-out: {function.name} took longer than {self._timeout:g} s"
        return Outcome(ok, error, loop.time() - began)
