"""`finish` and `compact` run the timers' work once, with the real SDKs, a broker and Azurite."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.emulators.event_hubs.process import BrokerProcess
from shared import __main__
from shared.azure.event_hub import EventHub
from shared.commands.compact import compact
from shared.export.exporter import Exporter
from shared.input.hub_partition import HubPartition
from shared.policies import CompactionPolicy, Connection, ExportPolicy
from shared.tables.connection_revisions import CONNECTIONS
from shared.timeunits import SECOND
from tests.records import envelope, record
from tests.shared.exported import Exported


def export(exported: Exported, partition: HubPartition, names: list[str]) -> None:
    """Commits an envelope for each of these event names of one connection, a minute apart and hours ago."""
    exporter = Exporter(
        exported.storage, ExportPolicy(), 1 << 24, lambda: time.time_ns() // 1000, lambda: uuid.uuid4().hex
    )
    began = datetime.now(UTC).replace(minute=10) - timedelta(hours=5)
    for sequence, name in enumerate(names):
        happened = began + timedelta(minutes=sequence)
        at = int(happened.timestamp()) * SECOND
        exporter.run(partition, [envelope(sequence, at + SECOND, record(at, "c", name))])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path / "hub", {"apim-logs": 2}, groups=["exporter", "operator"]) as running:
        yield running


@pytest.fixture
def partition(exported: Exported, broker: BrokerProcess, monkeypatch: pytest.MonkeyPatch) -> HubPartition:
    """The first partition of an empty hub, with the settings of an app that exports it."""
    hub = {
        "EventHubConnection": broker.connection_string,
        "EVENT_HUB_NAME": "apim-logs",
        "EVENT_HUB_CONSUMER_GROUP": "exporter",
        "WS_GRACE": "00:00:01",
    }
    for name, value in (exported.environment | hub).items():
        monkeypatch.setenv(name, value)
    reader = EventHub(Connection(string=broker.connection_string), "apim-logs", "exporter")
    return min(reader.state().positions, key=str)


def connections(exported: Exported) -> pa.Table:
    files = exported.files(f"parquet/{CONNECTIONS.name}/")
    return pa.concat_tables([pq.read_table(pa.BufferReader(exported.read(one))) for one in files])


def test_finish_writes_a_finished_connection_once(
    exported: Exported, partition: HubPartition, capsys: pytest.CaptureFixture[str]
) -> None:
    export(exported, partition, ["ConnectionOpened", "Message", "ConnectionClosed"])
    # The emulator's hub is younger than its committed events, which raises an alarm.
    assert __main__.main(["finish"]) == 1
    said = capsys.readouterr().out
    assert "1 connection finished" in said
    assert "re-created" in said
    (row,) = connections(exported).to_pylist()
    assert (row["CorrelationId"], row["Status"], row["DurationMs"]) == ("c", "closed", 120_000)
    assert __main__.main(["finish", "--seconds", "5"]) == 0
    assert "0 connections finished" in capsys.readouterr().out
    assert connections(exported).num_rows == 1


def test_finish_without_a_hub_says_what_to_set(
    partition: HubPartition, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert partition
    monkeypatch.delenv("EventHubConnection")
    assert __main__.main(["finish"]) == 2
    assert "EventHubConnection" in capsys.readouterr().err


def test_compact_merges_a_quiet_hour_and_reports_it(
    exported: Exported, partition: HubPartition, capsys: pytest.CaptureFixture[str]
) -> None:
    export(exported, partition, ["ConnectionOpened", "Message", "Message", "ConnectionClosed"])
    before = exported.files("parquet/")
    assert len(before) == 4
    # The command itself waits until the hour has been quiet.
    assert __main__.main(["compact"]) == 0
    assert exported.files("parquet/") == before
    policy = replace(CompactionPolicy(), quiet=timedelta(0), reach=timedelta(days=2))
    assert compact(exported.storage, policy, 60) == 0
    # The ledger still lists the file of its last commit.
    assert "3 files" in capsys.readouterr().out
    files = exported.files("parquet/")
    assert len(files) == 2
    assert sum("/compacted-" in name for name in files) == 1
    assert sum(pq.read_table(pa.BufferReader(exported.read(name))).num_rows for name in files) == 4
    assert compact(exported.storage, policy, 60) == 0
    assert exported.files("parquet/") == files
