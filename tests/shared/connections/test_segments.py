"""Segments are merged once, and lost or damaged ones raise an alarm."""

from collections.abc import Callable

import pytest

from shared.connections import segments, timer
from shared.timeunits import HOUR
from tests.records import ONE
from tests.shared.connections.world import World


def test_segments_in_an_index_are_kept_until_they_are_merged(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("shared.protocol.ledger.LISTED", 2)
    patch.setattr(timer, "CHUNK", 3)
    for n in range(8):
        world.commit(ONE, (f"id{n}", "Opened", n))
    assert len(world.ledger(ONE).indexes) == 3
    world.run(budget=0)
    assert len([name for name in world.storage.names("segments/") if name.endswith(".arrow")]) == 8
    assert world.run().rows == 8
    world.now += HOUR
    world.commit(ONE, ("z", "Opened", 9))
    world.run()
    assert len(world.storage.names("segments/")) == 1
    assert not world.ledger(ONE).indexes


def test_no_more_indexes_are_read_than_needed(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("shared.protocol.ledger.LISTED", 2)
    patch.setattr(segments, "LISTED", 2)
    for n in range(8):
        world.commit(ONE, (f"id{n}", "Opened", n))
    ledger = world.ledger(ONE)
    assert [one.observations for one in ledger.indexes] == [2, 2, 2]
    for index in ledger.indexes[1:]:
        del world.storage.state[index.name]
    for limits in ({"enough": 2}, {"most": 2}):
        found, unreadable = segments.waiting(world.storage, ledger, -1, **limits)
        assert ([one.ordinal for one in found], unreadable) == ([1, 2], [])


def test_a_deleted_segment_is_an_alarm_and_stops_nothing(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.commit(ONE, ("b", "Opened", 0), ("b", "Closed", 1))
    del world.storage.state[world.ledger(ONE).segments[0].name]
    done = world.later(HOUR)
    assert done.finished == {"closed": 1}
    assert any("is missing or damaged" in alarm for alarm in done.alarms)
    assert world.manifest().totals.missing == 1


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize("damage", [None, cut])
def test_a_lost_or_damaged_index_is_an_alarm_only(
    world: World, patch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes] | None
) -> None:
    patch.setattr("shared.protocol.ledger.LISTED", 2)
    patch.setattr(timer, "CHUNK", 2)
    for n in range(9):
        world.commit(ONE, (f"id{n}", "Opened", n), (f"id{n}", "Closed", n))
    _, second, third, _ = world.ledger(ONE).indexes
    for index in (second, third):
        blob = world.storage.state.pop(index.name)
        if damage:
            world.storage.put(index.name, damage(blob.data))
    world.now += HOUR
    runs = [world.run(budget=0) for _ in range(8)]
    assert runs[-1].complete
    assert {row["CorrelationId"] for row in world.rows()} == {"id0", "id1", "id6", "id7", "id8"}
    assert sum("is missing or damaged" in alarm for run in runs for alarm in run.alarms) == 2


def test_a_damaged_segment_is_an_alarm_and_stops_nothing(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.commit(ONE, ("b", "Opened", 0), ("b", "Closed", 1))
    world.storage.put(world.ledger(ONE).segments[0].name, b"ARROW1")
    done = world.later(HOUR)
    assert done.finished == {"closed": 1}
    assert any("is missing or damaged" in alarm for alarm in done.alarms)
