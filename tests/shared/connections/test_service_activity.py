"""The manifest keeps the last record of each service, and counts its records of the last day."""

from datetime import timedelta

import numpy as np
import pyarrow as pa

from shared.connections.observations import OBSERVATIONS
from shared.connections.service_activity import SERVICES, ServiceActivity, activity, merged
from shared.export.exporter import Exporter
from shared.policies import ExportPolicy
from shared.protocol.hub import Position
from shared.timeunits import DAY, HOUR, SECOND
from tests.memory import CountingStorage
from tests.records import EPOCH, ONE, TWO, envelope, record
from tests.shared.connections.world import World

NOW = 500_000 * HOUR


def seen(*rows: tuple[str | None, int, int]) -> pa.Table:
    """Returns observations: service, arrival of the last record, number of records."""
    return pa.Table.from_pylist(
        [
            {
                field.name: "" if pa.types.is_string(field.type) else [] if field.name == "names" else 0
                for field in OBSERVATIONS
            }
            | {"_ResourceId": service, "last_seen": arrived, "count": records}
            for service, arrived, records in rows
        ],
        schema=OBSERVATIONS,
    )


def test_records_are_counted_by_service_and_hour_of_arrival() -> None:
    found = activity(seen(("a", NOW, 3), (None, NOW + 1, 2), ("a", NOW - 1, 4), ("a", NOW + 5, 1)))
    assert found == {
        "a": ServiceActivity(newest=NOW + 5, hours={500_000: 4, 499_999: 4}),
        "": ServiceActivity(newest=NOW + 1, hours={500_000: 2}),
    }
    assert activity(OBSERVATIONS.empty_table()) == {}


def test_merging_is_the_same_as_counting_all_at_once() -> None:
    random = np.random.default_rng(1)
    rows = [
        (str(service), NOW + int(age), int(records))
        for service, age, records in zip(
            random.integers(0, 4, 200),
            random.integers(0, 20 * HOUR, 200),
            random.integers(1, 9, 200),
            strict=True,
        )
    ]
    step: dict[str, ServiceActivity] = {}
    for at in range(0, 200, 10):
        step = merged(step, activity(seen(*rows[at : at + 10])))
    assert step == merged({}, activity(seen(*rows)))
    assert sum(one.records(NOW + 20 * HOUR) for one in step.values()) == sum(row[2] for row in rows)


def test_old_hours_are_dropped_and_silent_services_forgotten() -> None:
    before = merged({}, activity(seen(("a", NOW, 3), ("b", NOW, 1), ("b", NOW - HOUR, 1))))
    after = merged(before, activity(seen(("a", NOW + DAY, 2))))
    assert after["a"].hours == {500_000: 3, 500_024: 2}
    assert after["b"].hours == {500_000: 1}
    assert after["b"].silence(NOW + DAY) == DAY / SECOND
    assert merged(after, activity(seen(("a", NOW + 7 * DAY - 1, 1)))).keys() == {"a", "b"}
    assert merged(after, activity(seen(("a", NOW + 7 * DAY, 1)))).keys() == {"a"}


def test_made_up_services_do_not_fill_the_manifest() -> None:
    many = merged({}, activity(seen(*((f"{n:04}", NOW + n, 1) for n in range(SERVICES + 50)))))
    assert list(many) == [f"{n:04}" for n in range(50, SERVICES + 50)], "those that sent records last"


def test_the_number_of_services_adds_no_storage_calls() -> None:
    def calls(services: int) -> int:
        world = World()
        world.storage = storage = CountingStorage(lambda: world.now)
        exporter = Exporter(storage, ExportPolicy(), 1 << 20, lambda: world.now, world.new_id)
        sent = [
            record(EPOCH, f"{number}", "Opened", resourceId=f"/service/{number % services}")
            for number in range(20)
        ]
        world.positions[ONE] = Position(last=0, enqueued=EPOCH, empty=False)
        exporter.run(ONE, [envelope(0, EPOCH, *sent)])
        before = storage.calls.total()
        world.run()
        found = world.manifest().services
        assert (len(found), sum(one.records(EPOCH) for one in found.values())) == (services, 20)
        return storage.calls.total() - before

    assert calls(20) == calls(1)


def test_a_run_reports_how_long_each_service_is_silent() -> None:
    world = World()
    world.commit(ONE, ("a", "Opened", 0))
    world.commit(TWO, ("b", "Opened", 0))
    world.now += HOUR
    (silence,) = world.run().silence.values()
    assert timedelta(minutes=58) < timedelta(seconds=silence) < timedelta(hours=1), "less what clocks differ"
    world.answers = False
    world.now += DAY
    assert list(world.run().silence.values()) == [silence], "of a hub that does not answer nothing is known"
