"""Groups received events into invocations, for one partition.

It follows `PartitionProcessorEventsManager` and `PartitionProcessor.MonitorCachedEvents` in azure-sdk-for-net
(`sdk/eventhub/Microsoft.Azure.WebJobs.Extensions.EventHubs/src/Listeners`): with a minimum above one, events
wait until the minimum is reached or the oldest event has waited for `maxWaitTime`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Batch[Event]:
    """The events of one invocation."""

    events: list[Event]
    partial: bool
    """Whether the batch has fewer events than the minimum, because `maxWaitTime` passed first."""


class Batches[Event]:
    """The events of one partition that are waiting for their invocation.

    Args:
        minimum: host.json `minEventBatchSize`.
        maximum: host.json `maxEventBatchSize`, never exceeded.
        wait: host.json `maxWaitTime` in seconds; it has an effect only with a minimum above one.
        checkpoint_age: seconds since the partition's checkpoint was written, None if there is none. The wait
            of the first partial batch after a claim is shorter by this time.
    """

    def __init__(self, minimum: int, maximum: int, wait: float, checkpoint_age: float | None = None) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._wait = wait if minimum > 1 else 0
        self._first_wait = 0 if checkpoint_age is None else max(0, self._wait - checkpoint_age)
        self._held: deque[Event] = deque()
        self._since: float | None = None
        self._first = True
        self._asleep = False

    def __len__(self) -> int:
        return len(self._held)

    def add(self, events: Sequence[Event], now: float) -> None:
        """Adds received events, in order, at the time `now` (in seconds of any monotonic clock)."""
        self._held.extend(events)
        if self._since is None and self._held:
            self._since = now

    def take(self, now: float) -> Batch[Event] | None:
        """Returns the batch that is due at the time `now`, if there is one."""
        if self._since is None:
            return None
        partial = len(self._held) < self._minimum
        if partial and (
            self._asleep or now - self._since < (self._first_wait if self._first else self._wait)
        ):
            return None
        self._first = False
        # A full batch restarts the timer.
        self._asleep = False
        events = [self._held.popleft() for _ in range(min(self._maximum, len(self._held)))]
        self._since = now if self._held else None
        return Batch(events, partial)

    def stop_timer(self) -> None:
        """Stops the timer, so that later events wait until the minimum is reached.

        In the real trigger, this happens when the checkpoint write after a partial batch fails: the task that
        watches the time ends with that error, and only a full batch or a new claim starts another one.
        """
        self._asleep = True
