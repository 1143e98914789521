"""Merging into the state table is done in portions, and survives lost parts."""

from collections.abc import Callable

import pytest

from shared.connections import state_merge, state_table
from shared.policies import FinishPolicy
from shared.timeunits import HOUR
from tests.records import ONE, TWO
from tests.shared.connections.test_segments import cut
from tests.shared.connections.world import World


def test_rows_beyond_the_limit_wait_for_the_next_commit(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state_merge, "ENOUGH", 5)
    patch.setattr(state_table, "PART_ROWS", 4)
    world.commit(ONE, *((f"id{n}", name, n) for n in range(40) for name in ("Opened", "Closed")))
    world.run()
    assert len(world.manifest().parts) > 3
    done = world.later(HOUR)
    assert (done.finished, done.complete) == ({"closed": 40}, True)
    assert len({name.rsplit("/", 1)[1] for name in world.files()}) > 3
    assert len(world.rows()) == 40


def test_rows_beyond_the_limit_are_finished_in_the_next_commit(
    world: World, patch: pytest.MonkeyPatch
) -> None:
    patch.setattr(state_merge, "ENOUGH", 5)
    patch.setattr(state_table, "PART_ROWS", 4)
    # No part is due; each is read because something was merged into it.
    world.commit(ONE, *((f"id{n}", "Opened", n) for n in range(40)))
    world.run()
    assert len(world.manifest().parts) > 3
    world.commit(ONE, *((f"id{n}", "Closed", 40 + n) for n in range(40)))
    world.now += HOUR
    first = world.run(budget=0)
    assert not first.complete
    assert 5 <= first.finished["closed"] < 40
    rest = world.run()
    assert rest.complete
    assert first.finished["closed"] + rest.finished["closed"] == 40
    assert len(world.rows()) == 40


def test_changed_names_revise_written_connections(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state_merge, "ENOUGH", 5)
    patch.setattr(state_table, "PART_ROWS", 4)
    world.commit(ONE, *((f"id{n}", name, n) for n in range(20) for name in ("Begin", "End")))
    assert world.later(25 * HOUR).finished == {"timed_out": 20}
    done = world.run(FinishPolicy(opening=("begin",), closing=("end",)))
    assert (done.revisions, done.finished) == (20, {})
    assert {row["Status"] for row in world.rows() if row["Revision"] == 1} == {"closed"}


def test_excess_connections_are_dropped_with_an_alarm(world: World) -> None:
    world.commit(ONE, *((f"id{n:02}", "Opened", n) for n in range(30)))
    done = world.run(FinishPolicy(cap=10))
    assert (done.capped, done.rows, done.finished) == (20, 10, {"timed_out": 20})
    assert done.alarms
    assert world.manifest().totals.capped == 20


def flipped(data: bytes) -> bytes:
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("damage", [None, cut, flipped, lambda _: b""])
def test_finishing_continues_after_a_lost_or_damaged_part(
    world: World, damage: Callable[[bytes], bytes] | None
) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.run()
    (part,) = world.manifest().parts
    blob = world.storage.state.pop(part.name)
    if damage:
        world.storage.put(part.name, damage(blob.data))
    world.commit(TWO, ("a", "Closed", 7), ("b", "Opened", 0), ("b", "Closed", 1))
    done = world.later(HOUR)
    assert any(part.name in alarm and "lost" in alarm for alarm in done.alarms)
    assert (done.finished, done.complete) == ({"closed": 2}, True)
    assert [(row["CorrelationId"], row["EventCount"]) for row in world.rows()] == [("a", 1), ("b", 2)]
    assert world.manifest().totals.missing == 1
    assert not world.later(HOUR).alarms
