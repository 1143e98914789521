"""The timer merges all commits, writes finished connections once, and repairs interrupted exports."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.commands.ledger_acceptance import accept, blocked
from shared.connections import state_merge, state_table, timer
from shared.connections.finish_summary import FinishSummary
from shared.connections.manifest import MARGIN, NAME
from shared.connections.timer import Finisher
from shared.errors import DeadlineExceeded, OutcomeUnknown
from shared.policies import FinishPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.storage import Blob
from shared.tables import views
from shared.tables.connection_revisions import CONNECTIONS
from shared.timeunits import HOUR, MINUTE
from tests.memory import MemoryStorage
from tests.records import ONE, TWO
from tests.shared.connections.world import POLICY, World


def test_a_connection_of_two_partitions_is_written_once(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    world.commit(TWO, ("a", "Closed", 7.5))
    assert world.later(MINUTE).open == 1
    done = world.later(HOUR)
    assert done.durations == [("closed", 7.5)]
    assert (done.finished, done.revisions, done.open, done.rows, done.complete) == (
        {"closed": 1},
        0,
        0,
        1,
        True,
    )
    (row,) = world.rows()
    assert (row["EventCount"], row["DurationMs"], row["Revision"]) == (2, 7500, 0)
    assert not world.later(HOUR).finished
    assert len(world.rows()) == 1


def test_files_have_declared_columns_and_are_stored_by_end_time(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0), ("a", "Closed", 3600))
    world.later(2 * HOUR)
    ((name, data),) = world.files().items()
    assert name.startswith(
        "parquet/ApiManagementWebSocketConnectionRevisions/date=2030-03-17/hour=18/connections-"
    )
    assert pq.ParquetFile(pa.BufferReader(data)).schema_arrow.names == CONNECTIONS.arrow.names


def test_every_format_is_written(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0), ("a", "Closed", 1))
    world.now += HOUR
    world.run(FinishPolicy(formats=("parquet", "json"), closing=("closed",)))
    assert sorted(name.split("/")[0] for name in world.files()) == ["json", "parquet"]


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


def test_the_view_shows_the_revision_of_a_late_record(world: World, tmp_path: Path) -> None:
    world.commit(ONE, ("a", "Opened", 0), ("a", "Closed", 1), ("b", "Opened", 0), ("b", "Closed", 1))
    world.later(HOUR)
    world.commit(TWO, ("a", "Message", 5))
    assert world.later(HOUR).revisions == 1
    assert [(row["CorrelationId"], row["Revision"]) for row in world.rows()] == [("a", 0), ("a", 1), ("b", 0)]
    for name, data in world.files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with duckdb.connect() as database:
        database.execute(views.duckdb(CONNECTIONS, str(tmp_path)))
        newest = database.sql(
            "SELECT CorrelationId, Revision, EventCount FROM ApiManagementWebSocketConnections ORDER BY 1"
        ).fetchall()
    assert newest == [("a", 1, 3), ("b", 0, 2)]


def test_a_backlog_is_merged_in_chunks_within_the_budget(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timer, "CHUNK", 2)
    patch.setattr("shared.protocol.ledger.LISTED", 3)
    for n in range(10):
        world.commit(ONE, (f"id{n}", "Opened", n), (f"id{n}", "Closed", n + 1))
    world.now += HOUR
    first = world.run(budget=0)
    assert (first.complete, first.observations) == (False, 2)
    assert not first.finished
    rest = world.run()
    assert (rest.complete, rest.observations, rest.finished) == (True, 8, {"closed": 10})
    assert len({name.rsplit("/", 1)[1].split("-")[1] for name in world.files()}) == 1
    assert world.manifest().totals.observations == 10


def test_a_step_that_exceeded_its_time_is_retried_with_less(world: World) -> None:
    for n in range(8):
        world.commit(ONE, (f"id{n}", "Opened", n), (f"id{n}", "Closed", n + 1))
    world.now += HOUR
    storage, read_all = world.storage, world.storage.read_all

    def slow(names: Sequence[str]) -> Sequence[Blob | None]:
        if sum(name.endswith(".arrow") for name in names) > 3:
            raise DeadlineExceeded("read segments")
        return read_all(names)

    finisher = Finisher(storage, world, POLICY, lambda: world.now, world.new_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "read_all", slow)
        patch.setattr(timer, "SEGMENTS", 8)
        for _ in range(2):
            with pytest.raises(DeadlineExceeded):
                finisher.run(60)
        while not (summary := finisher.run(0)).complete:
            assert summary.observations <= 2
    assert world.manifest().totals.observations == 8
    assert len(world.rows()) == 8


def test_a_backlog_of_small_commits_is_merged_in_portions(world: World, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timer, "SEGMENTS", 4)
    patch.setattr("shared.protocol.ledger.LISTED", 3)
    for n in range(10):
        world.commit(ONE, (f"id{n}", "Opened", n))
        world.commit(TWO, (f"id{n}", "Closed", n + 1))
    world.now += HOUR
    asked: list[str] = []
    read = world.storage.read

    def noting(name: str) -> Blob | None:
        asked.append(name)
        return read(name)

    world.storage.read = noting  # type: ignore[method-assign]
    steps = [world.run(budget=0) for _ in range(5)]
    assert [one.segments for one in steps] == [4] * 5
    assert steps[-1].finished == {"closed": 10}
    indexes = len([name for name in asked if name.startswith("segments/") and name.endswith(".json")])
    assert indexes <= 2 * len(steps)


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


def test_connections_without_a_duration_are_counted_with_their_estimates(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0), ("b", "Opened", 0))
    world.now += 10 * MINUTE
    world.commit(ONE, ("a", "Closed", 0), ("b", "Closed", 5))
    world.later(HOUR)
    totals = world.manifest().totals
    assert (totals.connections, totals.indeterminate, totals.arrival_seconds) == (2, 1, 601)


def test_unknown_names_finish_earlier_once_enough_connections_began(world: World) -> None:
    world.commit(ONE, *((f"id{n}", name, n) for n in range(100) for name in ("Begin", "End")))
    world.run()
    done = world.later(62 * MINUTE)
    assert (done.finished, done.unknown_names) == ({"quiet": 100}, 2)
    seen = world.manifest().names["End"]
    assert (seen.connections, seen.first, seen.last) == (100, 0, 100)


def test_excess_connections_are_dropped_with_an_alarm(world: World) -> None:
    world.commit(ONE, *((f"id{n:02}", "Opened", n) for n in range(30)))
    done = world.run(FinishPolicy(cap=10))
    assert (done.capped, done.rows, done.finished) == (20, 10, {"timed_out": 20})
    assert done.alarms
    assert world.manifest().totals.capped == 20


class Failing(MemoryStorage):
    """Loses the answer to one call."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(lambda: world.now)
        self.state, self.output = world.storage.state, world.storage.output
        self._writes = 1_000_000 * (1 + number)
        self._left = number

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        self._left -= 1
        result = effect()
        if self._left == 0:
            raise OutcomeUnknown(f"{kind} {name}")
        return result


def test_the_next_run_repairs_a_run_that_failed_anywhere(world: World) -> None:
    for number in count(1):
        world.commit(TWO, (f"id{number}", "Opened", 0), (f"id{number}", "Closed", 1))
        world.now += HOUR
        try:
            world.run(storage=Failing(world, number))
        except OutcomeUnknown:
            assert world.later(MINUTE).complete
        else:
            break
    assert number > 15
    assert [(row["CorrelationId"], row["Revision"], row["EventCount"]) for row in world.rows()] == sorted(
        (f"id{n}", 0, 2) for n in range(1, number + 1)
    )


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


def test_a_missing_or_older_ledger_stops_finishing(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0))
    older = world.storage.state[Ledger.name(ONE)]
    world.commit(ONE, ("a", "Closed", 1))
    world.run()
    for state in (older, None):
        if state:
            world.storage.state[Ledger.name(ONE)] = state
        else:
            del world.storage.state[Ledger.name(ONE)]
        done = world.later(HOUR)
        assert any("accept" in alarm for alarm in done.alarms)
        assert not done.finished


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


def test_a_restored_older_manifest_is_an_alarm_until_accepted(world: World) -> None:
    def minutes(number: int) -> FinishSummary:
        for _ in range(number):
            world.commit(ONE, (f"a{world.now}", "Opened", 0))
            world.commit(TWO, (f"b{world.now}", "Opened", 0))
            done = world.later(2 * MINUTE)
        return done

    minutes(10)
    older = world.storage.state[NAME]
    minutes(10)
    world.storage.put(NAME, older.data)
    assert any(f"{NAME} is missing, or older" in alarm for alarm in minutes(1).alarms)
    for stopped in blocked(world.storage):
        accept(world.storage, stopped, world.new_id(), world.now)
    assert not minutes(1).alarms
    world.commit(TWO, ("z", "Opened", 0), ("z", "Closed", 1))
    assert world.later(HOUR).finished["closed"] == 1


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


def test_junk_names_do_not_hide_closing_names(world: World) -> None:
    for n in range(30):
        world.commit(ONE, *((f"junk{n}.{k}", f"Junk{n}.{k}", 0) for k in range(20)))
    world.run()
    world.commit(ONE, *((f"id{n}", name, n) for n in range(100) for name in ("Opened", "Closed")))
    done = world.later(62 * MINUTE)
    assert done.finished == {"closed": 100}
    assert "Closed" in world.manifest().names


def test_a_run_that_finishes_nothing_writes_nothing(world: World) -> None:
    world.commit(ONE, ("a", "Opened", 0), ("a", "Closed", 1))
    world.now += HOUR
    world.run(FinishPolicy(closing=("closed",), grace=timedelta(hours=2)))
    assert not world.files()
    before = world.storage.state[NAME]
    world.answers = False
    world.run(FinishPolicy(closing=("closed",), grace=timedelta(hours=2)))
    assert world.storage.state[NAME] == before
