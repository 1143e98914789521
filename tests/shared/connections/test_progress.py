"""The clock waits for every partition that the hub still has."""

import pytest

from shared.connections.manifest import MARGIN
from shared.timeunits import HOUR
from tests.records import ONE, TWO
from tests.shared.connections.world import World


def test_a_partition_with_backlog_delays_finishing_without_an_alarm(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0), ("a", "Closed", 1))
    waiting = world.arrive(TWO, ("a", "Message", 0.5))
    held = world.later(2 * HOUR)
    assert not held.finished
    assert (held.stalled, held.lag[str(TWO)].envelopes) == (1, 1)
    assert held.lag[str(TWO)].seconds == pytest.approx(7200)
    assert not any(str(TWO) in alarm for alarm in held.alarms)
    world.exporter.run(TWO, [waiting])
    assert world.run().finished == {"closed": 1}
    assert world.rows()[0]["EventCount"] == 3


def test_the_clock_does_not_wait_for_removed_partitions(world: World) -> None:
    world.commit(TWO, ("a", "Opened", 0), ("a", "Closed", 1))
    del world.positions[TWO]
    assert world.later(HOUR).finished == {"closed": 1}


def test_the_clock_stays_behind_by_the_tolerance_between_clocks(world: World) -> None:
    for partition in (ONE, TWO):
        assert world.later(HOUR).clock == world.now - MARGIN
        world.commit(partition, ("a", "Opened", 0))
    assert world.later(HOUR).clock == world.now - MARGIN


def test_without_the_hub_arrivals_advance_the_clock(world: World) -> None:
    world.answers = False
    world.commit(ONE, ("a", "Opened", 0), ("a", "Closed", 1))
    assert not world.later(HOUR).finished
    world.commit(ONE, ("b", "Opened", 0))
    done = world.run()
    assert (done.finished, done.lag) == ({"closed": 1}, {})


def test_without_the_hub_the_clock_waits_for_no_replay(world: World) -> None:
    world.answers = False
    world.commit(ONE.replay(0), ("z", "Opened", 0))
    world.commit(ONE, ("a", "Opened", 0), ("a", "Closed", 1))
    world.now += HOUR
    world.commit(ONE, ("b", "Opened", 0))
    assert world.run().finished == {"closed": 1}


def test_a_merged_partition_is_merged_up_to_its_last_commit(
    world: World,
) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.commit(ONE)
    ledger = world.ledger(ONE)
    assert ledger.ordinal == ledger.segments[-1].ordinal + 1
    world.run()
    ledger = world.ledger(ONE)
    assert world.manifest().watermark(ledger) == ledger.ordinal
