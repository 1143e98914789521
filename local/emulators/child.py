"""Runs emulators as child processes, and ends all of them even if the parent is interrupted."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

PATIENCE = 60.0
"""Seconds that a child may take to exit gracefully. If killed earlier, it loses unsaved data."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)

type Child = subprocess.Popen[bytes]

_running: set[Child] = set()


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM was received; `number` is the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Hold:
    """Delays interruptions until the end of a with block."""

    depth = 0
    pending: int | None = None

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if not self.depth and self.pending is not None:
            number, self.pending = self.pending, None
            raise Interrupted(number)


_hold = _Hold()


def start(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.STDOUT,
) -> Child:
    """Starts a child whose standard output is a pipe.

    It gets its own session, so that Ctrl+C in the terminal reaches only its parent, which then ends it.
    """
    with _hold:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
        _running.add(process)
        return process


def said_until(process: Child, text: str, seconds: float) -> str:
    """Reads a child's output until it has said a text, has ended, or the time is up; returns the output."""
    assert process.stdout is not None
    said = b""
    deadline = time.monotonic() + seconds
    while text.encode() not in said and (left := deadline - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], left)[0]:
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                break
            said += piece
    return said.decode(errors="replace")


def end(process: Child, number: signal.Signals, patience: float = PATIENCE) -> int:
    """Sends a signal to a child, and kills it if it does not end. Returns its exit status."""
    process.send_signal(number)
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    ended(process)
    return status


def ended(process: Child) -> None:
    """Closes the pipes of a child that has ended."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    _running.discard(process)


class ChildProcess:
    """A child process that a with block starts and stops. A subclass defines how it starts."""

    _process: Child | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError if the process is not running."""
        if self._process is None:
            raise RuntimeError("the process is not running: call start()")
        return self._process.pid

    def start(self) -> Self:
        """Starts the process and waits until it is ready."""
        raise NotImplementedError

    def stop(self) -> int:
        """Ends the process gracefully (SIGTERM) and returns its exit status; 0 if it is not running."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process like a crash (SIGKILL). Does nothing if it is not running."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        return end(process, number) if process else 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def end_all() -> None:
    """Kills every child that still runs."""
    # Their pipes stay open: another thread may be reading.
    for process in _running:
        process.kill()
        process.wait()
    _running.clear()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raises `Interrupted` in the with block at the first SIGINT or SIGTERM; at its end, no child is left.

    Later signals are ignored, so that children can exit gracefully. Use it only in the main thread.
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        if _hold.depth:
            _hold.pending = number
        else:
            raise Interrupted(number)

    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        end_all()
