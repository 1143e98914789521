"""Runs invocations under the function's retry policy; every attempt runs to completion and is reported."""

import asyncio
from dataclasses import replace

from local.functions.configuration import Function
from local.functions.retry import RetryPolicy
from local.functions.status import Status
from local.functions.workers import Call, Outcome, Worker


class Invocations:
    """What all triggers of a host share."""

    def __init__(self, worker: Worker, status: Status) -> None:
        self._worker = worker
        self._status = status
        self._running: set[asyncio.Task[Outcome]] = set()
        self._stopping = asyncio.Event()
        self._never = asyncio.Event()

    async def run(self, function: Function, call: Call, **fields: object) -> Outcome:
        """The last outcome, after as many retries as the policy allows.

        Once the host is stopping it does not return, so that nobody acts on the outcome (as the checkpoint
        of a batch whose invocation ended after the signal): the caller is then to be cancelled. Cancelling
        does not stop the attempt in flight, for Python functions get no cancellation.

        Args:
            function: what to invoke.
            call: what to hand over; the numbers for the retry are filled in here.
            fields: go into the status lines.
        """
        policy = RetryPolicy.of(function.retry)
        retry = 0
        while True:
            if self._stopping.is_set():
                await self._never.wait()
            # The first attempt has no retry context in the real host, which Python sees as zeros.
            numbered = replace(call, retry_count=retry, max_retry_count=policy.count) if retry else call
            attempt = asyncio.create_task(self._attempt(function, numbered, fields))
            self._running.add(attempt)
            attempt.add_done_callback(self._running.discard)
            outcome = await asyncio.shield(attempt)
            if self._stopping.is_set():
                await self._never.wait()
            retry += 1
            if outcome.ok or not policy.allows(retry):
                return outcome
            try:
                await asyncio.wait_for(self._stopping.wait(), policy.delay(retry))
            except TimeoutError:
                continue

    async def _attempt(self, function: Function, call: Call, fields: dict[str, object]) -> Outcome:
        outcome = await self._worker.invoke(function, call)
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

    async def stop(self, grace: float) -> None:
        """Starts nothing more, and waits up to `grace` seconds for what is in flight."""
        self._stopping.set()
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
