"""Runs invocations under the function's retry policy; every attempt runs to completion and is reported."""

import asyncio
from dataclasses import replace

from local.emulators.functions_host.configuration import Function
from local.emulators.functions_host.retry import RetryPolicy
from local.emulators.functions_host.status import Status
from local.emulators.functions_host.worker_handle import Call, Outcome, Worker


class Invocations:
    """Runs the invocations of all triggers of a host.

    Args:
        worker: runs the attempts.
        status: where each attempt is reported.
        time_scale: the factor for the delays of retries (1: as in the real host).
    """

    def __init__(self, worker: Worker, status: Status, time_scale: float = 1) -> None:
        self._worker = worker
        self._status = status
        self._time_scale = time_scale
        self._running: set[asyncio.Task[Outcome]] = set()
        self.stopping = False
        """Whether the host was told to stop: invocations that end after that write no checkpoint."""

    async def run(self, function: Function, call: Call, **fields: object) -> Outcome:
        """Returns the last outcome, after at most the retries that the policy allows.

        Canceling ends the retries, but not the attempt in flight, because Python functions cannot be
        canceled. Every attempt has the same invocation id and trace parent.

        Args:
            function: the function to invoke.
            call: its arguments; this method fills in the retry numbers.
            fields: additional fields of the status lines.
        """
        policy = RetryPolicy.of(function.retry)
        retry = 0
        call = replace(call, max_retry_count=policy.count)
        while True:
            attempt = asyncio.create_task(self._attempt(function, call, fields))
            self._running.add(attempt)
            attempt.add_done_callback(self._running.discard)
            outcome = await asyncio.shield(attempt)
            retry += 1
            if outcome.ok or not policy.allows(retry):
                return outcome
            call = replace(call, retry_count=retry, retry_error=outcome.error)
            await asyncio.sleep(policy.delay(retry) * self._time_scale)

    async def _attempt(self, function: Function, call: Call, fields: dict[str, object]) -> Outcome:
        if call.unbindable is None:
            outcome = await self._worker.invoke(function, call)
        else:
            outcome = Outcome(ok=False, error=call.unbindable, seconds=0)
        self._status.report(
            "invocation",
            function=function.name,
            **fields,
            ok=outcome.ok,
            retry=call.retry_count,
            seconds=round(outcome.seconds, 3),
            error=outcome.error,
        )
        return outcome

    async def settle(self, grace: float) -> None:
        """Waits until no attempt is in flight, at most `grace` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        while self._running and (left := deadline - loop.time()) > 0:
            await asyncio.wait(self._running, timeout=left)
