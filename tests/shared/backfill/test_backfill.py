"""An archive is exported once, whatever interrupts it, and only up to the beginning of the live output."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from shared.audit.audit import OK, WRONG
from shared.backfill.backfill import Choice
from shared.backfill.outcome import BackfillDocument
from shared.commands.status_query import status
from shared.compaction.compactor import Compactor
from shared.connections.timer import Finisher
from shared.erasure.erasure import Erasure
from shared.erasure.selection import Selection
from shared.errors import BackfillError, OutcomeUnknown, StorageError
from shared.input.hub_partition import ARCHIVE
from shared.policies import CompactionPolicy, FinishPolicy
from shared.protocol.hub import HubState, Position
from shared.protocol.nested_storage import BACKFILL
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import DAY, SECOND
from tests.audits import audited
from tests.memory import MemoryStorage, StillHub
from tests.records import PARTITION
from tests.shared.backfill.archives import (
    BEGAN,
    CLOSED,
    LIVE,
    NOW,
    SERVICES,
    MemoryArchive,
    archive,
    ids,
    micros,
    path,
    rows,
    run,
    with_live_output,
)

HOUR = timedelta(hours=1)


class Killed(BaseException):
    """The process was killed."""


class MortalStorage(MemoryStorage):
    """Ends the process before or after the effect of one of the next calls, or loses the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1
        self.after = False
        self.unclear = False

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        self.left -= 1
        if self.left == 0:
            if self.after:
                effect()
            if self.unclear:
                raise OutcomeUnknown(f"{kind} {name}")
            raise Killed
        return super().call(kind, name, effect)


def mortal() -> MortalStorage:
    storage = MortalStorage()
    with_live_output(storage)
    return storage


def seen(storage: MemoryStorage) -> tuple[Counter[str], Counter[str]]:
    """Returns all rows of records and connections, without the columns that differ between runs."""
    records = Counter(
        repr({name: value for name, value in row.items() if not name.startswith("Connection")})
        for row in rows(storage, RECORDS)
    )
    connections = Counter(
        repr({name: value for name, value in row.items() if name != "CommitId"})
        for row in rows(storage, CONNECTIONS)
    )
    return records, connections


@pytest.fixture(scope="module")
def whole() -> tuple[MemoryArchive, MemoryStorage, BackfillDocument]:
    """The output of a backfill without interruption."""
    source, storage = archive(), mortal()
    return source, storage, run(storage, source)


def test_all_hours_before_the_live_output_are_exported(
    whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument],
) -> None:
    source, storage, done = whole
    boundary = LIVE.replace(minute=0)
    taken = {
        path(service, BEGAN + n * HOUR) for service in SERVICES for n in range(9)
    } & source.content.keys()
    lines = [orjson.loads(line) for name in taken for line in source.content[name].split(b"\n")[:-1]]
    found = [row for row in rows(storage, RECORDS) if row["_EventHubPartition"].startswith(ARCHIVE)]
    assert sorted(row["CorrelationId"] for row in found) == sorted(line["correlationId"] for line in lines)
    assert (done.rows, done.rejected) == (len(lines), {"malformed_record": len(taken)})
    assert done.boundary == micros(boundary)
    assert max(row["TimeGenerated"] for row in found) < boundary
    assert {row["_EnqueuedTime"] for row in found} == {
        next(BEGAN + (n + 1) * HOUR for n in range(9) if path(s, BEGAN + n * HOUR) == name)
        for name in taken
        for s in SERVICES
        if f"={s}/" in name
    }
    assert sorted(done.at_boundary) == sorted(path(service, boundary) for service in SERVICES)


def test_connections_are_merged_across_blobs_by_archive_time(
    whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument],
) -> None:
    _, storage, done = whole
    found = rows(storage, CONNECTIONS)
    first = [row for row in found if row["Revision"] == 0]
    closed = [row for row in first if row["ClosingEvent"] == CLOSED]
    assert len({row["CorrelationId"] for row in first}) == len(first) == done.connections > 60
    assert len(closed) > 40
    for row in closed:
        assert row["Status"] == "closed"
        assert abs(row["DurationMs"] - 180 * 60_000) < 60_000
    assert {row["Status"] for row in first} == {"closed", "timed_out"}
    assert {row["Revision"] for row in found} == {0, 1}


def test_the_audit_proves_a_backfill_and_detects_a_deleted_file(
    whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument],
) -> None:
    _, storage, _ = whole
    found = audited(storage)
    assert found.status == OK, [one.findings for one in found.partitions]
    assert [one.rows for one in found.partitions if one.partition.startswith(ARCHIVE)]
    archived = [name for name in storage.output if "/archive-" in name and name.startswith("parquet/")]
    finished = [name for name in storage.output if name.startswith(f"parquet/{CONNECTIONS.name}/")]
    for name in (archived[0], archived[-1], finished[0], finished[-1]):
        gone = storage.output.pop(name)
        assert audited(storage, deep=False).status == WRONG
        storage.output[name] = gone


def test_running_it_again_changes_nothing(
    whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument],
) -> None:
    source, storage, done = whole
    before = {name: blob.data for name, blob in storage.output.items()}
    source.read.clear()
    again = run(storage, source)
    assert {name: blob.data for name, blob in storage.output.items()} == before
    assert (again.blobs, again.before, again.rows, source.read) == (0, done.blobs, 0, [])


def test_a_hundred_kills_lose_and_duplicate_nothing(
    whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument],
) -> None:
    source, unbroken, _ = whole
    storage = mortal()
    chance = random.Random(1)
    kills = 0
    for _ in range(2000):
        storage.left, storage.after = chance.randrange(1, 50), chance.random() < 0.5
        storage.unclear = chance.random() < 0.3
        try:
            run(storage, source)
            break
        except (Killed, StorageError):
            kills += 1
    storage.left = -1
    run(storage, source)
    assert kills >= 100
    assert seen(storage) == seen(unbroken)
    assert audited(storage).status == OK


def test_a_dry_run_reports_like_a_run_and_writes_nothing() -> None:
    source, storage = archive(), mortal()
    before = dict(storage.state), {name: blob.data for name, blob in storage.output.items()}
    told = run(storage, source, dry_run=True)
    assert (dict(storage.state), {name: blob.data for name, blob in storage.output.items()}) == before
    assert source.read == []
    done = run(storage, source)
    for name in ("boundary", "blobs", "bytes", "first", "last", "overlapping", "at_boundary", "open"):
        assert getattr(told, name) == getattr(done, name)
    assert len(source.read) == done.blobs > 10


@pytest.mark.parametrize(
    "middle", [BEGAN + 4 * HOUR, BEGAN + 6 * HOUR], ids=["at the end of a month", "in a month"]
)
def test_several_runs_give_the_same_result_as_one(
    whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument], middle: datetime
) -> None:
    source, unbroken, done = whole
    storage = mortal()
    first = run(storage, source, Choice(until=micros(middle)))
    second = run(storage, source, Choice(since=micros(middle)))
    assert first.blobs + second.blobs == done.blobs
    assert first.rows and second.rows and first.rows + second.rows == done.rows  # noqa: PT018
    assert seen(storage) == seen(unbroken)


def test_exporting_later_hours_first_duplicates_no_record(
    whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument],
) -> None:
    source, unbroken, _ = whole
    storage = mortal()
    run(storage, source, Choice(since=micros(BEGAN + 2 * HOUR), until=micros(BEGAN + 6 * HOUR)))
    run(storage, source)
    assert seen(storage)[0] == seen(unbroken)[0]
    found = rows(storage, CONNECTIONS)
    assert len({(row["CorrelationId"], row["CommitId"], row["Revision"]) for row in found}) == len(found)
    assert audited(storage).status == OK


def test_the_boundary_is_decided_once() -> None:
    source, storage = archive(), mortal()
    first = run(storage, source, Choice(until=micros(BEGAN + 2 * HOUR)))
    second = run(storage, source)
    assert first.boundary == second.boundary == micros(LIVE.replace(minute=0))
    assert second.overlapping == first.overlapping > 0


def test_erased_rows_do_not_come_back() -> None:
    """Not even if a run was interrupted: only records that were never exported arrive later."""
    source, storage, chosen = archive(connections=30), mortal(), f"{SERVICES[0][-3:]}-5"

    def his() -> set[tuple[str, int, int]]:
        found = (row for row in rows(storage, RECORDS) if row["CorrelationId"] == chosen)
        return {(row["_EventHubPartition"], row["_SequenceNumber"], row["_RecordIndex"]) for row in found}

    def erase() -> None:
        later = micros(NOW + 2 * HOUR)
        selection = Selection("CorrelationId", (chosen,))
        outcome = Erasure(storage, CompactionPolicy(), selection, lambda: later, ids()).erase(lambda *_: None)
        assert not outcome.files.left

    while not his():
        storage.left = 40
        with suppress(Killed):
            run(storage, source)
    storage.left = -1
    run(storage, source, Choice(until=0))  # empties the lists of the ledgers
    exported = his()
    erase()
    assert his() == set()
    run(storage, source)
    assert his()
    assert not his() & exported
    erase()
    assert run(storage, source).rows == 0
    assert his() == set()
    assert chosen not in {row["CorrelationId"] for row in rows(storage, CONNECTIONS)}
    assert audited(storage).status == OK


def test_without_live_output_nothing_is_exported() -> None:
    storage = MemoryStorage()
    with pytest.raises(BackfillError, match="has no records yet"):
        run(storage, archive())
    assert not storage.state
    assert not storage.output


def test_an_hour_that_may_still_grow_waits() -> None:
    source, storage = archive(), mortal()
    now = BEGAN + 6 * HOUR + timedelta(minutes=59)
    first = run(storage, source, now=now)
    assert (first.open, first.last) == (8, micros(BEGAN + 5 * HOUR))
    assert {row["Status"] for row in rows(storage, CONNECTIONS)} == {"closed"}
    second = run(storage, source)
    assert (second.open, second.first) == (0, micros(BEGAN + 5 * HOUR))
    assert {row["Status"] for row in rows(storage, CONNECTIONS)} == {"closed", "timed_out"}


def test_a_grown_blob_is_named() -> None:
    source, storage = archive(), mortal()
    run(storage, source)
    name = path(SERVICES[0], BEGAN + HOUR)
    source.content[name] += b"\n" + source.content[name].partition(b"\n")[0]
    before = len(rows(storage, RECORDS))
    assert run(storage, source).grown == [name]
    assert len(rows(storage, RECORDS)) == before


def test_two_blobs_of_one_hour_are_refused() -> None:
    source, storage = archive(), mortal()
    name = path(SERVICES[0], BEGAN + HOUR)
    source.content[name.lower()] = source.content[name]
    with pytest.raises(BackfillError, match="two blobs have the same hour"):
        run(storage, source)


def test_exporter_and_timer_of_the_app_ignore_the_archive(
    monkeypatch: pytest.MonkeyPatch, whole: tuple[MemoryArchive, MemoryStorage, BackfillDocument]
) -> None:
    _, storage, _ = whole
    names: list[str] = []
    original = storage.call

    def call(kind: str, name: str, effect: Callable[[], Any]) -> Any:
        names.append(name)
        return original(kind, name, effect)

    monkeypatch.setattr(storage, "call", call)
    with_live_output(storage)
    position = Position(last=0, enqueued=micros(LIVE), empty=False)
    hub = StillHub(HubState(created=0, positions={PARTITION: position}))
    assert Finisher(storage, hub, FinishPolicy(), lambda: micros(NOW), ids()).run(50).complete
    assert len(names) > 10
    assert not [name for name in names if name.startswith(BACKFILL) or f"{ARCHIVE}/" in name]


def test_compaction_includes_files_of_the_archive() -> None:
    source, storage = archive(), mortal()
    run(storage, source)
    before = seen(storage)
    now = itertools.count(micros(NOW) + DAY, 600 * SECOND)
    for _ in range(40):
        Compactor(storage, CompactionPolicy(), lambda: next(now), ids()).run(1e9)
    compacted = [name for name in storage.output if "/compacted-" in name]
    assert len(compacted) > 8
    assert seen(storage) == before
    assert audited(storage).status == OK


def test_status_shows_the_archive_and_an_interrupted_run() -> None:
    source, storage = archive(), mortal()
    storage.left, storage.after = 200, True
    with pytest.raises(Killed):
        run(storage, source)
    storage.left = -1
    left = status(storage, FinishPolicy(), None, micros(NOW) + 2 * 3600 * SECOND)
    assert any("run backfill again" in alarm for alarm in left.all_alarms)
    run(storage, source)
    later = status(storage, FinishPolicy(), None, micros(NOW) + 2 * 3600 * SECOND)
    mine = [one for one in later.partitions if one.partition.startswith(ARCHIVE)]
    assert [one.gaps for one in mine] == [0] * 4
    assert not [alarm for one in mine for alarm in one.alarms]
