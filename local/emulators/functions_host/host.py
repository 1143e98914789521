"""The host process: one worker, a listener per function, and graceful shutdown."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.emulators.functions_host.configuration import AppError, Function, HostOptions
from local.emulators.functions_host.event_hub_trigger import EventHubTrigger
from local.emulators.functions_host.invocations import Invocations
from local.emulators.functions_host.status import Status
from local.emulators.functions_host.timer_trigger import TimerTrigger
from local.emulators.functions_host.worker_handle import Worker

HOST_ID_SETTING = "AzureFunctionsWebHost__hostid"


DRAIN = "drain"
"""On standard input: stop listening, as `POST /admin/host/drain` does in the real host."""


@dataclass(frozen=True)
class HostProfile:
    """How to run a host.

    Args:
        app: the function app folder.
        settings: the app settings.
        grace: seconds that a stop waits for invocations in flight, with the listeners still running.
        stop_at_end_of_input: whether the host stops at the end of standard input.
        time_scale: the factor for waits before retries and worker restarts; 1 as in the real host.
    """

    app: Path
    settings: Mapping[str, str]
    grace: float
    stop_at_end_of_input: bool
    time_scale: float = 1


class Host:
    """Serves one function app until a signal or a failure."""

    def __init__(self, profile: HostProfile, status: Status) -> None:
        self._profile = profile
        self._status = status
        self._options = HostOptions.load(profile.app, profile.settings)
        self._worker = Worker(
            profile.app, profile.settings, self._options.function_timeout, status, profile.time_scale
        )
        self._invocations = Invocations(self._worker, status, profile.time_scale)
        self._timers: dict[str, TimerTrigger] = {}
        self._hubs: list[EventHubTrigger] = []
        self._listening: dict[EventHubTrigger | TimerTrigger, asyncio.Task[None]] = {}
        self._on_demand: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Returns after SIGTERM or SIGINT; raises `AppError` if the app cannot be served or stops working.

        If an app cannot be indexed, nothing is raised: the host keeps running without functions.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        stopped = asyncio.create_task(stop.wait())
        try:
            starting = asyncio.create_task(self._worker.start())
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                return
            functions = starting.result()
            for listener in [self._listener(function) for function in functions]:
                self._listening[listener] = asyncio.create_task(listener.run())
            self._status.report(
                "ready",
                worker_pid=self._worker.pid,
                functions=[
                    {"name": function.name, "trigger": function.trigger["type"]} for function in functions
                ],
            )
            self._read_input(loop, stop)
            await self._until_stopped(stopped)
        finally:
            self._status.report("stopping")
            self._invocations.stopping = True
            await self._invocations.settle(self._profile.grace if stop.is_set() else 0)
            tasks = (*self._listening.values(), *self._on_demand, stopped)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._status.report("listeners_stopped")
            await self._worker.stop()

    async def _until_stopped(self, stopped: asyncio.Task[bool]) -> None:
        failed = asyncio.create_task(self._worker.failed())
        while not stopped.done():
            running = {task for task in self._listening.values() if not task.cancelled()}
            done, _ = await asyncio.wait({stopped, failed, *running}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled():
                    task.result()

    async def _drain(self) -> None:
        """Stops the listeners, and reports once the host counts them as stopped; retries may prevent that."""
        self._status.report("draining")
        for timer in self._timers.values():
            self._listening[timer].cancel()
        await asyncio.gather(*(hub.drain() for hub in self._hubs))
        self._status.report("drained")

    def _listener(self, function: Function) -> EventHubTrigger | TimerTrigger:
        settings = self._profile.settings
        if function.trigger["type"] == "eventHubTrigger":
            hub = EventHubTrigger(function, self._options, settings, self._invocations, self._status)
            self._hubs.append(hub)
            return hub
        host_id = settings.get(HOST_ID_SETTING) or self._profile.app.name.lower()
        timer = TimerTrigger(function, host_id, settings, self._invocations)
        self._timers[function.name] = timer
        return timer

    def _read_input(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        def lines() -> None:
            rest = b""
            # Not sys.stdin: if a blocked thread holds its lock, the interpreter ends with a fatal error.
            while piece := os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, 4096):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    loop.call_soon_threadsafe(self._invoke, line.decode().strip())
            if self._profile.stop_at_end_of_input:
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=lines, daemon=True).start()

    def _invoke(self, name: str) -> None:
        timer = self._timers.get(name)
        if name == DRAIN:
            work = self._drain()
        elif timer is not None:
            work = timer.fire_now()
        else:
            known = ", ".join(self._timers) or "none at all"
            error = f"There is no timer function {name!r} to invoke: {known}"
            self._status.report("refused", function=name, error=error)
            return
        task = asyncio.create_task(work)
        self._on_demand.add(task)
        task.add_done_callback(self._on_demand.discard)


def serve(profile: HostProfile, status: Status) -> int:
    """Runs a host until it ends and returns the exit status; errors go to standard error."""
    try:
        asyncio.run(Host(profile, status).run())
    except AppError as error:
        sys.stderr.write(f"The function app in {profile.app} cannot be served:\n{error}\n")
        status.report("stopped", status=1, error=str(error))
        return 1
    status.report("stopped", status=0, error=None)
    return 0
