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
from shared.connections import timer
from shared.connections.finish_summary import FinishSummary
from shared.connections.manifest import NAME
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
