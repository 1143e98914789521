"""What the output lacks is exported from the hub once, as far as the hub still has it."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from shared.commands import missing_events
from shared.commands.documents import RedeliverPartition
from shared.errors import HubError, LedgerError
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy
from shared.protocol.hub import Fetched, HubState, Position
from shared.protocol.hub_changes import with_hub_created
from shared.protocol.ledger import Ledger
from shared.timeunits import DAY, HOUR, SECOND
from tests.memory import MemoryStorage
from tests.records import EPOCH, ONE, TWO, envelope, record

NAME = Ledger.name(ONE)


class World:
    """A hub with two partitions in memory, and the output of the first one."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(lambda: EPOCH + DAY)
        self.created = EPOCH - HOUR
        self.first = 0
        self.events = [self.event(n) for n in range(10)]
        self.fetched: list[tuple[int, int]] = []
        self._ids = (f"{n:032x}" for n in count(1))
        self.exporter = self.process()

    def process(self) -> Exporter:
        """The exporter of a new process."""
        return Exporter(self.storage, ExportPolicy(), 1 << 24, lambda: EPOCH + DAY, lambda: next(self._ids))

    @staticmethod
    def event(sequence: int, records: int = 2, **more: Any) -> Envelope:
        at = EPOCH + sequence * SECOND
        return envelope(sequence, at, *(record(at, f"c{sequence}", **more) for _ in range(records)))

    def state(self) -> HubState:
        held = Position(9, self.events[9].enqueued, empty=self.first > 9, first=self.first)
        return HubState(self.created, {ONE: held, TWO: replace(held, empty=True)})

    def fetch(self, partition: HubPartition, first: int, last: int) -> list[Fetched]:
        """At most two at a time."""
        assert partition == ONE
        self.fetched.append((first, last))
        return [Fetched(one, "") for one in self.events if first <= one.sequence <= last][:2]

    @property
    def ledger(self) -> Ledger:
        return Ledger.parse(self.storage.state[NAME].data, NAME)

    def commit(self, *sequences: int) -> None:
        """Commits these events; then the timer records when the hub was created."""
        for sequence in sequences:
            self.exporter.run(ONE, [self.events[sequence]])
        self.save(with_hub_created(self.ledger, self.created).confirmed("f" * 32, EPOCH + DAY))

    def save(self, ledger: Ledger) -> None:
        self.storage._put(NAME, ledger.dump())

    def redeliver(
        self,
        *,
        dry_run: bool = False,
        missing_files: bool = False,
        wanted: Callable[[str], bool] = lambda _: True,
    ) -> list[RedeliverPartition]:
        return missing_events.redeliver(
            self.storage,
            self,
            self.process(),
            wanted,
            dry_run=dry_run,
            missing_files=missing_files,
            progress=lambda *_: None,
        )


@pytest.fixture
def world() -> World:
    return World()


def test_gaps_are_exported_once_and_counted(world: World) -> None:
    world.commit(0, 4, 9)
    before = world.ledger
    (dry,) = world.redeliver(dry_run=True)
    assert (dry.missing, dry.events, dry.gone, dry.commits, world.ledger) == (7, 7, 0, 0, before)
    (done,) = world.redeliver()
    assert (done.missing, done.events, done.gone, done.rows) == (7, 7, 0, 14)
    assert world.fetched == [(1, 3), (3, 3), (5, 8), (7, 8)]
    assert (world.ledger.incarnation.gaps, world.ledger.counts.rows) == ((), 20)
    assert world.ledger.counts.files - before.counts.files == done.commits == 4
    assert world.redeliver() == [RedeliverPartition(partition=str(ONE))]


def test_events_deleted_by_the_hub_are_counted_as_gone(world: World) -> None:
    world.commit(0, 9)
    world.first = 6
    (done,) = world.redeliver()
    assert (done.missing, done.events, done.gone) == (8, 3, 5)
    world.first = 10
    (done,) = world.redeliver()
    assert (done.missing, done.events, done.gone) == (5, 0, 5)


def test_rejected_records_are_counted_by_reason(world: World) -> None:
    world.events[3] = world.event(3, correlationId=None)
    world.events[5] = world.event(5, correlationId=None)
    world.commit(0, 9)
    (done,) = world.redeliver()
    assert (done.rows, done.rejected) == (12, {"missing_required_field": 4})


def test_only_requested_partitions_with_a_ledger_are_searched(world: World) -> None:
    assert world.redeliver() == []
    world.commit(0, 9)
    assert world.redeliver(wanted=lambda name: name == str(TWO)) == []
    assert world.fetched == []


def test_a_partition_waits_until_the_timer_knows_the_hub(world: World) -> None:
    world.commit(0, 9)
    world.created += DAY
    (done,) = world.redeliver()
    assert (done.missing, done.events, world.fetched) == (8, 0, [])
    assert "re-created" in done.problems[0]


def test_gaps_of_deleted_hubs_are_gone(world: World) -> None:
    world.commit(0, 9)
    ledger = world.ledger
    past = ledger.incarnation.model_copy(update={"number": 0})
    now = ledger.incarnation.model_copy(update={"number": 1, "gaps": ((1, 1),)})
    world.save(ledger.model_copy(update={"past": (past,), "incarnation": now}))
    (done,) = world.redeliver(dry_run=True)
    assert (done.missing, done.events, done.gone) == (9, 1, 8)


def test_events_of_a_newer_hub_fill_no_gap(world: World) -> None:
    world.commit(0, 9)
    world.events[5] = replace(world.events[5], enqueued=EPOCH + 2 * DAY)
    with pytest.raises(HubError, match="re-created in the meantime"):
        world.redeliver()


def test_missing_files_are_exported_again_only_on_request(world: World) -> None:
    world.commit(*range(10))
    (name,) = [name for name in world.storage.output if f"{4:020d}" in name]
    del world.storage.output[name]
    (done,) = world.redeliver()
    assert (done.without_files, done.missing) == (0, 0)
    (dry,) = world.redeliver(dry_run=True, missing_files=True)
    assert (dry.without_files, dry.events, world.ledger.lost) == (1, 1, ())
    (done,) = world.redeliver(missing_files=True)
    assert (done.without_files, done.events, done.rows, world.ledger.lost) == (1, 1, 0, ())
    assert len(world.storage.output) == 10, "the same rows in a new file, counted before"
    (done,) = world.redeliver(missing_files=True)
    assert (done.without_files, done.missing) == (0, 0)


def test_commits_that_a_restored_ledger_lacks_are_not_exported_twice(world: World) -> None:
    world.commit(0, 5)
    restored = world.ledger
    world.commit(3, 7)
    world.save(restored)
    (done,) = world.redeliver()
    assert (done.present, done.missing, done.events) == (2, 4, 4)
    assert world.ledger.incarnation.gaps == ()
    assert world.ledger.incarnation.next == 8


def test_the_app_may_commit_during_the_search(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.commit(0, 5)
    restored = world.ledger
    world.commit(3)
    world.save(restored)
    write, busy = world.storage.write, iter([True, True, False])

    def committing(name: str, data: bytes, etag: str | None) -> str:
        if next(busy, False):
            world.save(Ledger.parse(world.storage.state[NAME].data, NAME))
        return write(name, data, etag)

    monkeypatch.setattr(world.storage, "write", committing)
    (done,) = world.redeliver()
    assert (done.present, world.ledger.incarnation.gaps) == (1, ())


def test_two_concurrent_searches_record_a_loss_once(world: World) -> None:
    world.commit(*range(10))
    world.storage.output.clear()
    fetch = world.fetch

    def searched_meanwhile(partition: HubPartition, first: int, last: int) -> list[Fetched]:
        ledger = world.ledger
        world.save(ledger.model_copy(update={"searches": ledger.searches + 1}))
        return fetch(partition, first, last)

    world.fetch = searched_meanwhile  # type: ignore[method-assign]
    with pytest.raises(LedgerError, match="searched by another command"):
        world.redeliver(missing_files=True)
