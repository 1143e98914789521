"""compact_logs keeps Delta logs that match the folders, and repairs them."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.audit.audit import Report
from shared.commands import delta as command
from shared.compaction import compaction_state, grouping
from shared.compaction.compaction_state import CompactionState
from shared.compaction.compactor import Compactor
from shared.compaction.summary import CompactionSummary
from shared.delta import log, table_metadata
from shared.export.exporter import Exporter
from shared.policies import CompactionPolicy
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import DAY, HOUR, SECOND
from tests import delta_reader
from tests.audits import audited, codes
from tests.memory import CountingStorage, confirm
from tests.records import EPOCH, PARTITION
from tests.shared.exported import POLICY, envelopes

FOLDER = f"parquet/{RECORDS.name}/"
LOG = f"{FOLDER}_delta_log/"
COMPACTING = CompactionPolicy(reach=timedelta(days=1), target=1 << 20, delta=True)
LISTING = replace(COMPACTING, enabled=False)
KEEPING = replace(COMPACTING, keep=timedelta(days=1))


@dataclass
class Account:
    """Storage with exported files, and its clock."""

    storage: CountingStorage
    now: int = EPOCH + 60 * SECOND

    def export(self, first: int, last: int) -> None:
        exporter = Exporter(self.storage, POLICY, 1 << 24, lambda: self.now, lambda: uuid.uuid4().hex)
        exporter.run(PARTITION, envelopes(first, last))
        confirm(self.storage, self.now)

    def compact(self, policy: CompactionPolicy = COMPACTING) -> CompactionSummary:
        return Compactor(self.storage, policy, lambda: self.now, lambda: uuid.uuid4().hex).run(600)

    def table(self) -> delta_reader.Table:
        found = delta_reader.read(
            {
                name.removeprefix(LOG): blob.data
                for name, blob in self.storage.output.items()
                if name.startswith(LOG) and blob.data is not None
            }
        )
        assert found
        return found

    def files(self) -> set[str]:
        """The paths of the table's files in the folders."""
        return {
            name.removeprefix(FOLDER)
            for name, blob in self.storage.output.items()
            if name.startswith(f"{FOLDER}date=") and blob.data is not None
        }

    def rows(self, path: str) -> pa.Table:
        data = self.storage.output[FOLDER + path].data
        assert data is not None
        return pq.read_table(pa.BufferReader(data), partitioning=None)

    def state(self) -> CompactionState:
        return CompactionState.parse(self.storage.state[compaction_state.NAME].data)

    def audit(self) -> Report:
        return audited(self.storage)


@pytest.fixture
def account() -> Account:
    """Files of small commits, which no ledger lists, hours later."""
    one = Account(CountingStorage())
    one.export(0, 29)
    one.now = EPOCH + 6 * HOUR
    return one


def test_without_the_setting_there_are_no_delta_calls(account: Account) -> None:
    account.compact(replace(COMPACTING, delta=False))
    assert not [name for name in account.storage.output if "_delta_log" in name]
    assert account.storage.calls["read output"] == account.storage.calls["put output"] == 0
    assert account.state().format == 1


def test_existing_files_are_logged_and_swaps_follow(account: Account) -> None:
    account.compact(LISTING)
    assert account.table().live.keys() == account.files()
    assert account.state().delta.keys() == {RECORDS.name}, "tables without files have no log"
    assert account.state().format == 2
    assert account.compact().swaps
    table = account.table()
    assert table.live.keys() == account.files()
    assert all("compacted-" in path for path in table.live)
    # A reader of changes sees no change of data.
    assert not any(one["dataChange"] for one in table.removed.values())


def test_a_table_no_longer_exported_is_compacted_and_logged(account: Account) -> None:
    account.compact(LISTING)
    account.export(30, 39)
    account.now += 2 * HOUR
    for _ in range(grouping.ROUND):
        account.compact(replace(COMPACTING, categories=("GatewayLogs",)))
        account.now += grouping.SLOT
    assert all("compacted-" in path for path in account.files())
    assert account.table().live.keys() == account.files()


def test_an_existing_log_is_kept_for_any_setting(account: Account) -> None:
    account.compact()
    account.export(30, 39)
    account.compact(replace(COMPACTING, delta=False, enabled=False))
    assert account.table().live.keys() == account.files()


def test_statistics_hold_the_times_of_the_rows(account: Account) -> None:
    account.compact(LISTING)
    small = account.table()
    account.compact()
    for path, add in [*small.live.items(), *account.table().live.items()]:
        stats = orjson.loads(add["stats"])
        assert list(stats["minValues"]) == ["TimeGenerated"]
        if path in account.files():
            times = account.rows(path)["TimeGenerated"].to_pylist()
            assert stats["numRecords"] == len(times)
            assert stats["minValues"]["TimeGenerated"] == f"{min(times):%Y-%m-%dT%H:%M:%S}.000Z"
            assert stats["maxValues"]["TimeGenerated"] == f"{max(times):%Y-%m-%dT%H:%M:%S}.000Z"


@pytest.mark.parametrize(("last", "shown"), [(1_999, "00.002"), (2_000, "00.002"), (2_001, "00.003")])
def test_the_greatest_time_is_rounded_up_to_milliseconds(last: int, shown: str) -> None:
    from shared.delta.actions import as_dict  # noqa: PLC0415
    from shared.delta.snapshot import Add, LoggedFile  # noqa: PLC0415

    file = LoggedFile(1, 0, 1, first=1_999, last=last)
    add = as_dict(Add("date=1970-01-01/hour=00/a.parquet", file), "T")["add"]
    stats = orjson.loads(add["stats"])
    assert stats["minValues"]["T"] == "1970-01-01T00:00:00.001Z"
    assert stats["maxValues"]["T"] == f"1970-01-01T00:00:{shown}Z"


def test_files_without_times_have_only_row_counts_until_compacted(account: Account) -> None:
    for blob in account.storage.output.values():
        blob.metadata = {key: value for key, value in blob.metadata.items() if key != "times"}
    account.compact(LISTING)
    assert {tuple(orjson.loads(add["stats"])) for add in account.table().live.values()} == {("numRecords",)}
    account.compact()
    assert all("minValues" in orjson.loads(add["stats"]) for add in account.table().live.values())


def test_new_columns_stay_in_the_log_of_an_older_program(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.compact(LISTING)
    before = account.table().metadata
    monkeypatch.setattr(table_metadata, "VERSION", 2)
    account.compact(LISTING)
    newer = account.table().metadata
    assert (newer["id"], newer["configuration"]["apimWebsocketLogs.schemaVersion"]) == (before["id"], "2")
    monkeypatch.setattr(table_metadata, "VERSION", 1)
    account.compact(LISTING)
    assert account.table().metadata == newer


def lose_all(account: Account) -> None:
    for name in [name for name in account.storage.output if name.startswith(LOG)]:
        account.storage.remove_output(name)


def lose_the_newest(account: Account) -> None:
    account.storage.remove_output(f"{LOG}{account.table().version:020d}.json")


def lose_the_pointer(account: Account) -> None:
    account.storage.remove_output(f"{LOG}_last_checkpoint")


@pytest.mark.parametrize("lose", [lose_all, lose_the_newest, lose_the_pointer])
def test_an_incomplete_log_is_repaired(account: Account, lose: Callable[[Account], None]) -> None:
    account.compact(LISTING)
    account.compact()
    account.now += HOUR
    account.export(30, 39)
    account.compact(LISTING)
    lose(account)
    if lose is not lose_the_pointer:
        assert codes(account.audit()) == {"delta_unreadable"} or lose is lose_the_newest
    account.compact(LISTING)
    assert account.table().live.keys() == account.files()
    assert (account.audit().status, codes(account.audit())) == (0, set())


@pytest.mark.parametrize("lose", [lose_all, lose_the_newest])
def test_a_lost_log_with_kept_files_stops_its_table(
    account: Account, lose: Callable[[Account], None], capsys: pytest.CaptureFixture[str]
) -> None:
    account.compact(replace(LISTING, keep=KEEPING.keep))
    account.compact(KEEPING)
    while account.table().version > account.state().delta[RECORDS.name] - 1:
        lose(account)
        if lose is lose_all:
            break
    summary = account.compact(KEEPING)
    assert len(summary.alarms) == 1
    assert "--rebuild" in summary.alarms[0]
    assert command.rebuild(account.storage, KEEPING) == 0
    assert account.table().live.keys() == account.files()
    assert all("compacted-" in path for path in account.files())
    assert "replaced files were deleted" in capsys.readouterr().out
    assert account.audit().status == 0


def test_replaced_files_are_kept_for_older_snapshots_and_deleted_then(account: Account) -> None:
    account.compact(replace(LISTING, keep=KEEPING.keep))
    before = account.table().live.keys()
    account.compact(KEEPING)
    assert before < account.files()
    assert not account.table().live.keys() & before
    report = account.audit()
    assert (report.status, codes(report)) == (0, set())
    account.now += DAY + log.LATE // 2
    account.compact(KEEPING)
    assert before < account.files()
    account.now += DAY  # by then there is a new version, and with it a checkpoint
    account.compact(KEEPING)
    assert account.files() == account.table().live.keys()


def other_program(account: Account) -> None:
    lose_all(account)
    metadata: dict[str, Any] = {"id": "other", "schemaString": "{}", "configuration": {}}
    account.storage.put_output(f"{LOG}{0:020d}.json", orjson.dumps({"metaData": metadata}), {}, replace=False)


def gap(account: Account) -> None:
    for name in ("_last_checkpoint", f"{2:020d}.checkpoint.parquet", f"{1:020d}.json"):
        account.storage.remove_output(LOG + name)
    for name in [one for one in account.storage.output if one.startswith(LOG) and "checkpoint" in one]:
        account.storage.remove_output(name)


def optimized(account: Account) -> None:
    """Commits like OPTIMIZE of another program, which writes a file with another name."""
    path = "date=2030-03-17/hour=16/part-00001-%20.parquet"
    add = {"path": path, "partitionValues": {"date": "2030-03-17", "hour": "16"}, "size": 1}
    action = orjson.dumps({"add": {**add, "modificationTime": 0, "dataChange": False}})
    account.storage.put_output(f"{LOG}{account.table().version + 1:020d}.json", action, {}, replace=False)


def garbage(account: Account) -> None:
    account.storage.put_output(f"{LOG}{account.table().version + 1:020d}.json", b"{", {}, replace=False)


@pytest.mark.parametrize("break_it", [other_program, gap, optimized, garbage])
def test_an_untrusted_log_is_an_alarm_and_left_alone(
    account: Account, break_it: Callable[[Account], None]
) -> None:
    account.compact(LISTING)
    account.export(30, 39)
    account.compact(LISTING)
    break_it(account)
    before = {name: blob.data for name, blob in account.storage.output.items() if RECORDS.name in name}
    summary = account.compact()
    assert len(summary.alarms) == 1
    assert "is neither logged nor compacted" in summary.alarms[0]
    assert {
        name: blob.data for name, blob in account.storage.output.items() if RECORDS.name in name
    } == before
    assert "delta_unreadable" in codes(account.audit())
    assert command.show(account.storage) == 1
    assert command.rebuild(account.storage, COMPACTING) == 0
    assert account.table().live.keys() == account.files()


def test_files_deleted_by_hand_leave_the_log_next_run(account: Account) -> None:
    account.compact(LISTING)
    path = min(account.files())
    account.storage.remove_output(FOLDER + path)
    assert "delta_file_gone" in codes(account.audit())
    assert command.show(account.storage) == 1
    account.compact(LISTING)
    assert path not in account.table().live
    assert command.show(account.storage) == 0


def test_a_foreign_file_and_a_copy_are_not_logged(account: Account) -> None:
    path = min(account.files())
    blob = account.storage.output[FOLDER + path]
    assert blob.data is not None
    account.storage.put_output(f"{FOLDER}date=2030-03-17/hour=16/mine.parquet", blob.data, {}, replace=False)
    moved = f"{FOLDER}date=2030-03-17/hour=05/{path.rpartition('/')[2]}"
    account.storage.put_output(moved, blob.data, blob.metadata, replace=False)
    account.compact(LISTING)
    assert len(account.table().live) == len(account.files()) - 2


def test_files_leave_the_log_before_lifecycle_rules_delete_them(account: Account) -> None:
    policy = replace(LISTING, retention=timedelta(days=10))
    account.compact(policy)
    account.now = EPOCH + 60 * SECOND + 9 * DAY - SECOND
    account.compact(policy)
    assert account.table().live.keys() == account.files()
    account.now += 2 * SECOND
    account.compact(policy)
    assert account.table().live == {}
    account.now += 8 * HOUR
    account.compact(policy)  # the tombstones are gone, but the files are still there
    account.now += 2 * HOUR
    account.compact(policy)
    assert account.table().live == {}


def test_a_late_file_of_an_old_day_is_found_daily(account: Account) -> None:
    account.compact(LISTING)
    account.now += 30 * DAY
    account.compact(LISTING)
    path = min(account.files())
    old = f"date=2029-01-01/hour=00/{path.rpartition('/')[2]}"
    blob = account.storage.output[FOLDER + path]
    assert blob.data is not None
    metadata = {**blob.metadata, "folder": f"{FOLDER}date=2029-01-01/hour=00/"}
    account.storage.put_output(FOLDER + old, blob.data, metadata, replace=False)
    account.compact(LISTING)
    assert old not in account.table().live
    assert "delta_file_missing" in codes(account.audit())
    account.now += DAY
    account.compact(LISTING)
    assert old in account.table().live


def test_checkpoints_are_hourly_and_versions_kept_two_days(account: Account) -> None:
    account.compact(LISTING)
    for _ in range(5):
        account.now += DAY
        account.compact(LISTING)
    names = sorted(name.removeprefix(LOG) for name in account.storage.output if name.startswith(LOG))
    versions = [int(name[:20]) for name in names if name.endswith(".json")]
    checkpoints = [int(name[:20]) for name in names if name.endswith(".parquet")]
    assert versions == list(range(min(checkpoints), account.table().version + 1))
    assert 0 not in versions
    assert account.table().live.keys() == account.files()
