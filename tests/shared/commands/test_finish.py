"""`finish` runs the timer's work once, with the real SDKs, a broker and Azurite."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.emulators.event_hubs.process import BrokerProcess
from shared import __main__
from shared.azure.event_hub import EventHub
from shared.input.hub_partition import HubPartition
from shared.policies import Connection
from shared.tables.connection_revisions import CONNECTIONS
from tests.shared.exported import Exported


@pytest.fixture
def hub(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a hub, with the settings of an app that exports it, but not the connection to it."""
    hub = {"EVENT_HUB_NAME": "apim-logs", "EVENT_HUB_CONSUMER_GROUP": "exporter", "WS_GRACE": "00:00:01"}
    for name, value in (exported.environment | hub).items():
        monkeypatch.setenv(name, value)
    return "apim-logs"


@pytest.fixture
def partition(hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubPartition]:
    """The first partition of an empty hub."""
    with BrokerProcess(tmp_path / "hub", {hub: 2}, groups=["exporter", "operator"]) as broker:
        monkeypatch.setenv("EventHubConnection", broker.connection_string)
        reader = EventHub(Connection(string=broker.connection_string), hub, "exporter")
        yield min(reader.state().positions, key=str)


def connections(exported: Exported) -> pa.Table:
    files = exported.files(f"parquet/{CONNECTIONS.name}/")
    return pa.concat_tables([pq.read_table(pa.BufferReader(exported.read(one))) for one in files])


def test_finish_writes_a_finished_connection_once(
    exported: Exported, partition: HubPartition, capsys: pytest.CaptureFixture[str]
) -> None:
    exported.export_hours_ago(partition, ["ConnectionOpened", "Message", "ConnectionClosed"])
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


@pytest.mark.usefixtures("hub")
def test_finish_without_a_hub_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EventHubConnection", raising=False)
    assert __main__.main(["finish"]) == 2
    assert "EventHubConnection" in capsys.readouterr().err
