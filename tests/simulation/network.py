"""Many partitions: exporters and timers run the real code, and time passes with every storage call.

Every actor is a greenlet that stops at each storage call. The call takes effect some milliseconds of
simulated time later, interleaved with the calls of all others. One seed decides everything.
"""

import heapq
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from greenlet import GreenletExit, getcurrent, greenlet

from shared.commands import dead_letter_replay
from shared.connections import observations, state_table
from shared.connections.manifest import NAME, Manifest
from shared.connections.observations import NEVER, UNKNOWN
from shared.connections.timer import Finisher
from shared.errors import OutcomeUnknown, StorageError
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.hub import HubState, Position
from shared.protocol.ledger import Ledger
from shared.timeunits import HOUR, MINUTE, SECOND
from tests.memory import MemoryStorage
from tests.records import EPOCH
from tests.simulation import erasing
from tests.simulation.traffic import AHEAD, PARTITIONS, Traffic, make

STALENESS = 5 * SECOND
REMEMBERED = HOUR
SLOWEST = 60 * SECOND
"""The maximum time from reading other partitions' starts to the ledger write."""


@dataclass(frozen=True)
class Options:
    """The faults and sizes of a world."""

    connections: int = 1000
    idle: int = 24
    """Hours."""
    faults: int = 3
    """The number of storage calls in a thousand whose request or answer is lost."""
    crashes: int = 2
    """The number of storage calls in a thousand at which the actor dies."""
    replays: bool = False
    """Two operators replay dead letters all the time instead of only once at the end."""
    erase: bool = False
    """Two operators erase one client's rows, again and again. All formats are written."""


class NetworkStorage(MemoryStorage):
    """Storage in which every call of an actor waits for its simulated time."""

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        parent = getcurrent().parent
        if parent is None:
            return effect()
        answer: T = parent.switch((kind, name, effect))
        return answer


class Network:
    """Four partitions, the exporters that own them, rival owners, and two timers."""

    def __init__(self, seed: int, options: Options) -> None:
        self.options = options
        self.random = rng = np.random.default_rng(seed)
        self.now = EPOCH
        self.storage = NetworkStorage(lambda: self.now, hierarchical=seed % 2 == 1)
        self.recreated = bool(rng.random() < 0.5)
        self.traffic: Traffic = make(rng, options.connections, recreated=self.recreated)
        self.formats = erasing.FORMATS if options.erase else ("parquet",)
        self.policy = FinishPolicy(
            opening=("connectionopened",),
            closing=("connectionclosed",),
            idle=timedelta(hours=options.idle),
            late=timedelta(hours=6),
            formats=self.formats,
        )
        self.stalled = {
            partition: self._interval(30, 300) if rng.random() < 0.35 else (0, 0) for partition in PARTITIONS
        }
        self.down = self._interval(300, 1440) if rng.random() < 0.4 else (0, 0)
        self.anew = next(
            (n for n, one in enumerate(self.traffic.envelopes[PARTITIONS[0]]) if n and one.sequence == 0),
            None,
        )
        self.checkpoint = dict.fromkeys(PARTITIONS, 0)
        self.late_by = self.traffic_end()
        self.ends = self.late_by + (options.idle + 8) * HOUR
        self._heap: list[tuple[int, int, _Actor]] = []
        self._turn = self._ids = 0
        self.calls: dict[str, int] = {}
        self.committed: dict[bytes, list[Committed]] = {}
        self.too_late: list[str] = []
        self.too_early: list[str] = []
        self.clocks: list[tuple[int, int]] = [(0, -1)]
        self.forgotten: dict[bytes, tuple[int, Manifest]] = {}
        self._kept = np.empty(0, "S16")
        self.seen: Counter[str] = Counter()
        self.not_erased: list[str] = []
        """What the last erasures left."""
        self._start("exporter a", lambda: self._export(PARTITIONS[:2], rival=False))
        self._start("exporter b", lambda: self._export(PARTITIONS[2:], rival=False))
        self._start("rival", lambda: self._export(PARTITIONS, rival=True))
        self._start("timer a", self._finish)
        self._start("timer b", self._finish)
        for name in ("operator a", "operator b") if options.replays else ():
            self._start(name, self._replay)
        for name in ("eraser a", "eraser b") if options.erase else ():
            self._start(name, self._erase)

    def traffic_end(self) -> int:
        return max(envelopes[-1].enqueued for envelopes in self.traffic.envelopes.values())

    def run(self) -> None:
        """Runs until everything has arrived and every window has passed."""
        while self._heap and self._heap[0][0] < self.ends:
            self.now, _, actor = heapq.heappop(self._heap)
            wait = actor.go_on()
            if wait is None:
                actor.begin()
                wait = self._between(1, 5 * 60) * SECOND
            self._turn += 1
            heapq.heappush(self._heap, (self.now + wait, self._turn, actor))
        for _, _, actor in self._heap:
            actor.kill()
        self.now = self.ends
        replay_letters(self, dead_letter_replay.Choice())
        self._come_to_rest()
        if self.options.erase:
            self.now += 2 * HOUR
            self._come_to_rest()
            self.not_erased += erasing.erase_the_rest(self)
            self._come_to_rest()
            self.now += HOUR  # the timer deletes what was replaced
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        for _ in range(2):
            assert Finisher(self.storage, self, self.policy, lambda: self.now, self.new_id).run(600).complete

    def new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:032x}"

    # -- the hub -----------------------------------------------------------------------------------

    def ask(self) -> HubState:
        """See shared.protocol.hub.Hub."""
        self.storage.call("ask", "hub", lambda: None)
        positions = {}
        created = EPOCH - HOUR
        for partition in PARTITIONS:
            there = self.available(partition, 0, self.now)
            last = there[-1] if there else None
            positions[partition] = Position(
                last=last.sequence if last else -1, enqueued=last.enqueued if last else -1, empty=last is None
            )
        return HubState(created, positions)

    def available(self, partition: HubPartition, position: int, until: int) -> list[Envelope]:
        """Returns the events from this position on. A hub is re-created once the old one is committed."""
        envelopes = self.traffic.envelopes[partition]
        end = int(np.searchsorted(self._arrivals(partition), until, side="right"))
        if partition == PARTITIONS[0] and self.anew is not None and end > self.anew:
            ledger = self.ledger(partition)
            if ledger is None or (
                ledger.incarnation.number == 0 and (ledger.incarnation.next or 0) < self.anew
            ):
                end = self.anew
        return envelopes[position:end]

    def _arrivals(self, partition: HubPartition) -> np.ndarray[Any, Any]:
        cache = self.__dict__.setdefault("_arrived", {})
        if partition not in cache:
            cache[partition] = np.array([one.enqueued for one in self.traffic.envelopes[partition]])
        found: np.ndarray[Any, Any] = cache[partition]
        return found

    # -- actors ------------------------------------------------------------------------------------

    def _export(self, partitions: tuple[HubPartition, ...], *, rival: bool) -> None:
        policy = ExportPolicy(formats=self.formats, commit_bytes=1 << 20)
        exporter = Exporter(self.storage, policy, 1 << 24, lambda: self.now, self.new_id, STALENESS)
        position = dict(self.checkpoint)
        if rival:
            # It starts before the checkpoint, so these events are delivered again.
            position = {partition: max(0, at - self._between(0, 60)) for partition, at in position.items()}
        while True:
            for partition in partitions:
                began, ended = self.stalled[partition]
                batch = self.available(partition, position[partition], self.now)[: self._between(1, 600)]
                if not batch or began < self.now < ended:
                    continue
                while True:
                    try:
                        exporter.run(partition, batch)
                        break
                    except StorageError:
                        self._sleep(self._between(1, 20) * SECOND)
                position[partition] += len(batch)
                self.checkpoint[partition] = max(self.checkpoint[partition], position[partition])
            self._sleep(int(self.random.exponential(90 * MINUTE if rival else 10 * MINUTE)))

    def _finish(self) -> None:
        finisher = Finisher(self.storage, self, self.policy, lambda: self.now, self.new_id)
        while True:
            if self.down[0] < self.now < self.down[1]:
                self._sleep(self.down[1] - self.now)
            with suppress(StorageError):
                finisher.run(240)
            self._sleep_until_the_next_run()

    def _replay(self) -> None:
        """Replays occasionally, before connections are finished and after they are forgotten."""
        while True:
            self._sleep(int(self.random.exponential(6 * HOUR)))
            since = EPOCH + self._between(0, 10 * 60) * MINUTE
            with suppress(StorageError):
                replay_letters(self, dead_letter_replay.Choice(since=since, until=since + 3 * HOUR))

    def _erase(self) -> None:
        while True:
            self._sleep(int(self.random.exponential(2 * HOUR)))
            self._sleep_until_the_next_run()
            with suppress(StorageError):
                erasing.erasure(self).erase(lambda *_: None)
                self.seen["erased"] += 1

    def _start(self, name: str, main: Callable[[], None]) -> None:
        actor = _Actor(name, main, self)
        self._turn += 1
        heapq.heappush(self._heap, (self.now + self._between(0, 60) * SECOND, self._turn, actor))

    def _sleep(self, wait: int) -> None:
        parent = getcurrent().parent
        assert parent
        parent.switch(wait)

    def _sleep_until_the_next_run(self) -> None:
        """Timers wake at the same moment."""
        every = (20 if self.now < EPOCH + 16 * HOUR else 90) * MINUTE
        self._sleep(every - self.now % every + self._between(0, 100_000))

    # -- calls -------------------------------------------------------------------------------------

    def latency(self) -> int:
        return self._between(2, 30) * 1000 if self.random.random() < 0.99 else self._between(100, 3000) * 1000

    def answer(
        self, kind: str, name: str, effect: Callable[[], Any]
    ) -> tuple[Any, StorageError | None] | None:
        """Returns the outcome of a call; None if its caller dies."""
        self.calls[kind] = self.calls.get(kind, 0) + 1
        lot = int(self.random.integers(0, 1000))
        dies, lost = (
            lot < self.options.crashes,
            self.options.crashes <= lot < self.options.crashes + self.options.faults,
        )
        unclear = OutcomeUnknown(f"{kind} {name}: no answer")
        if (dies or lost) and self.random.random() < 0.5:
            return None if dies else (None, unclear)
        try:
            result = effect()
        except StorageError as error:
            return None if dies else (None, error)
        if kind == "write" and name.startswith("ledgers/"):
            self._committed(name)
        if kind == "write" and name == NAME:
            self._forgot()
        return None if dies else (None, unclear) if lost else (result, None)

    def _committed(self, name: str) -> None:
        """Checks start times: none is later than one committed before the bound, and none is forgotten."""
        ledger = Ledger.parse(self.storage.state[name].data, name)
        if not ledger.segments or ledger.segments[-1].ordinal != ledger.ordinal:
            return
        observed = observations.load(self.storage.state[ledger.segments[-1].name].data)
        seen = observed["last_seen"].to_pylist()
        starts = observed["first"].to_pylist()
        late = self.now - 6 * HOUR
        bound = self.now - STALENESS - SLOWEST
        told = self._told(ledger)
        if self.options.erase:  # a start of his may be erased
            his = observed.filter(pa.array(erasing.HIS.state(observed)))
            told = {
                key: start for key, start in told.items() if key not in {*observations.keys(his).tolist()}
            }
        for key, first, last in zip(observations.keys(observed).tolist(), starts, seen, strict=True):
            before = self.committed.setdefault(key, [])
            must = min(
                (one.start for one in before if one.time <= bound and one.arrival >= late), default=first
            )
            if key in told and told[key] > must:
                self.too_late.append(
                    f"{name} {ledger.ordinal}: start {told[key] - must} µs after one that was known"
                )
            if key in told and told[key] < min(first, self._still_known(key, before, bound)):
                self.too_early.append(f"{name} {ledger.ordinal}: a start that was forgotten: {key!r}")
            before.append(Committed(self.now, first, last, ledger))

    def _forgot(self) -> None:
        """Records which connections the state table has dropped."""
        current = self.manifest()
        parts = [observations.load(self.storage.state[part.name].data) for part in current.parts]
        kept = np.concatenate([np.empty(0, "S16"), *(state_table.key_of(part) for part in parts)])
        self.forgotten |= dict.fromkeys(np.setdiff1d(self._kept, kept).tolist(), (current.clock, current))
        self._kept = kept
        self.clocks.append((self.now, current.clock))

    def _still_known(self, key: bytes, before: list["Committed"], bound: int) -> int:
        """Returns the earliest start that a process may know of a connection that the state table dropped.

        A process may know earlier starts for `REMEMBERED` longer, by the clock of the state table.
        """
        clock, then = self.forgotten.get(key, (NEVER, Manifest()))
        if clock + REMEMBERED > self.clocks[bisect_right(self.clocks, (bound, NEVER)) - 1][1]:
            return min((one.start for one in before), default=UNKNOWN)
        after = (one.start for one in before if one.ledger.ordinal > then.watermark(one.ledger))
        return min(after, default=UNKNOWN)

    def _told(self, ledger: Ledger) -> dict[bytes, int]:
        """Checks the start times that a commit wrote, for one commit in eight."""
        if ledger.ordinal % 8:
            return {}
        told: dict[bytes, int] = {}
        for file in ledger.files:
            if file.name.startswith("parquet/"):
                table = read(self.storage.output[file.name].blocks[file.block_ids[0]][0])
                keys = observations.keys(table).tolist()
                told |= zip(keys, table["ConnectionStartTime"].cast("int64").to_pylist(), strict=True)
        return told

    # -- the outcome ---------------------------------------------------------------------------------

    def ledger(self, partition: HubPartition) -> Ledger | None:
        blob = self.storage.state.get(Ledger.name(partition))
        return Ledger.parse(blob.data, "ledger") if blob else None

    def manifest(self) -> Manifest:
        return Manifest.parse(self.storage.state[NAME].data)

    def _between(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def _interval(self, shortest: int, longest: int) -> tuple[int, int]:
        """Returns a time within the ten hours of traffic, in minutes."""
        begins = EPOCH + self._between(50, 500) * MINUTE
        return begins, begins + self._between(shortest, longest) * MINUTE


class Committed(NamedTuple):
    """The start times that a commit wrote for a connection."""

    time: int
    start: int
    arrival: int
    ledger: Ledger


class _Actor:
    """A process that advances by one storage call at a time, and restarts when it dies."""

    def __init__(self, name: str, main: Callable[[], None], network: Network) -> None:
        self.name = name
        self._main = main
        self._network = network
        self.begin()

    def begin(self) -> None:
        self._green = greenlet(self._main)
        self._call: tuple[str, str, Callable[[], Any]] | None = None

    def go_on(self) -> int | None:
        """Makes the pending call, runs on to the next one, and returns the time until then; None: it died."""
        if self._call is None:
            request = self._green.switch()
        else:
            answer = self._network.answer(*self._call)
            if answer is None:
                self.kill()
                return None
            result, error = answer
            if self._call[:2] == ("write", NAME) and not error:
                self._network.seen[f"manifests of {self.name}"] += 1
            request = self._green.throw(error) if error else self._green.switch(result)
        if self._green.dead:
            raise AssertionError(f"{self.name} ended")
        self._call = request if isinstance(request, tuple) else None
        return self._network.latency() if self._call else int(request)

    def kill(self) -> None:
        if not self._green.dead:
            self._green.throw(GreenletExit)


def replay_letters(network: Network, choice: dead_letter_replay.Choice) -> None:
    """Replays these dead letters with settings that accept them."""
    policy = ExportPolicy(
        formats=network.formats, commit_bytes=1 << 20, max_lead=2 * AHEAD * timedelta(microseconds=1)
    )
    exporter = Exporter(network.storage, policy, 1 << 24, lambda: network.now, network.new_id, STALENESS)
    dead_letter_replay.replay(
        network.storage, exporter, policy, choice, dry_run=False, progress=lambda *_: None
    )


def read(data: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(data)).read()
