"""The listener of a timerTrigger function, which fires on schedule, on one host at a time, or on demand.

It follows `TimerListener` in azure-webjobs-sdk-extensions
(`src/WebJobs.Extensions/Extensions/Timers/Listener`): the status of a schedule is kept in storage, unless it
fires more often than once a minute. An occurrence at which no host was running is made up for at the next
start, with `IsPastDue`.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from local.emulators.functions_host.configuration import Function, connection_string, resolve
from local.emulators.functions_host.invocations import Invocations
from local.emulators.functions_host.lease import held, keep
from local.emulators.functions_host.metadata import Typed
from local.emulators.functions_host.schedule import parse
from local.emulators.functions_host.schedule_status import NEVER, ScheduleMonitor, ScheduleStatus
from local.emulators.functions_host.worker_handle import Call

MONITORED = timedelta(minutes=1)
"""The shortest interval whose status is kept."""


class TimerTrigger:
    """Fires one function.

    Args:
        function: the timer function; raises `AppError` if its schedule cannot be parsed.
        host_id: identifies the app: hosts with the same id and storage share one lease for each function.
        settings: the values of `%NAME%` and of AzureWebJobsStorage.
        invocations: runs the invocations.
    """

    def __init__(
        self, function: Function, host_id: str, settings: Mapping[str, str], invocations: Invocations
    ) -> None:
        self._function = function
        self._invocations = invocations
        self._schedule = parse(resolve(function.trigger["schedule"], settings))
        self._storage = connection_string("AzureWebJobsStorage", settings)
        self._lock = f"locks/{host_id}/{function.name}.Listener"
        self._monitor: ScheduleMonitor | None = None
        if function.trigger.get("useMonitor") is not False and self._interval() >= MONITORED:
            self._monitor = ScheduleMonitor(self._storage, host_id, function.name)
        self._status: ScheduleStatus | None = None
        self._last: datetime | None = None

    def _interval(self) -> timedelta:
        first = self._schedule.after(datetime.now(UTC))
        return self._schedule.after(first) - first

    async def run(self) -> None:
        """Fires on schedule while this host holds the lease, until canceled."""
        while True:
            async with held(self._storage, self._lock) as lease:
                firing, keeping = asyncio.create_task(self._fire()), asyncio.create_task(keep(lease))
                try:
                    await asyncio.wait({firing, keeping}, return_when=asyncio.FIRST_COMPLETED)
                    if firing.done():
                        firing.result()
                finally:
                    firing.cancel()
                    keeping.cancel()
                    await asyncio.gather(firing, keeping, return_exceptions=True)

    async def _fire(self) -> None:
        if self._monitor is not None:
            now = datetime.now(UTC)
            self._status = await self._monitor.read()
            if self._status is None:
                self._status = ScheduleStatus(NEVER, self._schedule.after(now), NEVER)
                await self._monitor.write(self._status)
            elif self._status.next < now:
                await self._fire_scheduled(now, past_due=True)
        if self._function.trigger.get("runOnStartup") and self._last is None:
            await self.fire_now()
        while True:
            now = datetime.now(UTC)
            due = self._schedule.after(max(now, self._last or now))
            await asyncio.sleep((due - now).total_seconds())
            await self._fire_scheduled(due)

    async def _fire_scheduled(self, due: datetime, *, past_due: bool = False) -> None:
        self._last = due
        await self._invoke(scheduled=True, past_due=past_due)
        if self._monitor is not None:
            self._status = ScheduleStatus(due, self._schedule.after(due), datetime.now(UTC))
            await self._monitor.write(self._status)

    async def fire_now(self) -> None:
        """Invokes the function once, with its retries, in addition to its schedule."""
        await self._invoke(scheduled=False)

    async def _invoke(self, *, scheduled: bool, past_due: bool = False) -> None:
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": None if self._status is None else self._status.as_json(),
            "IsPastDue": past_due,
        }
        fired = Typed("string", f"{datetime.now(UTC):%m/%d/%Y %H:%M:%S}")
        call = Call(data=json.dumps(info), metadata={"TimerTrigger": fired})
        await self._invocations.run(self._function, call, scheduled=scheduled)
