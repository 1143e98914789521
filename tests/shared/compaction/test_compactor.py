"""Small files of quiet hours become one, which the audit accepts in their place."""

import io
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import AccountSasPermissions, BlobLeaseClient, ResourceTypes, generate_account_sas

from local.emulators.azurite import Azurite
from shared.audit import compacted_files
from shared.audit.audit import Report, audit
from shared.audit.evidence import Level
from shared.audit.listing import Listing
from shared.azure.blob_storage import connect
from shared.commands.ledger_acceptance import Blocked, forgotten
from shared.commands.status_query import status
from shared.compaction import compaction_state, grouping, rewriting
from shared.compaction.compaction_state import CompactionState
from shared.compaction.compactor import Compactor
from shared.compaction.replaced_files import ReplacedFile
from shared.compaction.summary import CompactionSummary
from shared.connections import manifest
from shared.connections.manifest import Manifest
from shared.errors import DeadlineExceeded, PreconditionFailed, StorageError
from shared.export.exporter import Exporter
from shared.policies import CompactionPolicy, Compression, Connection, ExportPolicy, FinishPolicy
from shared.protocol.ledger import Ledger, PendingFile, StagedFile
from shared.protocol.storage import Blob, BlobInfo, LogStorage, Publication
from shared.timeunits import HOUR, SECOND
from tests import audits, memory
from tests.audits import codes
from tests.memory import WEEK, CountingStorage, MemoryStorage
from tests.records import EPOCH, LATER, PARTITION
from tests.shared.exported import POLICY, Exported, InMemory, Saved, contents_of, envelopes

RECORDS = "parquet/ApiManagementWebSocketConnectionLogs/"
CONNECTIONS = "parquet/ApiManagementWebSocketConnectionRevisions/"
COMPACTING = CompactionPolicy(reach=timedelta(days=1), target=1 << 20)


def compact(
    exported: Exported | InMemory, policy: CompactionPolicy = COMPACTING, now: int = LATER
) -> CompactionSummary:
    return Compactor(exported.storage, policy, lambda: now, lambda: uuid.uuid4().hex).run(600)


def new_id() -> str:
    return uuid.uuid4().hex


def audited(exported: Exported | InMemory, since: int = 0, *, deep: bool = True) -> Report:
    return audits.audited(exported.storage, since, deep=deep)


def rows(exported: Exported | InMemory, prefix: str) -> list[dict[str, object]]:
    tables = [
        pq.ParquetFile(io.BytesIO(exported.read(name))).read()
        for name in exported.files(prefix)
        if name.endswith(".parquet")
    ]
    found: list[dict[str, object]] = pa.concat_tables(tables).to_pylist()
    return sorted(found, key=repr)


@pytest.fixture(scope="module")
def in_memory() -> InMemory:
    container = InMemory()
    container.finish(49)
    return container


@pytest.fixture
def filled(in_memory: InMemory) -> InMemory:
    """Commits of small batches, none of which a ledger lists any more, and finished connections."""
    return deepcopy(in_memory)


@pytest.fixture(scope="module")
def saved(azurite: Azurite) -> Saved:
    return contents_of(azurite, lambda container: container.finish(49))


@pytest.fixture
def on_azurite(exported: Exported, saved: Saved) -> Exported:
    """The same on Azurite."""
    exported.load(saved)
    return exported


def test_compaction_keeps_every_row_once_and_the_audit_proves_it(on_azurite: Exported) -> None:
    before = rows(on_azurite, RECORDS)
    names = on_azurite.files(RECORDS)
    summary = compact(on_azurite)
    assert summary.alarms == []
    assert sum(one.files for one in summary.swaps if "Logs" in one.table) == len(names) > 10
    assert len(on_azurite.files(RECORDS)) == 2  # hours
    assert rows(on_azurite, RECORDS) == before
    report = audited(on_azurite)
    assert (report.status, codes(report), codes(report, Level.UNCLEAR)) == (0, set(), set())
    assert compact(on_azurite).swaps == []


@pytest.mark.parametrize("compression", get_args(Compression))
def test_compacted_files_have_the_codec_of_the_setting(filled: InMemory, compression: Compression) -> None:
    compact(filled, replace(COMPACTING, compression=compression))
    compacted = [name for name in filled.files("parquet/") if "/compacted-" in name]
    assert compacted
    for name in compacted:
        column = pq.read_metadata(io.BytesIO(filled.read(name))).row_group(0).column(0)
        assert column.compression == compression.upper()


def test_connections_are_compacted_except_listed_files(filled: InMemory) -> None:
    before, files = rows(filled, CONNECTIONS), filled.files(CONNECTIONS)
    blob = filled.storage.read(manifest.NAME)
    assert blob
    listed = {file.name for file in Manifest.parse(blob.data).files}
    assert len(files) - len(listed) > 2
    compact(filled)
    after = filled.files(CONNECTIONS)
    assert listed <= set(after)
    assert len(after) < len(files)
    assert rows(filled, CONNECTIONS) == before
    assert audited(filled).status == 0


def test_files_listed_in_a_ledger_are_left_alone(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    exported.export(envelopes(10, 12), replace(ExportPolicy(), commit_bytes=1 << 20))
    listed = {file.name for file in exported.ledger().files}
    assert listed
    compact(exported)
    assert listed <= set(exported.files())


def test_compacting_late_rows_keeps_all_origins(filled: InMemory) -> None:
    compact(filled)
    for first in range(50, 90, 10):
        filled.export(envelopes(first, first + 9))
    blob = filled.storage.read(filled.ledger_name)
    assert blob
    filled.storage.write(filled.ledger_name, filled.ledger().confirmed("1" * 32, LATER).dump(), blob.etag)
    before = rows(filled, RECORDS)
    assert compact(filled, now=2 * LATER - EPOCH).swaps
    assert len(filled.files(RECORDS)) == 2
    assert rows(filled, RECORDS) == before
    assert audited(filled).status == 0


def test_a_row_group_is_found_by_id(filled: InMemory) -> None:
    compact(filled)
    for name in filled.files(RECORDS):
        file = pq.ParquetFile(io.BytesIO(filled.read(name)))
        ids = file.read()["CorrelationId"].to_pylist()
        assert ids == sorted(ids)
        group = file.metadata.row_group(0)
        assert group.sorting_columns[0].column_index == file.schema_arrow.get_field_index("CorrelationId")


def test_nothing_is_compacted_if_disabled(filled: InMemory) -> None:
    before = filled.files()
    assert compact(filled, replace(COMPACTING, enabled=False)) == CompactionSummary()
    assert filled.files() == before


def test_a_run_without_work_costs_few_calls() -> None:
    for run in range(grouping.ROUND):
        storage = CountingStorage()
        now = LATER + run * grouping.SLOT
        Compactor(storage, CompactionPolicy(), lambda now=now: now, lambda: "a").run(600)  # type: ignore[misc]
        assert storage.calls.total() <= 7, storage.calls


def test_a_swap_takes_the_calls_of_the_cost_formula() -> None:
    storage = CountingStorage()
    exporter = Exporter(storage, replace(POLICY, formats=("parquet",)), 1 << 24, lambda: EPOCH, new_id)
    exporter.run(PARTITION, envelopes(0, 49))
    name = Ledger.name(PARTITION)
    etag = storage.state[name].etag
    confirmed = Ledger.parse(storage.state[name].data, name).confirmed(new_id(), EPOCH)
    storage.write(name, confirmed.dump(), etag)
    storage.calls.clear()
    swaps = Compactor(storage, COMPACTING, lambda: LATER, new_id).run(600).swaps
    files = sum(one.files for one in swaps)
    assert files > 10
    calls = storage.calls
    assert calls.pop("outputs") <= 8  # folders of days
    assert calls == {
        "part": files,
        "remove": files,
        "names": len(swaps),  # of the ledgers
        "read": 1 + len(swaps) * (1 + 1),  # the state; for each hour, each ledger and the manifest
        "stage": 2 * len(swaps),  # a row group, the footer
        "write": 2 * len(swaps),
        "publish": len(swaps),
    }


# -- faults that must stop one folder only, and faults that must stop everything --------------------


def test_an_unreadable_file_stops_only_its_hour(on_azurite: Exported) -> None:
    first = on_azurite.files(RECORDS)[0]
    on_azurite.output.get_blob_client(first).set_standard_blob_tier("Archive")
    before = on_azurite.files(folder_of(first))
    summary = compact(on_azurite)
    (alarm,) = summary.alarms
    assert "BlobArchived" in alarm
    assert on_azurite.files(folder_of(first)) == before
    assert any("Logs" in one.table for one in summary.swaps)


def test_incompatible_columns_stop_only_their_hour(filled: InMemory) -> None:
    first = folder_of(filled.files(RECORDS)[0])
    before = filled.files(first)
    for name, value in zip(before, ("x", 1), strict=False):
        rewrite(filled, name, lambda table, value=value: with_column(table, value))  # type: ignore[misc]
    summary = compact(filled)
    (alarm,) = summary.alarms
    assert "Later" in alarm
    assert filled.files(first) == before
    assert any("Logs" in one.table for one in summary.swaps)


def test_files_of_a_partition_without_ledger_stop_compaction(filled: InMemory) -> None:
    stranger = replace(PARTITION, hub="other")
    filled.export(envelopes(0, 9), partition=stranger)
    filled.storage.delete([Ledger.name(stranger)])
    before = filled.files()
    summary = compact(filled)
    (alarm,) = summary.alarms
    assert "nothing is compacted" in alarm
    assert str(stranger) in alarm
    assert filled.files() == before


def test_only_temporary_files_of_killed_processes_are_deleted(
    filled: InMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    living = tmp_path / f"{rewriting.SCRATCH}{os.getppid()}-a"
    for folder in (living, tmp_path / f"{rewriting.SCRATCH}{dead.pid}-a"):
        folder.mkdir()
        (folder / "0.parquet").touch()
    assert compact(filled).swaps
    assert list(tmp_path.iterdir()) == [living]


def test_an_hour_is_compacted_before_the_whole_day_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Noting(MemoryStorage):
        def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
            calls.append(f"{kind} {name}")
            return effect()

    monkeypatch.setattr(memory, "PAGE", 5)
    storage = Noting()
    for hour in range(12):
        put(storage, f"{RECORDS}date=2030-03-17/hour={hour:02}/", [f"{n}.parquet" for n in range(4)])
    for blob in storage.output.values():
        metadata = dict.fromkeys(("rows", "compacted", "bytes", "folder", "sha256"), "1")
        blob.metadata = {**metadata, "committed_at": "0", "commit_id": ".parquet"}
    Compactor(storage, COMPACTING, lambda: LATER, lambda: "a").run(600)
    assert f"read {manifest.NAME}" in calls
    assert f"outputs {RECORDS}date=2030-03-17/" in calls[calls.index(f"read {manifest.NAME}") :]


# -- the audit of compacted files -----------------------------------------------------------------


def compacted(exported: Exported | InMemory, prefix: str = RECORDS) -> str:
    return next(name for name in exported.files(prefix) if "compacted-" in name)


def test_a_missing_compacted_file_is_found(filled: InMemory) -> None:
    compact(filled)
    filled.storage.remove_output(compacted(filled))
    assert codes(audited(filled)) == {"missing_files"}


def test_a_copied_compacted_file_is_found(filled: InMemory) -> None:
    compact(filled)
    name = compacted(filled)
    filled.copy(name, name.replace("hour=", "hour=0"))
    assert codes(audited(filled)) == {"too_many_files", "moved"}


def test_a_truncated_compacted_file_is_found(filled: InMemory) -> None:
    compact(filled)
    name = compacted(filled)
    filled.overwrite(name, filled.read(name)[:-30])
    assert "damaged" in codes(audited(filled, deep=False))


@pytest.mark.parametrize("prefix", [RECORDS, CONNECTIONS])
def test_a_changed_file_is_not_compacted(filled: InMemory, prefix: str) -> None:
    name = filled.files(prefix)[0]
    data = bytearray(filled.read(name))
    data[len(data) // 2] ^= 1
    filled.overwrite(name, bytes(data))
    (alarm,) = compact(filled).alarms
    assert f"{name}: its bytes differ from those that were written" in alarm
    assert filled.read(name) == data


def test_a_moved_file_is_not_compacted(filled: InMemory) -> None:
    name, *_, other = filled.files(RECORDS)
    moved = f"{folder_of(other)}moved-{name.rpartition('/')[2]}"
    filled.copy(name, moved)
    filled.storage.remove_output(name)
    (alarm,) = compact(filled).alarms
    assert f"{moved} was written to {folder_of(name)}" in alarm


def test_a_compacted_file_without_a_row_is_found(filled: InMemory) -> None:
    compact(filled)
    name = compacted(filled)
    rewrite(filled, name, lambda table: table.slice(1))
    assert "damaged" in codes(audited(filled, deep=False))


def test_a_deep_audit_finds_a_replaced_row_after_compaction(filled: InMemory) -> None:
    compact(filled)
    name = compacted(filled)
    rewrite(filled, name, with_a_row_of_another_commit)
    assert {"duplicates", "rows_differ"} == codes(audited(filled))


def test_a_file_next_to_its_replacement_is_found(filled: InMemory) -> None:
    name = filled.files(RECORDS)[0]
    blob = deepcopy(filled.storage.output[name])
    compact(filled)
    filled.storage.output[name] = blob
    assert codes(audited(filled)) == {"too_many_files"}


def test_since_finds_its_anchor_inside_compacted_files(filled: InMemory) -> None:
    compact(filled)
    since = EPOCH + 75 * SECOND
    report = audited(filled, since)
    assert (report.status, codes(report, Level.UNCLEAR)) == (0, set())
    filled.storage.remove_output(compacted(filled))
    assert audited(filled, since).status != 0


def test_an_inconsistent_listing_refutes_nothing(filled: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    compact(filled)
    monkeypatch.setattr(compacted_files, "TRIES", 0)
    report = audited(filled)
    assert (report.status, codes(report)) == (2, set())
    assert "compaction" in codes(report, Level.UNCLEAR)


def test_rows_of_commits_before_since_are_not_read(filled: InMemory) -> None:
    compact(filled)
    name = compacted(filled)
    rewrite(filled, name, with_a_row_of_another_commit)
    assert codes(audited(filled, LATER)) == set()
    assert {"duplicates", "rows_differ"} == codes(audited(filled, EPOCH + 75 * SECOND))


def test_the_audit_remembers_the_last_file_that_was_replaced(
    filled: InMemory,
) -> None:
    def read(since: int) -> tuple[list[ReplacedFile], Listing]:
        listing = Listing()
        for file in filled.storage.outputs(RECORDS):
            listing.take(file, since)
        all_ = compacted_files.CompactedFiles(
            filled.storage, listing, since, compacted_files.state(filled.storage)
        )
        all_.run(deep=True, progress=lambda *_: None)
        return [origin for one in all_._replaced.values() for origin in one.origins], listing

    names = filled.files(RECORDS)
    _, before = read(LATER)
    compact(filled)
    kept, _ = read(0)
    assert sorted(origin.name for origin in kept) == names
    kept, after = read(LATER)
    assert len(kept) == len(filled.files(RECORDS)) < len(names) / 5
    assert after.anchors == before.anchors


def test_a_commit_during_a_second_listing_is_no_rollback(
    filled: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, armed = filled.storage.read, [False]

    def compacting(step: str, *_: int) -> None:
        if step == "list":
            compact(filled)
            armed[0] = True

    def committing(name: str) -> Blob | None:
        if name == compaction_state.NAME and armed[0]:
            armed[0] = False
            filled.export(envelopes(50, 59))
        return read(name)

    monkeypatch.setattr(filled.storage, "read", committing)
    report = audit(filled.storage, 0, deep=True, progress=compacting)
    assert not armed[0]
    assert (report.status, codes(report)) == (0, set())


def test_accepting_counts_what_compaction_has_replaced(filled: InMemory) -> None:
    partition = Blocked(str(PARTITION), None, 1)
    before = forgotten(filled.storage, partition)
    assert before.files > 20
    compact(filled)
    assert forgotten(filled.storage, partition) == before


# -- after a crash ---------------------------------------------------------------------------------


class Stopping(Compactor):
    """Dies during a swap."""

    at = "publish"

    def _finish(
        self, state: CompactionState, _etag: str | None, _summary: CompactionSummary
    ) -> tuple[CompactionState, str]:
        assert state.swap
        if self.at == "delete":
            self._storage.publish([state.swap.output])
            self._storage.remove(state.swap.names[:1])
        raise KeyboardInterrupt


@pytest.mark.parametrize("at", ["publish", "delete"])
def test_an_interrupted_swap_is_explained_and_finished(filled: InMemory, at: str) -> None:
    before = rows(filled, RECORDS)
    dying = Stopping(filled.storage, COMPACTING, lambda: LATER, lambda: uuid.uuid4().hex)
    dying.at = at
    with pytest.raises(KeyboardInterrupt):
        dying.run(600)
    report = audited(filled)
    assert (report.status, codes(report)) == ((0, set()) if at == "publish" else (2, set()))
    assert codes(report, Level.UNCLEAR) == (set() if at == "publish" else {"compaction"})
    summary = compact(filled, replace(COMPACTING, enabled=False))
    assert (summary.finished, summary.alarms) == (1, [])
    assert rows(filled, RECORDS) == before
    assert audited(filled).status == 0


class Outrun(Compactor):
    """Another instance begins a swap as soon as this one has read the state."""

    outrun = False

    def _load(self) -> tuple[CompactionState, str | None]:
        found = super()._load()
        if not self.outrun:
            self.outrun = True
            other = Stopping(self._storage, COMPACTING, lambda: LATER, new_id)
            other.at = "delete"
            with pytest.raises(KeyboardInterrupt):
                other.run(600)
        return found


def test_a_swap_of_another_instance_is_not_damage(filled: InMemory) -> None:
    before = rows(filled, RECORDS)
    # So late that the new file can be compacted as well.
    summary = Outrun(filled.storage, COMPACTING, lambda: LATER + 10 * HOUR, new_id).run(600)
    assert summary.alarms == []
    assert rows(filled, RECORDS) == before
    assert audited(filled).status == 0


def test_a_swap_with_expired_blocks_is_abandoned_and_inputs_stay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = [0]
    storage = MemoryStorage(lambda: clock[0])
    put(storage, "f/", ["a", "b"])
    began(storage, "f/", ["a", "b"])
    clock[0] = WEEK + 1
    summary = Compactor(storage, COMPACTING, lambda: clock[0], lambda: "a").run(60)
    assert len(summary.alarms) == 1
    assert [one.name for one in storage.outputs("f/") if one.visible] == ["f/a", "f/b"]
    assert "neither visible nor staged" in caplog.text
    assert Compactor(storage, COMPACTING, lambda: clock[0], lambda: "a").run(60) == CompactionSummary()


def test_a_swap_finished_by_another_instance_is_no_alarm() -> None:
    """The output was compacted again before this instance published it."""

    class Overtaken(MemoryStorage):
        overtaking = True

        def _publish(self, file: PendingFile) -> Publication:
            if not self.overtaking:
                self.overtaking = True
                assert Compactor(self, COMPACTING, lambda: 0, lambda: "b").run(60).finished == 1
                self.remove_output(file.name)
            return super()._publish(file)

    storage = Overtaken()
    put(storage, "f/", ["a", "b"])
    began(storage, "f/", ["a", "b"])
    storage.overtaking = False
    summary = Compactor(storage, COMPACTING, lambda: 0, lambda: "a").run(60)
    assert (summary.alarms, summary.finished) == ([], 0)


def test_a_swap_that_ends_during_the_listing_is_clear(filled: InMemory) -> None:
    with pytest.raises(KeyboardInterrupt):
        Stopping(filled.storage, COMPACTING, lambda: LATER, lambda: uuid.uuid4().hex).run(600)

    class Ending:
        """Storage in which the swap ends after the listing."""

        def __getattr__(self, name: str) -> object:
            return getattr(filled.storage, name)

        def outputs(self, prefix: str) -> Iterator[BlobInfo]:
            found = list(filled.storage.outputs(prefix))
            if prefix == "":
                assert compact(filled, replace(COMPACTING, enabled=False)).finished == 1
            yield from found

    report = audits.audited(cast("LogStorage", Ending()))
    assert (report.status, codes(report), codes(report, Level.UNCLEAR)) == (0, set(), set())


def test_a_file_that_stays_after_a_swap_is_an_alarm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Held(MemoryStorage):
        def _remove(self, name: str) -> None:
            raise PreconditionFailed(f"delete {name}: HTTP 409 BlobImmutableDueToPolicy")

    storage = Held()
    put(storage, "f/", ["a", "b"])
    began(storage, "f/", ["a", "b"])
    assert Compactor(storage, COMPACTING, lambda: 60 * SECOND, lambda: "a").run(60).alarms == []
    (alarm,) = Compactor(storage, COMPACTING, lambda: 600 * SECOND, lambda: "a").run(60).alarms
    assert "BlobImmutableDueToPolicy" in alarm
    assert "readers see its rows twice" in caplog.text


def test_a_swap_longer_than_one_run_continues_in_each() -> None:
    names = [f"{n:02}" for n in range(40)]

    class Slow(MemoryStorage):
        removing = 0

        def _remove(self, name: str) -> None:
            self.removing += 1
            if self.removing % 8 == 0:
                raise DeadlineExceeded(f"delete {name}")
            super()._remove(name)

    storage = Slow()
    put(storage, "f/", names)
    began(storage, "f/", names)
    compactor = Compactor(storage, COMPACTING, lambda: 0, lambda: "a")
    for run in range(1, 6):
        with pytest.raises(DeadlineExceeded):
            compactor.run(60)
        assert len([one for one in names if storage.visible(f"f/{one}")]) == 40 - 7 * run
    assert compactor.run(60).finished == 1
    assert [one.name for one in storage.outputs("f/")] == ["f/compacted"]


def test_a_merge_that_takes_too_long_is_split(filled: InMemory) -> None:
    before = rows(filled, RECORDS)

    class Slow(MemoryStorage):
        parts = 0

        def part(self, name: str, offset: int, length: int) -> bytes:
            self.parts += 1
            if self.parts > 4:
                raise DeadlineExceeded(f"read {name}")
            return super().part(name, offset, length)

    slow = Slow()
    slow.state, slow.output = filled.storage.state, filled.storage.output
    compactor = Compactor(slow, COMPACTING, lambda: LATER, new_id)
    files = len(filled.files(RECORDS))
    for _ in range(40):
        slow.parts = 0
        with suppress(DeadlineExceeded):
            compactor.run(600)
    assert len(filled.files(RECORDS)) < files / 2
    assert rows(filled, RECORDS) == before
    assert audited(filled).status == 0


def test_a_leased_file_is_left_alone_and_blocks_nothing(on_azurite: Exported) -> None:
    before = rows(on_azurite, RECORDS)
    held = on_azurite.files(RECORDS)[0]
    lease = on_azurite.output.get_blob_client(held).acquire_lease()
    summary = compact(on_azurite)
    assert (summary.alarms, summary.pending_since) == ([], None)
    assert len([name for name in on_azurite.files(RECORDS) if "compacted-" not in name]) == 1
    assert held in on_azurite.files(RECORDS)
    assert rows(on_azurite, RECORDS) == before
    assert audited(on_azurite).status == 0
    lease.release()
    compact(on_azurite, now=LATER + 2 * 3600 * SECOND)
    assert held not in on_azurite.files(RECORDS)
    assert rows(on_azurite, RECORDS) == before


def test_a_lease_delays_a_swap_and_the_status_shows_it(
    on_azurite: Exported,
) -> None:
    before = rows(on_azurite, RECORDS)
    held = on_azurite.files(RECORDS)[0]
    with pytest.raises(KeyboardInterrupt):
        Stopping(on_azurite.storage, COMPACTING, lambda: LATER, new_id).run(600)
    on_azurite.output.get_blob_client(held).acquire_lease()
    assert compact(on_azurite).finished == 0
    found = status(on_azurite.storage, FinishPolicy(), None, LATER).swap
    assert found
    assert (found.folder, found.since, found.left) == (folder_of(held), LATER, [held])
    BlobLeaseClient(on_azurite.output.get_blob_client(held)).break_lease(0)
    assert compact(on_azurite).finished == 1
    assert status(on_azurite.storage, FinishPolicy(), None, LATER).swap is None
    assert rows(on_azurite, RECORDS) == before


def test_a_file_that_stays_undeletable_is_an_alarm(
    on_azurite: Exported, caplog: pytest.LogCaptureFixture
) -> None:
    permitted = generate_account_sas(
        str(on_azurite.service.account_name),
        on_azurite.service.credential.account_key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, create=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    string = f"BlobEndpoint={on_azurite.service.primary_endpoint};SharedAccessSignature={permitted}"
    environment = on_azurite.environment
    store = connect(
        on_azurite.connection,
        Connection(string=string),
        environment["STATE_CONTAINER"],
        environment["OUTPUT_CONTAINER"],
    )
    for now in (LATER, LATER + 600 * SECOND):
        assert "readers see its rows twice" not in caplog.text
        with pytest.raises(StorageError, match="HTTP 403"):
            Compactor(store, COMPACTING, lambda now=now: now, lambda: uuid.uuid4().hex).run(60)  # type: ignore[misc]
    assert "readers see its rows twice" in caplog.text


def put(storage: MemoryStorage, folder: str, names: Sequence[str]) -> None:
    for name in names:
        file = StagedFile(listed(folder + name), b"rows")
        storage.stage([file])
        storage.publish([file.pending])


def began(storage: MemoryStorage, folder: str, names: Sequence[str]) -> None:
    """Leaves a swap that was only committed."""
    output = listed(f"{folder}compacted")
    storage.stage([StagedFile(output, b"rows of both")])
    swap = compaction_state.Swap(folder=folder, inputs=tuple(names), output=output, began=0)
    storage.put(compaction_state.NAME, CompactionState().beginning(swap).dump())


def listed(name: str) -> PendingFile:
    return PendingFile(name=name, block_ids=("0",), content_type="x", metadata={"rows": "1"}, staged_at=0)


def folder_of(name: str) -> str:
    return name[: name.rindex("/") + 1]


def with_a_row_of_another_commit(table: pa.Table) -> pa.Table:
    """The table with a row twice, which replaces a row of another commit."""
    batches = [sequence // 10 for sequence in table["_SequenceNumber"].to_pylist()]
    first = next(number for number, batch in enumerate(batches) if batch != batches[-1])
    return pa.concat_tables([table.slice(first, 1), table.slice(0, len(table) - 1)])


def with_column(table: pa.Table, value: object) -> pa.Table:
    return table.append_column("Later", pa.array([value] * len(table)))


def rewrite(filled: InMemory, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    file = pq.ParquetFile(io.BytesIO(filled.read(name)))
    kept = {key: value for key, value in file.metadata.metadata.items() if key == b"replaces"}
    sink = io.BytesIO()
    table = change(file.read())
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.add_key_value_metadata(kept)
        writer.write_table(table)
    filled.overwrite(name, sink.getvalue(), vouched=True)
