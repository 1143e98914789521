"""Groups received events into invocations, for one partition.

After `PartitionProcessorEventsManager` and `PartitionProcessor.MonitorCachedEvents` in azure-sdk-for-net
(`sdk/eventhub/Microsoft.Azure.WebJobs.Extensions.EventHubs/src/Listeners`): with a minimum above one,
events are held until the minimum is there or the oldest has waited long enough.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Batch[Event]:
    """The events of one invocation."""

    events: list[Event]
    partial: bool
    """Fewer than the minimum: `maxWaitTime` brought it about, not the events' number."""


class Batches[Event]:
    """The events of one partition that wait for their invocation.

    Args:
        minimum: host.json `minEventBatchSize`.
        maximum: host.json `maxEventBatchSize`, never exceeded.
        wait: host.json `maxWaitTime` in seconds; it has an effect only with a minimum above one.
        checkpoint_age: seconds since the partition's checkpoint was written, None if there is none. The first
            partial batch after a claim waits that much less.
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
        """Take received events, in their order, at the time `now` (seconds of any steady clock)."""
        self._held.extend(events)
        if self._since is None and self._held:
            self._since = now

    def take(self, now: float) -> Batch[Event] | None:
        """Return the batch that is due at the time `now`, if there is one."""
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

    def fall_asleep(self) -> None:
        """Stop the timer: later events wait until there are as many as the minimum.

        This is what the failed checkpoint write after a partial batch does to the real trigger: the task that
        watches the time ends with that error, and only a full batch, or a new claim, starts another.
        """
        self._asleep = True
