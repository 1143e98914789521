"""A process knows all start times that were committed anywhere, even while they are merged."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.connections import start_times
from shared.connections.manifest import NAME, Manifest
from shared.connections.observations import UNKNOWN
from shared.connections.start_times import StartTimeIndex, StartTimes
from shared.connections.timer import Finisher
from shared.errors import LedgerMissing, LedgerRolledBack
from shared.export.exporter import Exporter
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.ledger import Ledger
from shared.timeunits import SECOND
from tests import records
from tests.memory import MemoryStorage, StillHub
from tests.records import EPOCH, ONE, TWO
from tests.shared.connections.test_observations import observed

STALENESS = 5 * SECOND


class World:
    """Two processes that export one partition each, and a timer."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.storage = Interrupted()
        self._ids = (f"{n:032x}" for n in count())
        self._sequences: dict[HubPartition, Iterator[int]] = {ONE: count(), TWO: count()}
        self.exporters = {partition: self.exporter() for partition in (ONE, TWO)}

    def exporter(self) -> Exporter:
        return Exporter(
            self.storage, ExportPolicy(), 1 << 20, lambda: self.now, lambda: next(self._ids), STALENESS
        )

    def known(self) -> StartTimes:
        return StartTimes(self.storage, STALENESS, lambda: self.now)

    def commit(self, partition: HubPartition, *ids: str, time: int = 0) -> list[dict[str, Any]]:
        """Commits one record for each id, and returns the exported rows."""
        self.now += SECOND
        found = (records.record(EPOCH + time * SECOND, id_, "e") for id_ in ids)
        envelope = records.envelope(next(self._sequences[partition]), self.now, *found)
        (commit,) = self.exporters[partition].run(partition, [envelope])
        rows: list[dict[str, Any]] = []
        for file in commit.files:
            rows += pa.parquet.read_table(
                pa.BufferReader(self.storage.output[file.pending.name].data)
            ).to_pylist()
        return rows

    def finish(self) -> None:
        summary = Finisher(
            self.storage, StillHub(), FinishPolicy(), lambda: self.now, lambda: next(self._ids)
        ).run(60)
        assert summary.complete

    def ledger(self, partition: HubPartition) -> Ledger:
        return Ledger.parse(self.storage.state[Ledger.name(partition)].data, "")


class Interrupted(MemoryStorage):
    """Lets a test act before each call."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], None] | None = None
        self.calls: list[str] = []

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        self.calls.append(f"{kind} {name}")
        before, self.before = self.before, None
        if before:
            before()
            self.before = before
        return effect()


def start(start_times: StartTimes, id_: str) -> int | None:
    """Returns the known start time in seconds."""
    row = {"CorrelationId": id_, "EventName": "e", "TimeGenerated": 0, "_EnqueuedTime": 0}
    (found,) = start_times.earliest(observed([row]))[0].tolist()
    return None if found == UNKNOWN else (found - EPOCH) // SECOND


@pytest.fixture
def world() -> World:
    return World()


def test_starts_of_other_partitions_are_known_after_the_staleness(world: World) -> None:
    world.commit(ONE, "x")
    world.commit(TWO, "a", time=-10)
    assert world.commit(ONE, "a", time=5)[0]["ConnectionDurationMs"] is None
    world.now += STALENESS
    assert world.commit(ONE, "a", time=5)[0]["ConnectionDurationMs"] == 15_000


def test_own_commits_are_known_at_once_without_reading(world: World) -> None:
    world.commit(ONE, "a")
    world.storage.calls.clear()
    assert world.commit(ONE, "a", time=2)[0]["ConnectionDurationMs"] == 2000
    assert not [call for call in world.storage.calls if call.startswith(("read", "names"))]


def test_other_ledgers_are_read_once_per_staleness(world: World) -> None:
    world.commit(TWO, "a")
    for _ in range(4):
        world.commit(ONE, "a")
    assert len([call for call in world.storage.calls if call == "names ledgers/"]) == 2


def test_a_merged_start_is_known_to_a_new_process(world: World) -> None:
    world.commit(ONE, "a", "b", time=3)
    world.finish()
    world.now += start_times.KEPT + STALENESS
    world.commit(ONE, "c", time=4)
    assert not [one for one in world.ledger(ONE).segments if one.ordinal == 1]
    new = world.known()
    new.refresh(
        world.ledger(TWO)
        if Ledger.name(TWO) in world.storage.state
        else Ledger(ledger_id="n", partition=str(TWO))
    )
    assert [start(new, id_) for id_ in "abcd"] == [3, 3, 4, None]


def test_an_id_reused_after_weeks_starts_over_in_every_process(world: World) -> None:
    day = 24 * 3600
    world.commit(ONE, "a")
    world.finish()
    for days in range(1, 21):
        world.now = EPOCH + days * day * SECOND
        for partition in (ONE, TWO):
            world.commit(partition, f"other {days}", time=days * day)
        world.finish()
    world.now += STALENESS
    assert world.commit(ONE, "a", time=20 * day)[0]["ConnectionDurationMs"] is None
    world.exporters[TWO] = world.exporter()
    assert world.commit(TWO, "a", time=20 * day + 5)[0]["ConnectionDurationMs"] == 5000


def test_a_process_rereads_the_manifest_only_as_its_clock_advances(world: World) -> None:
    for minute in range(0, 180, 5):
        world.now = EPOCH + minute * 60 * SECOND
        for partition in (ONE, TWO):
            world.commit(partition, f"id {minute}")
        world.finish()
    reads = Counter(
        call.partition("-")[0] for call in world.storage.calls if call.startswith("read state-table/")
    )
    exporters_and_timer = sum(reads.values())
    assert exporters_and_timer <= 36 + 2 * 4


def test_a_trim_mark_above_read_segments_rereads_the_state_table(world: World) -> None:
    world.commit(ONE, "x")
    late = world.known()
    late.refresh(world.ledger(ONE))
    world.commit(TWO, "a", time=3)
    world.finish()
    world.now += start_times.KEPT + STALENESS
    world.commit(TWO, "b", time=4)
    world.finish()
    assert world.ledger(TWO).trimmed
    late.refresh(world.ledger(ONE))
    assert [start(late, id_) for id_ in "ab"] == [3, 4]


def absorb_and_trim(world: World) -> Callable[[], None]:
    """The timer merges, and the other partition drops what was merged."""

    def happens() -> None:
        world.finish()
        world.now += start_times.KEPT + STALENESS
        world.commit(TWO, "other")
        world.finish()

    return happens


def test_a_timer_merging_between_reads_hides_no_start(world: World) -> None:
    world.commit(TWO, "a", time=3)
    new = world.known()
    world.storage.before = absorb_and_trim(world)
    new.refresh(Ledger(ledger_id="n", partition=str(ONE)))
    assert start(new, "a") == 3


def test_reading_the_state_table_first_would_hide_starts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledgers = StartTimes._ledgers

    def master_first(self: StartTimes, own: Ledger) -> dict[str, Ledger]:
        self._load()
        monkeypatch.setattr(StartTimes, "_load", lambda *_, **__: True)
        return ledgers(self, own)

    monkeypatch.setattr(StartTimes, "_ledgers", master_first)
    world.commit(TWO, "a", time=3)
    new = world.known()
    world.storage.before = absorb_and_trim(world)
    new.refresh(Ledger(ledger_id="n", partition=str(ONE)))
    assert start(new, "a") is None


def test_an_unreadable_ledger_stops_no_other_partition(world: World) -> None:
    world.storage.put(Ledger.name(TWO), b"{")
    world.commit(ONE, "a")
    new = world.known()
    new.refresh(world.ledger(ONE))
    assert start(new, "a") == 0


def test_a_new_process_stops_if_a_known_ledger_is_missing(world: World) -> None:
    world.commit(ONE, "a")
    world.finish()
    del world.storage.state[Ledger.name(ONE)]
    world.exporters[ONE] = world.exporter()
    with pytest.raises(LedgerMissing):
        world.commit(ONE, "b")


def test_a_new_process_stops_at_a_rolled_back_ledger(world: World) -> None:
    world.commit(ONE, "a")
    older = world.storage.state[Ledger.name(ONE)]
    world.commit(ONE, "b")
    world.finish()
    world.storage.state[Ledger.name(ONE)] = older
    world.exporters[ONE] = world.exporter()
    with pytest.raises(LedgerRolledBack):
        world.commit(ONE, "b")


def test_commits_in_between_are_read_later(world: World) -> None:
    world.commit(ONE, "a", time=1)
    start_times = world.known()
    start_times.refresh(world.ledger(ONE))
    world.commit(ONE, "b", time=2)
    before = world.ledger(ONE)
    world.commit(ONE, "c", time=3)
    after = world.ledger(ONE)
    start_times.committed(before, after, world.storage.state[after.segments[-1].name].data)
    start_times.refresh(after)
    assert [start(start_times, id_) for id_ in "abc"] == [1, 2, 3]


@pytest.mark.parametrize("damage", [None, b"", b"ARROW1"])
def test_a_lost_part_or_segment_stops_no_process(world: World, damage: bytes | None) -> None:
    world.commit(ONE, "a", time=1)
    world.finish()
    world.commit(TWO, "b", time=2)
    world.commit(TWO, "c", time=3)
    names = (
        Manifest.parse(world.storage.state[NAME].data).parts[0].name,
        world.ledger(TWO).segments[0].name,
    )
    for name in names:
        del world.storage.state[name]
        if damage is not None:
            world.storage.put(name, damage)
    new = world.known()
    new.refresh(world.ledger(ONE))
    assert [start(new, id_) for id_ in "bc"] == [None, 3]
    part = f"read {names[0]}"
    assert part in world.storage.calls
    world.storage.calls.clear()
    world.now += STALENESS
    new.refresh(world.ledger(ONE))
    assert part not in world.storage.calls


def test_segments_in_an_index_are_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.protocol.ledger.LISTED", 2)
    for n in range(7):
        world.commit(ONE, f"id{n}", time=n)
    assert [index.last for index in world.ledger(ONE).indexes] == [2, 4, 6]
    new = world.known()
    new.refresh(world.ledger(ONE))
    assert [start(new, f"id{n}") for n in range(8)] == [*range(7), None]


def test_starts_are_the_earliest_learned_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_times, "RECENT", 10)
    rng = np.random.default_rng(1)
    starts = StartTimeIndex()
    truth: dict[bytes, tuple[int, int]] = {}
    none = (UNKNOWN, UNKNOWN)
    for _ in range(60):
        # Some share their first half.
        keys = np.array([bytes([n % 7]) * 8 + bytes([n]) * 8 for n in rng.integers(0, 40, 4)], "S16")
        times, arrivals = rng.integers(0, 1000, (2, 4))
        starts.learn(keys, times, arrivals)
        for key, time, arrival in zip(keys.tolist(), times.tolist(), arrivals.tolist(), strict=True):
            first, seen = truth.get(key, none)
            truth[key] = (min(time, first), min(arrival, seen))
        asked = np.array([bytes([n % 7]) * 8 + bytes([n]) * 8 for n in range(60)], "S16")
        found = zip(*(column.tolist() for column in starts.earliest(asked)), strict=True)
        assert list(found) == [truth.get(key, none) for key in asked.tolist()]
