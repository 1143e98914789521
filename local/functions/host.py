"""The host process: one worker, a listener per function, and graceful shutdown."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.functions.configuration import AppError, Function, HostOptions
from local.functions.event_hub_trigger import EventHubTrigger
from local.functions.invocations import Invocations
from local.functions.status import Status
from local.functions.timer_trigger import TimerTrigger
from local.functions.workers import Worker

HOST_ID_SETTING = "AzureFunctionsWebHost__hostid"


@dataclass(frozen=True)
class HostProfile:
    """How to run: the app folder, the settings, and how long a stop waits for invocations, in seconds."""

    app: Path
    settings: Mapping[str, str]
    grace: float
    stop_at_end_of_input: bool


class Host:
    """Serves one function app until a signal or a failure."""

    def __init__(self, profile: HostProfile, status: Status) -> None:
        self._profile = profile
        self._status = status
        self._options = HostOptions.load(profile.app, profile.settings)
        self._worker = Worker(profile.app, profile.settings, self._options.function_timeout, status)
        self._invocations = Invocations(self._worker, status)
        self._timers: dict[str, TimerTrigger] = {}
        self._on_demand: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Returns after SIGTERM or SIGINT; raises `AppError` when the app cannot be served (any more)."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        stopped = asyncio.create_task(stop.wait())
        triggers: list[asyncio.Task[None]] = []
        try:
            starting = asyncio.create_task(self._worker.start())
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                return
            functions = starting.result()
            listeners = [self._listener(function) for function in functions]
            triggers += [asyncio.create_task(listener.run()) for listener in listeners]
            self._status.report(
                "ready",
                worker_pid=self._worker.pid,
                functions=[{"name": each.name, "trigger": each.trigger["type"]} for each in functions],
            )
            self._read_input(loop, stop)
            running = [*triggers, asyncio.create_task(self._worker.failed())]
            done, _ = await asyncio.wait({stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._status.report("stopping")
            await self._invocations.stop(self._profile.grace if stop.is_set() else 0)
            for task in (*triggers, *self._on_demand, stopped):
                task.cancel()
            await asyncio.gather(*triggers, *self._on_demand, stopped, return_exceptions=True)
            await self._worker.stop()

    def _listener(self, function: Function) -> EventHubTrigger | TimerTrigger:
        settings = self._profile.settings
        if function.trigger["type"] == "eventHubTrigger":
            return EventHubTrigger(function, self._options, settings, self._invocations, self._status)
        host_id = settings.get(HOST_ID_SETTING) or self._profile.app.name.lower()
        timer = TimerTrigger(function, host_id, settings, self._invocations)
        self._timers[function.name] = timer
        return timer

    def _read_input(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        def lines() -> None:
            rest = b""
            # Not sys.stdin: its lock, held by a blocked thread, makes the interpreter's end a fatal error.
            while piece := os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, 4096):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    loop.call_soon_threadsafe(self._invoke, line.decode().strip())
            if self._profile.stop_at_end_of_input:
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=lines, daemon=True).start()

    def _invoke(self, name: str) -> None:
        timer = self._timers.get(name)
        if timer is None:
            error = (
                f"There is no timer function {name!r} to invoke: {', '.join(self._timers) or 'none at all'}"
            )
            self._status.report("refused", function=name, error=error)
            return
        task = asyncio.create_task(timer.fire_now())
        self._on_demand.add(task)
        task.add_done_callback(self._on_demand.discard)


def serve(profile: HostProfile, status: Status) -> int:
    """Runs a host to its end and returns the exit status; what went wrong goes to standard error."""
    try:
        asyncio.run(Host(profile, status).run())
    except AppError as error:
        sys.stderr.write(f"The function app in {profile.app} cannot be served:\n{error}\n")
        status.report("stopped", status=1, error=str(error))
        return 1
    status.report("stopped", status=0, error=None)
    return 0
