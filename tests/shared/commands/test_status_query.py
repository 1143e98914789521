"""The status of each partition follows from the state container and the hub."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from shared.audit.audit import OK
from shared.commands import status as command
from shared.commands.status_document import KeyStatus
from shared.commands.status_model import PartitionState
from shared.commands.status_query import STALE, status
from shared.compaction import compaction_state
from shared.connections import manifest
from shared.connections.manifest import EventNameCounts, Manifest, Part, PartitionProgress, Totals
from shared.input.hub_partition import HubPartition
from shared.policies import FinishPolicy
from shared.protocol.checkpoints import Checkpoint
from shared.protocol.hub import HubState, Position
from shared.settings.command_line import OperatorSettings
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.gateway_logs import GATEWAY_LOGS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, MINUTE, SECOND
from tests.records import EPOCH, PARTITION
from tests.shared.exported import Exported, envelopes
from tests.shared.report import made

NOW = EPOCH + 600 * SECOND
POLICY = FinishPolicy()


def partition_state(
    exported: Exported, now: int = NOW, state: HubState | None = None, policy: FinishPolicy = POLICY
) -> PartitionState:
    (one,) = status(exported.storage, policy, state, now).partitions
    return one


def hub(last: int, *, partition: HubPartition = PARTITION) -> HubState:
    return HubState(0, {partition: Position(last, EPOCH + last * SECOND, empty=last < 0)})


def test_the_state_of_a_partition_comes_from_its_ledger(exported: Exported) -> None:
    exported.export([*envelopes(0, 9), *envelopes(12, 20)])
    one = partition_state(exported)
    assert one.ledger == exported.ledger()
    assert (one.partition, one.gaps, one.alarms, one.replay) == (str(PARTITION), 2, [], False)


def test_nothing_is_written(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    before = [(blob.name, blob.etag) for blob in exported.state.list_blobs()]
    partition_state(exported)
    assert before == [(blob.name, blob.etag) for blob in exported.state.list_blobs()]


def test_files_unpublished_for_an_hour_are_an_alarm(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    assert "is the timer running" in partition_state(exported, EPOCH + 2 * HOUR).alarms[0]


def test_an_older_or_missing_ledger_is_an_alarm(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    ledger = exported.ledger()
    seen = PartitionProgress(ledger_id=ledger.ledger_id, ordinal=1, seen=ledger.ordinal + 1)
    exported.storage.put(manifest.NAME, Manifest(partitions={str(PARTITION): seen}).dump())
    assert "older" in partition_state(exported).alarms[0]
    exported.storage.delete([exported.ledger_name])
    assert "missing" in partition_state(exported).alarms[0]


def test_an_unreadable_ledger_is_an_alarm_of_its_partition(exported: Exported) -> None:
    exported.storage.put(exported.ledger_name, b"{")
    one = partition_state(exported)
    assert (one.partition, one.ledger) == (str(PARTITION), None)
    assert "is damaged" in one.alarms[0]


def test_a_replay_is_recognized_and_has_no_gaps(exported: Exported) -> None:
    exported.export(envelopes(5, 6), partition=PARTITION.replay(0))
    one = partition_state(exported)
    assert (one.replay, one.gaps) == (True, 0)


def test_without_the_hub_lag_is_unknown(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    assert partition_state(exported).lag is None


def test_lag_counts_events_that_the_ledger_lacks(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    counts = exported.ledger().counts
    one = partition_state(exported, state=hub(19))
    assert one.lag
    assert one.lag.envelopes == 10
    assert one.lag.seconds == pytest.approx(591)
    assert one.lag.records == round(10 * counts.records / counts.envelopes)
    assert one.alarms == []
    done = partition_state(exported, state=hub(9)).lag
    assert done
    assert (done.envelopes, done.seconds, done.records) == (0, 0, 0)


def test_a_partition_without_commits_is_shown_with_its_lag(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    other = HubPartition(PARTITION.namespace, PARTITION.hub, "1")
    _, one = status(exported.storage, POLICY, hub(4, partition=other), NOW).partitions
    assert (one.partition, one.ledger) == (str(other), None)
    assert one.lag
    assert (one.lag.envelopes, one.lag.records) == (5, None)


def test_a_stalled_partition_is_an_alarm(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    (alarm,) = partition_state(exported, EPOCH + HOUR, hub(19)).alarms
    assert alarm.startswith("10 envelopes waiting for up to 60 min")


@pytest.mark.parametrize(
    ("retention", "alarms"),
    [
        (timedelta(0), 0),
        (timedelta(hours=2), 0),
        (timedelta(minutes=15), 1),
        (timedelta(days=7), 0),
    ],
)
def test_lag_near_the_retention_is_an_alarm(exported: Exported, retention: timedelta, alarms: int) -> None:
    exported.export(envelopes(0, 9))
    one = partition_state(exported, state=hub(19), policy=FinishPolicy(retention=retention))
    assert len([alarm for alarm in one.alarms if "raise its retention" in alarm]) == alarms
    assert not partition_state(exported, state=hub(9), policy=FinishPolicy(retention=retention)).alarms, (
        "no lag"
    )


def test_any_checkpoint_older_than_the_hub_is_an_alarm(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    state = replace(hub(9), created=NOW)
    for modified, alarms in ((NOW - 1, [STALE]), (NOW, [])):
        checkpoint = Checkpoint(PARTITION, 9, "9", modified, "1")
        found = status(exported.storage, POLICY, state, NOW, {PARTITION: checkpoint}).partitions[0]
        assert (found.alarms, found.checkpoint) == (alarms, checkpoint)


def swap(exported: Exported) -> compaction_state.Swap:
    """Stores a swap, decided at NOW, of all files of the first hour for one that is only staged."""
    exported.export(envelopes(0, 9))
    name = next(name for name in exported.files() if name.startswith("parquet/"))
    folder = name[: name.rindex("/") + 1]
    inputs = tuple(name.removeprefix(folder) for name in exported.files(folder))
    output = exported.ledger().files[0].model_copy(update={"name": f"{folder}compacted-1.parquet"})
    one = compaction_state.Swap(folder=folder, inputs=inputs, output=output, began=NOW)
    exported.storage.stage_block(output.name, output.block_ids[0], b"rows")
    exported.storage.put(compaction_state.NAME, compaction_state.CompactionState().beginning(one).dump())
    return one


def test_an_unfinished_swap_is_shown_with_its_next_step(exported: Exported) -> None:
    for first in (0, 5):
        exported.export(envelopes(first, first + 4))
    assert status(exported.storage, POLICY, None, NOW).swap is None
    one = swap(exported)
    found = status(exported.storage, POLICY, None, NOW).swap
    assert found
    assert (found.folder, found.since, found.inputs) == (one.folder, NOW, len(one.inputs))
    assert (found.visible, found.waits_for) == (False, "the large file must be published")
    exported.storage.publish([one.output])
    for name in one.names[1:]:
        exported.output.delete_blob(name)
    found = status(exported.storage, POLICY, None, NOW).swap
    assert found
    assert (found.visible, found.left) == (True, [*one.names[:1]])
    assert f"1 of {len(one.inputs)} files are still to be deleted, such as {one.names[0]}" in found.waits_for
    exported.output.delete_blob(one.names[0])
    found = status(exported.storage, POLICY, None, NOW).swap
    assert found
    assert found.waits_for == "its end must be recorded"


def test_a_swap_that_takes_too_long_is_an_alarm(exported: Exported) -> None:
    one = swap(exported)
    assert status(exported.storage, POLICY, None, NOW + 20 * MINUTE).alarms == []
    exported.storage.publish([one.output])
    (alarm,) = status(exported.storage, POLICY, None, NOW + 21 * MINUTE).alarms
    assert one.folder in alarm
    assert "unfinished for 21 min, readers see rows twice, and no other hour is compacted" in alarm


def test_an_unreadable_state_of_compaction_is_an_alarm(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    exported.storage.put(compaction_state.NAME, b"{")
    (alarm,) = status(exported.storage, POLICY, None, NOW).alarms
    assert "nothing is compacted: compaction.json is damaged" in alarm


def test_connections_and_event_names_come_from_the_manifest(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    seen = Manifest(
        parts=(
            Part(name="a", low="", rows=5, open=2, due=0),
            Part(name="b", low="8", rows=5, open=1, due=0),
        ),
        totals=Totals(connections=7, revisions=1),
        names={
            "Hello": EventNameCounts(connections=3, first=3),
            "BYE": EventNameCounts(connections=2, last=2),
            "x": EventNameCounts(newest=9),
        },
    )
    exported.storage.put(manifest.NAME, seen.dump())
    found = status(exported.storage, FinishPolicy(opening=("hello", "x"), closing=("Bye", "X")), None, NOW)
    assert (found.open, found.manifest.totals.connections) == (3, 7)
    assert [(one.name, one.counts_as) for one in found.names] == [
        ("Hello", "opening"),
        ("BYE", "closing"),
        ("x", "opening and closing"),
    ]
    found = status(exported.storage, FinishPolicy(opening=(), closing=()), None, NOW)
    assert {one.counts_as for one in found.names} == {"neither"}


def test_frequent_keys_without_a_column_are_listed(
    exported: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    config = OperatorSettings(OutputStorage="UseDevelopmentStorage=true")
    sent = envelopes(0, 9)
    assert b'"correlationId"' in sent[0].body
    added = [
        replace(each, body=each.body.replace(b'"correlationId"', b'"level":1,"correlationId"'))
        for each in sent
    ]
    exported.export([*added[:6], *sent[6:]])
    exported.export(
        [replace(each, sequence=each.sequence + 10) for each in added], partition=PARTITION.replay(0)
    )
    found = status(exported.storage, POLICY, None, NOW).keys
    level = next(each for each in found if each.key == "level")
    # Every second envelope has two records.
    assert level == KeyStatus(table=RECORDS.name, key="level", records=9, of=15)
    command.status(exported.storage, config, NOW, as_json=False)
    assert "COLUMN_KEYS can assign them to columns" in " ".join(capsys.readouterr().out.split())
    command.status(exported.storage, config, NOW, as_json=True)
    assert level.model_dump() in orjson.loads(capsys.readouterr().out)["keys"]


def test_the_estimate_is_shown_if_most_durations_are_missing(
    exported: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    exported.export(envelopes(0, 3))
    for indeterminate, estimate in ((10, None), (11, 60.0)):
        totals = Totals(connections=20, indeterminate=indeterminate, arrival_seconds=660)
        names = {"": EventNameCounts(connections=7)}
        exported.storage.put(manifest.NAME, Manifest(totals=totals, names=names).dump())
        assert status(exported.storage, POLICY, None, NOW).estimate == estimate
        command.status(
            exported.storage, OperatorSettings(OutputStorage="UseDevelopmentStorage=true"), NOW, as_json=False
        )
        printed = " ".join(capsys.readouterr().out.split())
        assert ("unknown for 11 of 20 connections" in printed) is (estimate is not None)
        assert ("60 s on average" in printed) is (estimate is not None)
        assert "(no EventName)" in printed


def test_matching_requests_are_counted_if_both_tables_are_exported(
    exported: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = OperatorSettings(OutputStorage="UseDevelopmentStorage=true")
    exported.export(envelopes(0, 3))
    command.status(exported.storage, config, NOW, as_json=False)
    assert "requests:" not in capsys.readouterr().out
    began = EPOCH / SECOND - 2 * 3600
    rows = [made.connection(id_, began, 60) for id_ in ("a", "b", "c")]
    requests = [
        {"TimeGenerated": began * SECOND, "CorrelationId": id_, "_ResourceId": rows[0]["_ResourceId"]}
        for id_ in ("a", "c", "x")
    ]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    made.write(tmp_path, GATEWAY_LOGS, requests, "TimeGenerated")
    for path in tmp_path.rglob("*.parquet"):
        exported.output.upload_blob(path.relative_to(tmp_path).as_posix(), path.read_bytes())
    command.status(exported.storage, config, NOW, as_json=False)
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "requests: 2 of 3 sampled connections that ended in the hour from 2030-03-17 15:00Z have a row"
        in printed
    )
    command.status(exported.storage, config, NOW, as_json=True)
    (found,) = orjson.loads(capsys.readouterr().out)["matches"]
    assert (found["connections"], found["matched"], found["table"]) == (3, 2, GATEWAY_LOGS.name)
    for name in exported.files(f"parquet/{GATEWAY_LOGS.name}/"):
        exported.overwrite(name, b"PAR1")
    assert command.status(exported.storage, config, NOW, as_json=False) == OK
    assert "How many connections have a request is unknown" in " ".join(capsys.readouterr().out.split())
