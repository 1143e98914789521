"""Stale checkpoints are deleted, and an event that stops its partition is named."""

from dataclasses import replace

from shared.connections.checkpoint_watch import MINIMUM
from shared.protocol.checkpoints import Checkpoint
from shared.protocol.hub import Fetched
from shared.timeunits import HOUR, MINUTE, SECOND
from tests.records import ONE, TWO
from tests.shared.connections.world import KeptCheckpoints, World


def test_checkpoints_of_an_older_hub_are_deleted_with_an_alarm(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    stale = Checkpoint(ONE, 0, "100", world.created - SECOND, "1")
    checkpoints = KeptCheckpoints(stale, Checkpoint(TWO, 0, "100", world.created, "1"))
    alarms = world.run(checkpoints=checkpoints).alarms
    assert [one.split(":")[0] for one in alarms if "checkpoint is older than the hub" in one] == [str(ONE)]
    assert checkpoints.all.keys() == {TWO}


def test_an_unbindable_event_is_named_once_its_partition_stalls(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    fine, bad = world.arrive(ONE, ("a", "Message", 1)), world.arrive(ONE, ("a", "Message", 2))
    world.held = [Fetched(fine, "1"), Fetched(replace(bad, amqp="value"), "2")]
    checkpoints = KeptCheckpoints(Checkpoint(ONE, 0, "0", world.now, "1"))
    told = f"{ONE} has stopped at sequence number {bad.sequence}, whose body is an AMQP value"
    world.now += 4 * MINUTE
    assert not any(told in alarm for alarm in world.run(checkpoints=checkpoints).alarms)
    world.now += 6 * MINUTE
    assert any(told in alarm for alarm in world.run(checkpoints=checkpoints).alarms)
    world.held = [Fetched(fine, "1")]
    assert not any("has stopped at" in alarm for alarm in world.run(checkpoints=checkpoints).alarms)


def test_a_committing_partition_is_not_stalled(world: World) -> None:
    """Its checkpoint is old, because it cannot be written."""
    world.commit(ONE, ("a", "Opened", 0))
    bad = world.arrive(ONE, ("a", "Message", 1))
    world.held = [Fetched(replace(bad, amqp="value"), "2")]
    checkpoints = KeptCheckpoints(Checkpoint(ONE, 0, "0", world.now, "1"))
    world.later(HOUR)
    world.now += 6 * MINUTE
    world.commit(ONE, ("a", "Message", 2))
    assert not any("has stopped at" in alarm for alarm in world.run(checkpoints=checkpoints).alarms)
    world.later(6 * MINUTE)  # the timer writes the ledger
    world.now += 6 * MINUTE
    assert any("has stopped at" in alarm for alarm in world.run(checkpoints=checkpoints).alarms)


def test_a_partition_with_a_stopped_timer_is_named(world: World) -> None:
    """The checkpoint after the last partial batch was not written, so later events wait for a full batch."""
    for n in range(3):
        world.commit(ONE, (f"c{n}", "Opened", 0))
    behind = KeptCheckpoints(Checkpoint(ONE, 1, "1", world.now, "1"))
    current = KeptCheckpoints(Checkpoint(ONE, 2, "2", world.now, "1"))
    world.later(HOUR)  # the timer empties the ledger's list
    world.now += HOUR

    def named(checkpoints: KeptCheckpoints) -> bool:
        alarms = world.run(checkpoints=checkpoints).alarms
        return any("stopped its timer" in alarm for alarm in alarms)

    world.held = [Fetched(world.arrive(ONE, ("c", "Message", 1)), "3")]
    assert not named(behind), "it has just arrived"
    world.now += 6 * MINUTE
    assert named(behind)
    assert not named(current), "then it is the export that fails"
    more = [Fetched(world.arrive(ONE, ("c", "Message", 1)), "4") for _ in range(MINIMUM - 1)]
    world.held += more
    assert not named(behind), "they are a full batch"
