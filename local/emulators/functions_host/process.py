"""Runs a host as a child process for tests and the demo: start, watch, kill, stop."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.emulators import child
from local.emulators.child import ChildProcess
from local.emulators.waiting import PATIENCE, SHOWN

ROOT = Path(__file__).resolve().parents[3]
OF_FUNCTIONS = {"claimed", "released", "invocation", "checkpoint"}
"""Status lines that a host without functions never writes."""


class HostError(RuntimeError):
    """The host ended, or did not report in time; the message contains the end of its log."""


class HostProcess(ChildProcess):
    """One host process: `with HostProcess(app, settings) as host: host.wait_ready()`.

    Args:
        app: the function app folder.
        settings: environment variables in addition to those of this process.
        name: the value of `host` in every status line.
        log: the file to which the logs of host and worker are appended; by default a temporary file.
        grace: seconds that a stop waits for invocations in flight.
        time_scale: the factor for waits before retries and worker restarts; 1 as in the real host.
    """

    def __init__(
        self,
        app: Path,
        settings: Mapping[str, str] | None = None,
        *,
        name: str = "host",
        log: Path | None = None,
        grace: float = 10,
        time_scale: float = 1,
    ) -> None:
        self.app = app
        self.name = name
        self.seen: list[dict[str, Any]] = []
        self._fired: Counter[str] = Counter()
        self._settings = dict(settings or {})
        self._grace = grace
        self._time_scale = time_scale
        self._log = log
        self._own_log: tempfile.TemporaryDirectory[str] | None = None
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None
        self._ended = False

    def start(self) -> Self:
        """Starts the process and returns without waiting (see `wait_ready`). Can be called only once."""
        assert self._process is None, "a HostProcess can be started only once: create another one"
        if self._log is None:
            self._own_log = tempfile.TemporaryDirectory()
            self._log = Path(self._own_log.name) / "log"
        with self._log.open("ab") as log:
            self._process = child.start(
                [
                    *(
                        sys.executable,
                        "-m",
                        "local.emulators.functions_host",
                        "--app",
                        str(self.app.resolve()),
                    ),
                    *("--name", self.name, "--grace", str(self._grace), "--stop-at-end-of-input"),
                    *("--time-scale", str(self._time_scale)),
                ],
                cwd=ROOT,
                environment=os.environ | self._settings,
                stdin=subprocess.PIPE,
                stderr=log,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                # A killed host may leave half a line.
                if line.endswith(b"\n"):
                    self.seen.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def worker_pid(self) -> int:
        """The process id of the newest worker that was reported."""
        return int(next(each["worker_pid"] for each in reversed(self.seen) if "worker_pid" in each))

    @property
    def running(self) -> bool:
        """Whether the host was started and has not ended."""
        return self._process is not None and not self._ended

    @property
    def log(self) -> str:
        """What the host and its worker have logged so far."""
        return self._log.read_text(errors="replace") if self._log and self._log.exists() else ""

    def events(self, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Yields every status line from the first one on, until the host has ended.

        Raises `TimeoutError` if none arrives for `timeout` seconds. Each iterator keeps its own position.
        """
        position = 0
        while True:
            deadline = None if timeout is None else time.monotonic() + timeout
            with self._changed:
                while len(self.seen) <= position:
                    if self._ended:
                        return
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        raise TimeoutError(f"{self.name} reported nothing for {timeout} s")
                    self._changed.wait(left)
                event = self.seen[position]
            position += 1
            yield event

    def wait_for(
        self, event: str, count: int = 1, timeout: float = PATIENCE, **fields: object
    ) -> list[dict[str, Any]]:
        """Waits for a total of `count` status lines with this `event` and these fields, and returns them.

        Raises `HostError`, with the end of the log, if the host ends, if none of them arrives for `timeout`
        seconds, or if the host has no functions that could report anything.
        """
        before, deadline = 0, time.monotonic() + timeout
        with self._changed:
            while len(found := self._events(event, **fields)) < count:
                if len(found) > before:
                    before, deadline = len(found), time.monotonic() + timeout
                left = deadline - time.monotonic()
                idle = event in OF_FUNCTIONS and any(
                    not ready["functions"] for ready in self._events("ready")
                )
                if self._ended or idle or left <= 0:
                    how = "ended" if self._ended else f"did not report within {timeout:g} s"
                    how = "has no functions" if idle else how
                    raise HostError(
                        f"{self.name} {how}, {len(found)} of {count} {event} {fields}; its log ends:\n"
                        f"{self.log[-SHOWN:]}"
                    )
                self._changed.wait(left)
            return found

    def _events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        wanted = {"event": event} | fields
        return [each for each in list(self.seen) if wanted.items() <= _hashable(each).items()]

    def wait_ready(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """Waits until the functions are found; `functions` of the line lists their names and triggers.

        Raises `HostError` if there are none: the host keeps running without functions, like the real one.
        """
        (ready,) = self.wait_for("ready", timeout=timeout)
        if not ready["functions"]:
            errors = "\n".join(event["error"] for event in self.seen if event["event"] == "indexing_failed")
            raise HostError(f"{self.name} has no functions:\n{errors}")
        return ready

    def invoke(self, name: str) -> None:
        """Fires a timer function immediately; its end is reported like that of any invocation."""
        self._tell(name)
        self._fired[name] += 1

    def drain(self) -> None:
        """Tells the host to stop its listeners, as before a scale-in; it then reports `drained`."""
        self._tell("drain")

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def busy(self, name: str) -> bool:
        """Whether a run of a timer function that `invoke` started is still in progress."""
        return len(self._events("invocation", function=name, scheduled=False)) < self._fired[name]

    def kill_worker(self) -> int:
        """Kills only the worker process (SIGKILL), and returns its process id."""
        pid = self.worker_pid
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill(self) -> None:
        """Kills the host (SIGKILL); the worker ends by itself. Can be called twice."""
        if self._process is not None:
            self._process.kill()
            self.wait()

    def stop(self, timeout: float = PATIENCE) -> int:
        """Stops the host gracefully (SIGTERM) and returns its exit status. Can be called twice.

        Raises `HostError`, after killing it, if it does not end within `timeout` seconds.
        """
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise HostError(
                f"{self.name} did not stop within {timeout:g} s; its log ends:\n{self.log[-SHOWN:]}"
            ) from error

    def wait(self, timeout: float = PATIENCE) -> int:
        """Waits until the host ends by itself, and returns its exit status."""
        assert self._process is not None
        assert self._reader is not None
        status = self._process.wait(timeout)
        # Read its output to the end, even if there was no time to wait, because its pipe is closed below.
        self._reader.join(PATIENCE)
        if self._reader.is_alive():
            raise HostError(f"{self.name} ended, but a process that it started keeps its output open")
        child.ended(self._process)
        return status

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if self._own_log is not None:
            self._own_log.cleanup()


def _hashable(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if not isinstance(value, list | dict)}
