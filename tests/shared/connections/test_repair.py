"""Files of interrupted exports are published, re-created hubs are noticed, and orphans are deleted."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.audit.evidence import Level
from shared.connections import repair
from shared.errors import OutcomeUnknown
from shared.input.hub_partition import HubPartition
from shared.protocol import publishing
from shared.protocol.checkpoints import Checkpoint
from shared.protocol.ledger import Ledger
from shared.protocol.storage import Publication
from shared.timeunits import HOUR, MINUTE, SECOND
from tests.audits import audited
from tests.memory import MemoryStorage
from tests.records import ONE, TWO
from tests.shared.connections.world import EMPTY, KeptCheckpoints, World


def test_the_timer_publishes_files_of_a_dead_exporter(world: World, patch: pytest.MonkeyPatch) -> None:
    def dies(_self: MemoryStorage, _files: Sequence[Any]) -> list[Publication]:
        raise OutcomeUnknown("died")

    with patch.context() as dying:
        dying.setattr(MemoryStorage, "publish", dies)
        with pytest.raises(OutcomeUnknown):
            world.commit(ONE, ("a", "Opened", 0))
    (listed,) = world.ledger(ONE).files
    assert world.later(publishing.PENDING).repaired == 0
    assert world.later(SECOND).repaired == 1
    assert world.storage.visible(listed.name)
    assert not world.ledger(ONE).files
    assert world.later(HOUR).repaired == 0


def test_an_hour_old_list_of_files_is_an_alarm(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    assert any("not published" in alarm for alarm in world.later(HOUR + SECOND).alarms)


def test_a_re_created_hub_begins_a_new_incarnation(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.run()
    assert world.ledger(ONE).incarnation.number == 0
    world.now += HOUR
    world.created = world.now
    world.positions = {ONE: EMPTY, TWO: EMPTY}
    world.run()
    world.run()
    incarnation = world.ledger(ONE).incarnation
    assert (incarnation.number, incarnation.began, incarnation.next) == (1, world.created, None)
    world.commit(ONE, ("a", "Closed", 1))
    assert world.later(HOUR).finished == {"closed": 1}
    assert world.rows()[0]["EventCount"] == 2


@pytest.mark.parametrize("timer_first", [True, False])
def test_events_of_a_re_created_hub_are_exported_or_gaps(world: World, *, timer_first: bool) -> None:
    """The host continues in the middle of the new hub, because of the old hub's checkpoints."""
    for partition in (ONE, TWO):
        for n in range(3):
            world.commit(partition, (f"{partition}-{n}", "Opened", 0))
    world.run()
    world.now += HOUR
    world.created = world.now
    world.positions = {ONE: EMPTY, TWO: EMPTY}
    world.now += MINUTE
    skipped = {
        partition: [world.arrive(partition, ("n", "Opened", 0)) for _ in range(5)] for partition in (ONE, TWO)
    }
    delivered = {ONE: [world.arrive(ONE, ("n", "Opened", 0))], TWO: skipped[TWO][1:2]}
    first, second = (
        (lambda: world.later(MINUTE)),
        (lambda: [world.exporter.run(*one) for one in delivered.items()]),
    )
    for step in (first, second, first) if timer_first else (second, first):
        step()
    assert world.ledger(ONE).incarnation.gaps == ((0, 4),)
    assert world.ledger(TWO).incarnation.gaps == ((0, 0),)
    for partition, missing in skipped.items():
        world.exporter.run(partition, missing)
        assert (world.ledger(partition).incarnation.gaps, world.ledger(partition).incarnation.number) == (
            (),
            1,
        )
    assert sum(world.ledger(partition).counts.rows for partition in (ONE, TWO)) == 6 + 6 + 5
    report = audited(world.storage)
    assert [
        one.message
        for partition in report.partitions
        for one in partition.findings
        if one.level is Level.REFUTED
    ] == []


@pytest.mark.parametrize("partition", [ONE, TWO])
def test_uncommitted_events_before_the_checkpoint_are_a_reported_gap(
    world: World, partition: HubPartition
) -> None:
    world.commit(partition, ("a", "Opened", 0))
    passed = [world.arrive(partition, ("a", "Message", 1)) for _ in range(3)]
    checkpoint = Checkpoint(partition, passed[1].sequence, "100", world.now, "1")
    alarms = world.run(checkpoints=KeptCheckpoints(checkpoint)).alarms
    assert [one for one in alarms if "skipped 2 events that the hub still has" in one]
    assert world.ledger(partition).incarnation.gaps == ((1, 2),)
    world.exporter.run(partition, passed)
    assert world.ledger(partition).incarnation.gaps == ()


def test_a_late_answer_about_an_older_hub_marks_no_events(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.run()
    created, positions = world.created, dict(world.positions)
    world.now += HOUR
    world.created, world.positions = world.now, {ONE: EMPTY, TWO: EMPTY}
    world.run()
    renewed = world.ledger(ONE).incarnation
    assert renewed.number == 1
    world.created, world.positions = created, positions
    checkpoint = Checkpoint(ONE, positions[ONE].last, "100", world.now, "1")
    alarms = world.run(checkpoints=KeptCheckpoints(checkpoint)).alarms
    assert world.ledger(ONE).incarnation == renewed
    assert not [one for one in alarms if "skipped" in one]


def test_events_passed_before_the_first_commit_are_a_gap(world: World) -> None:
    passed = [world.arrive(ONE, ("a", "Message", 1)) for _ in range(3)]
    checkpoint = Checkpoint(ONE, passed[1].sequence, "100", world.now, "1")
    stale = Checkpoint(TWO, 5, "100", world.created - SECOND, "1")
    alarms = world.run(checkpoints=KeptCheckpoints(checkpoint, stale)).alarms
    assert [one for one in alarms if "skipped 2 events that the hub still has" in one]
    assert world.ledger(ONE).incarnation.gaps == ((0, 1),)
    assert Ledger.name(TWO) not in world.storage.state, "its checkpoint says nothing of this hub"
    world.exporter.run(ONE, passed)
    assert (world.ledger(ONE).incarnation.gaps, world.ledger(ONE).incarnation.number) == ((), 0)
    del world.storage.state[Ledger.name(ONE)]
    assert "existed before" in str(world.run(checkpoints=KeptCheckpoints(checkpoint)).alarms)
    assert Ledger.name(ONE) not in world.storage.state, "an operator decides"


def test_merged_segments_are_deleted_and_others_stay(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    orphan = world.ledger(ONE).segments[0].name.replace("-", "-0")
    world.storage.put(orphan, b"")
    world.later(HOUR)
    world.commit(ONE, ("b", "Opened", 0))
    world.run()
    assert world.storage.names("segments/") == [one.name for one in world.ledger(ONE).segments]
    for _ in range(3):
        world.commit(ONE, ("b", "Message", 1))
        world.later(HOUR)
    assert world.storage.names("state-table/") == [part.name for part in world.manifest().parts]


def test_an_unlisted_part_stays_for_its_readers(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.run()
    (part,) = world.manifest().parts
    world.commit(ONE, ("a", "Message", 1))
    world.later(repair.KEPT - 2 * SECOND)
    assert part not in world.manifest().parts
    assert part.name in world.storage.names("state-table/")
    world.commit(ONE, ("a", "Message", 2))
    world.later(2 * SECOND)
    assert part.name not in world.storage.names("state-table/")


def test_a_segment_of_a_pending_commit_is_not_deleted(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.run()
    ledger = world.ledger(ONE)
    folder = ledger.segments[0].name.rpartition("/")[0]
    staged = f"{folder}/{ledger.ordinal + 1:012d}-{'f' * 32}.arrow"
    failed = f"{folder}/{ledger.ordinal:012d}-{'f' * 32}.arrow"
    for name in (staged, failed):
        world.storage.put(name, b"")
    world.later(MINUTE)
    assert staged in world.storage.names("segments/")
    assert failed not in world.storage.names("segments/")
