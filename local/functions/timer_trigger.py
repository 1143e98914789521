"""The listener for one timerTrigger function: fires on schedule, on one host at a time, or on demand.

After `TimerListener` in azure-webjobs-sdk-extensions (`src/WebJobs.Extensions/Extensions/Timers/Listener`).
The real one also keeps the schedule's status in a blob and fires at once when it missed an occurrence while
no host ran (`IsPastDue`): here the status lives as long as the process, and `IsPastDue` is always false.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from local.functions.configuration import Function, connection_string, resolve
from local.functions.invocations import Invocations
from local.functions.lease import held, keep
from local.functions.schedule import parse
from local.functions.workers import Call


class TimerTrigger:
    """Fires one function.

    Args:
        function: the timer function; raises `AppError` when its schedule says nothing.
        host_id: names the app: hosts with the same id and storage share one lease per function.
        settings: where `%NAME%` and AzureWebJobsStorage are looked up.
        invocations: runs them.
    """

    def __init__(
        self, function: Function, host_id: str, settings: Mapping[str, str], invocations: Invocations
    ) -> None:
        self._function = function
        self._invocations = invocations
        self._schedule = parse(resolve(function.trigger["schedule"], settings))
        self._storage = connection_string("AzureWebJobsStorage", settings)
        self._lock = f"locks/{host_id}/{function.name}.Listener"
        self._last: datetime | None = None

    async def run(self) -> None:
        """Fires on schedule while this host holds the lease, until cancelled."""
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
        if self._function.trigger.get("runOnStartup") and self._last is None:
            await self.fire_now()
        while True:
            now = datetime.now(UTC)
            due = self._schedule.after(max(now, self._last or now))
            await asyncio.sleep((due - now).total_seconds())
            await self.fire_now(due)

    async def fire_now(self, due: datetime | None = None) -> None:
        """One invocation with its retries; `due` is the occurrence it belongs to, if any."""
        now = due or datetime.now(UTC)
        last, self._last = self._last, now
        monitored = self._function.trigger.get("useMonitor") is not False
        status = {
            "Last": (last or datetime.min.replace(tzinfo=UTC)).isoformat(),
            "Next": self._schedule.after(now).isoformat(),
            "LastUpdated": (last or datetime.min.replace(tzinfo=UTC)).isoformat(),
        }
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status if monitored else None,
            "IsPastDue": False,
        }
        call = Call(data=json.dumps(info))
        await self._invocations.run(self._function, call, scheduled=due is not None)
