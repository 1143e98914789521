"""How received events are grouped into invocations, for one source.

After `PartitionProcessorEventsManager` and `PartitionProcessor.MonitorCachedEvents` in azure-sdk-for-net
(`sdk/eventhub/Microsoft.Azure.WebJobs.Extensions.EventHubs/src/Listeners`): with a minimum above one,
events are held until the minimum is there or the oldest has waited long enough; the first group after a
claim does not wait. (The real one shortens that first wait by the age of the last checkpoint.)
"""

from collections import deque
from collections.abc import Sequence


class Batches[Event]:
    """The events of one source that wait for their invocation.

    Args:
        minimum: host.json `minEventBatchSize`.
        maximum: host.json `maxEventBatchSize`, never exceeded.
        wait: host.json `maxWaitTime` in seconds, of effect only with a minimum above one.
    """

    def __init__(self, minimum: int, maximum: int, wait: float) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._wait = wait if minimum > 1 else 0
        self._held: deque[Event] = deque()
        self._since: float | None = None
        self._first = True

    def add(self, events: Sequence[Event], now: float) -> None:
        """Takes received events, in their order, at the time `now` (seconds of any steady clock)."""
        self._held.extend(events)
        if self._since is None and self._held:
            self._since = now

    def take(self, now: float) -> list[Event]:
        """The next batch that is due at the time `now`; empty when there is none."""
        if self._since is None:
            return []
        waited = self._first or now - self._since >= self._wait
        if len(self._held) < self._minimum and not waited:
            return []
        self._first = False
        batch = [self._held.popleft() for _ in range(min(self._maximum, len(self._held)))]
        self._since = now if self._held else None
        return batch
