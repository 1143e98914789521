"""Models the metrics that an exporter reports about synthetic traffic, with the program's rules for lag."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.protocol.hub import Position
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Counts, Ledger
from tests.infra.workspace import Metric

MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 2)  # noqa: DTZ001 - KQL's times are UTC and say so nowhere
TICK = 10
"""Seconds in a step; commits wait for 64 events or 30 s (host.json)."""
TIMER_DELAY = 5
"""Seconds after the full minute at which the timer queries the hub."""

type Arrivals = Callable[[int, int], int]
"""Returns the events that reach a partition in the ten seconds from this second on."""
type During = Callable[[int], bool]
"""Whether a condition holds in this second."""


def never(_: int) -> bool:
    return False


@dataclass(slots=True)
class Partition:
    """A partition of the hub and its committed events."""

    arrived: int = 0
    last: int = 0
    """The second in which the newest event arrived."""
    waiting: deque[tuple[int, int]] = field(default_factory=deque)
    """The seconds and numbers of events that are not committed."""
    committed: int = 0
    newest: int = -1

    def arrive(self, second: int, events: int) -> None:
        if events:
            self.arrived += events
            self.last = second
            self.waiting.append((second, events))

    def commit(self, second: int, most: int) -> int:
        """Commits what the trigger would have delivered, at most `most` events; returns their number."""
        ready = sum(number for _, number in self.waiting) >= 64 or (
            bool(self.waiting) and second - self.waiting[0][0] >= 30
        )
        done = 0
        while ready and self.waiting and done < most:
            since, number = self.waiting.popleft()
            taken = min(number, most - done)
            if taken < number:
                self.waiting.appendleft((since, number - taken))
            done += taken
            self.newest = since
        self.committed += done
        return done

    def lag(self, second: int) -> tuple[int, float]:
        """Returns the lag in envelopes and seconds, as the timer finds it."""
        position = Position(self.arrived - 1, self.last * 1_000_000, empty=self.arrived == 0)
        life = Incarnation(
            next=self.committed or None, newest=self.newest * 1_000_000 if self.committed else -1
        )
        ledger = Ledger(ledger_id="0" * 32, partition="ns/hub/0", incarnation=life, counts=Counts())
        lag = position.lag(ledger, second * 1_000_000)
        return lag.envelopes, lag.seconds


@dataclass(frozen=True, slots=True)
class Model:
    """An exporter, its traffic, and its faults."""

    arrivals: Arrivals
    partitions: int = 2
    rate: int = 200
    """Events that a partition exports per second at most."""
    retention: int = 168 * 3600
    exporting: During = lambda _: True
    timer: During = lambda _: True
    compacting: During = lambda _: True

    def reports(self, minutes: int) -> Iterator[Metric]:
        """Returns the metrics of this many minutes from START on."""
        partitions = [Partition() for _ in range(self.partitions)]
        for minute in range(minutes):
            commits = [0] * self.partitions
            events = [0] * self.partitions
            for second in range(minute * 60, minute * 60 + 60, TICK):
                for number, partition in enumerate(partitions):
                    partition.arrive(second, self.arrivals(number, second))
                    if self.exporting(second):
                        done = partition.commit(second, self.rate * TICK)
                        commits[number] += done > 0
                        events[number] += done
            yield from self._minute(minute + 1, partitions, commits, events)

    def _minute(
        self, minute: int, partitions: list[Partition], commits: list[int], events: list[int]
    ) -> Iterator[Metric]:
        second = minute * 60 + TIMER_DELAY
        time = START + timedelta(seconds=second)
        for number, partition in enumerate(partitions):
            at = {"partition": f"ns/hub/{number}"}
            if commits[number]:
                yield Metric(time, "commits", commits[number], at)
                yield Metric(time, "envelopes", events[number], at)
                yield Metric(time, "gaps.new", 0, at)
                yield Metric(time, "unbalanced", 0, at)
                yield Metric(time, "quarantined", 0, at)
            if self.timer(second):
                envelopes, seconds = partition.lag(second)
                yield Metric(time, "lag.envelopes", envelopes, at)
                yield Metric(time, "lag.time", seconds, at)
                yield Metric(time, "retention.headroom", self.retention - seconds, at)
        if any(commits):
            yield Metric(time, "runs", sum(commits), {"function": "export_logs"})
        if self.timer(second):
            yield Metric(time, "runs", 1, {"function": "finish_connections"})
            yield Metric(time, "alarms", 0, {"function": "finish_connections"})
            yield Metric(time, "connections.capped", 0, {})
        if minute % 10 == 0 and self.compacting(second):
            yield Metric(time, "runs", 1, {"function": "compact_logs"})
            yield Metric(time, "alarms", 0, {"function": "compact_logs"})
            yield Metric(time, "compaction.pending.age", 0, {})
