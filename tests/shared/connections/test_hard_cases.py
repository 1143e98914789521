"""Interleavings of threads, restarts and an operator's actions that once gave a wrong result."""

import gzip
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pyarrow as pa
import pytest

from shared.commands import ledger_acceptance
from shared.connections import manifest, start_times
from shared.connections.observations import UNKNOWN
from shared.connections.start_times import StartTimes
from shared.connections.timer import Finisher
from shared.errors import OutcomeUnknown
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.ledger import Counts, Ledger
from shared.timeunits import SECOND
from tests import records
from tests.memory import MemoryStorage, StillHub
from tests.records import EPOCH, ONE, TWO

OTHER = Ledger(ledger_id="f" * 32, partition=str(TWO))


class Watched(MemoryStorage):
    """Lets a test act before or after a call."""

    before: Callable[[str, str], None] = staticmethod(lambda _kind, _name: None)
    after: Callable[[str, str], None] = staticmethod(lambda _kind, _name: None)

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        self.before(kind, name)
        answer = effect()
        self.after(kind, name)
        return answer

    def never(self) -> None:
        self.before = self.after = lambda _kind, _name: None


class World:
    """Storage, a clock, exporters and timers."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.storage = Watched(lambda: self.now)
        self._ids = (f"{n:032x}" for n in count(1))
        self._sequences = count()
        self.first = self.exporter()

    def exporter(self, *formats: str) -> Exporter:
        policy = ExportPolicy(formats=formats or ("parquet",))
        return Exporter(self.storage, policy, 1 << 24, lambda: self.now, lambda: next(self._ids))

    def envelope(self, *ids: str) -> Envelope:
        self.now += SECOND
        found = (records.record(EPOCH, id_, "Message") for id_ in ids)
        return records.envelope(next(self._sequences), self.now, *found)

    def commit(self, *ids: str) -> None:
        self.first.run(ONE, [self.envelope(*ids)])

    def finish(self) -> Any:
        finisher = Finisher(
            self.storage, StillHub(), FinishPolicy(), lambda: self.now, lambda: next(self._ids)
        )
        return finisher.run(60)

    def knows(self, process: StartTimes, identity: str) -> bool:
        key = pa.table({"_ResourceId": pa.array([None], pa.string()), "CorrelationId": [identity]})
        return bool(process.earliest(key)[0][0] != UNKNOWN)

    def later(self, process: StartTimes) -> None:
        self.now += 60 * SECOND
        process.refresh(OTHER)

    def process(self) -> StartTimes:
        return StartTimes(self.storage, 5 * SECOND, lambda: self.now)


@pytest.fixture
def world() -> World:
    return World()


def test_reading_seen_progress_makes_no_thread_skip_segments(world: World) -> None:
    world.commit("old")
    world.finish()
    world.commit("new")
    process = world.process()

    def absorbed_meanwhile(kind: str, name: str) -> None:
        if kind == "read" and name.startswith("state-table/"):
            world.storage.never()
            world.now += SECOND
            world.finish()
            process.seen(TWO)

    world.storage.after = absorbed_meanwhile
    process.refresh(OTHER)
    world.later(process)
    assert world.knows(process, "old")
    assert world.knows(process, "new")


def test_an_error_while_rereading_the_state_table_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.commit("old")
    world.finish()
    world.commit("new")
    process = world.process()
    process.refresh(OTHER)
    monkeypatch.setattr(start_times, "GROWTH", -1)

    def unanswered(kind: str, name: str) -> None:
        if kind == "read" and name.startswith("segments/"):
            world.storage.never()
            raise OutcomeUnknown("no answer")

    world.storage.before = unanswered
    world.now += 10 * SECOND
    with pytest.raises(OutcomeUnknown):
        process.refresh(OTHER)
    monkeypatch.undo()
    world.later(process)
    assert world.knows(process, "old")
    assert world.knows(process, "new")


def test_setting_the_clock_back_does_not_stop_the_refresh(world: World) -> None:
    process = world.process()
    process.refresh(OTHER)
    world.now -= 3600 * SECOND
    world.commit("new")
    world.later(process)
    assert world.knows(process, "new")


def test_many_waiting_segments_are_read_in_portions(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(start_times, "MOST", 5)
    monkeypatch.setattr(start_times, "AT_ONCE", 2)
    for number in range(8):
        world.commit(f"c{number}")
    process = world.process()
    process.refresh(OTHER)
    assert [world.knows(process, f"c{number}") for number in range(8)] == [False] * 3 + [True] * 5
    assert "is finish_connections running?" in caplog.text


def test_a_long_backlog_reads_only_the_newest_indexes(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shared.protocol.ledger.LISTED", 2)
    monkeypatch.setattr(start_times, "LISTED", 2)
    monkeypatch.setattr(start_times, "MOST", 4)
    for number in range(20):
        world.commit(f"c{number}")
    read: list[str] = []
    world.storage.before = lambda kind, name: read.append(name) if kind == "read" else None
    process = world.process()
    process.refresh(OTHER)
    assert len([name for name in read if name.endswith(".json") and "segments/" in name]) == 2
    assert [number for number in range(20) if world.knows(process, f"c{number}")] == [16, 17, 18, 19]
    assert "is finish_connections running?" in caplog.text
    world.commit("later")
    world.later(process)
    assert world.knows(process, "later")


def test_the_timer_keeps_segments_of_a_commit_under_way(world: World) -> None:
    world.commit("first")

    def sweeps(kind: str, name: str) -> None:
        if kind == "write" and name == Ledger.name(ONE):
            world.storage.never()
            world.finish()

    world.storage.before = sweeps
    world.commit("second")
    listed = Ledger.parse(world.storage.state[Ledger.name(ONE)].data, "").segments
    assert all(world.storage.read(segment.name) for segment in listed)
    assert world.finish().alarms == []


def test_a_compressed_batch_reserves_its_inflated_limit(world: World) -> None:
    staging, go_on = threading.Semaphore(0), threading.Event()

    def waits(kind: str, _name: str) -> None:
        if kind == "stage":
            staging.release()
            assert go_on.wait(120)

    world.storage.before = waits
    exporter = world.exporter()
    plain = [world.envelope("c") for _ in range(2)]
    packed = [replace(one, body=gzip.compress(one.body)) for one in plain]
    for envelopes, at_once in ((plain, 2), (packed, 1)):
        go_on.clear()
        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(exporter.run, HubPartition("ns", f"{at_once}", str(n)), [one])
                for n, one in enumerate(envelopes)
            ]
            assert [staging.acquire(timeout=60) for _ in range(at_once)] == [True] * at_once
            assert not staging.acquire(timeout=0.2)
            go_on.set()
        assert all(run.result() for run in runs)
        while staging.acquire(blocking=False):
            pass


def test_lost_rows_are_refilled_in_the_same_format(world: World) -> None:
    lost = world.envelope("c")
    world.storage.before = lambda kind, _: (
        (_ for _ in ()).throw(OutcomeUnknown("x")) if kind == "publish" else None
    )
    with pytest.raises(OutcomeUnknown):
        world.exporter("parquet", "json").run(ONE, [lost])
    world.storage.never()
    world.now += 8 * 86_400 * SECOND
    parquet_alone = world.exporter("parquet")
    parquet_alone.run(ONE, [world.envelope()])
    parquet_alone.run(ONE, [lost])
    visible = {name.partition("/")[0] for name in world.storage.output if world.storage.visible(name)}
    assert visible == {"parquet", "json"}
    assert Ledger.parse(world.storage.state[Ledger.name(ONE)].data, "").lost == ()


def test_a_missing_manifest_stops_finishing_until_accepted(world: World) -> None:
    for _ in range(3):
        world.now += 120 * SECOND
        world.commit("c")
        world.finish()
    world.storage.delete([manifest.NAME])
    world.now += 120 * SECOND
    summary = world.finish()
    assert any("manifest.json" in alarm for alarm in summary.alarms)
    (blocked,) = ledger_acceptance.blocked(world.storage)
    assert "manifest is missing" in blocked.problem
    ledger_acceptance.accept(world.storage, blocked, "a" * 32, world.now)
    assert ledger_acceptance.blocked(world.storage) == []
    assert world.finish().alarms == []


def test_a_file_staged_elsewhere_raises_an_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.storage.before = lambda kind, _: (
        (_ for _ in ()).throw(OutcomeUnknown("x")) if kind == "publish" else None
    )
    envelope = world.envelope("c")
    with pytest.raises(OutcomeUnknown):
        world.first.run(ONE, [envelope])
    world.storage.never()
    world.storage.output.clear()
    world.first.run(ONE, [envelope])
    assert "neither visible nor staged" in caplog.text


def test_keys_of_a_later_program_survive_counting() -> None:
    later = Counts.model_validate({"rows": 1, "later": 5})
    assert later.plus(Counts(rows=1)).model_dump()["later"] == 5
