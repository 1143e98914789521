"""Checkpoints are listed, moved and deleted, with the real SDK, a broker and Azurite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.eventhub import EventData, EventHubProducerClient

from local.emulators.azurite import Azurite
from local.emulators.event_hubs.process import BrokerProcess
from shared.azure.checkpoints import BlobCheckpoints
from shared.azure.event_hub import EventHub
from shared.commands.reset_checkpoint import reset
from shared.errors import HubError, PartitionUnknown
from shared.policies import Connection
from tests.contracts.test_checkpoints import sdk

__all__ = ["sdk"]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[EventHub]:
    """A hub with five events in one partition."""
    with BrokerProcess(tmp_path, {"apim-logs": 1}, groups=["operator"]) as broker:
        string = broker.connection_string
        with EventHubProducerClient.from_connection_string(string, eventhub_name="apim-logs") as producer:
            producer.send_batch([EventData(b"{}") for _ in range(5)], partition_id="0")
        yield EventHub(Connection(string=string), "apim-logs", "operator")


@pytest.fixture
def store(azurite: Azurite, sdk: str, unique: str) -> BlobCheckpoints:
    assert sdk
    return BlobCheckpoints(Connection(string=azurite.connection_string), unique)


def test_a_checkpoint_is_moved_past_an_event_and_deleted(
    hub: EventHub, store: BlobCheckpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    (partition,) = hub.state().positions
    name = str(partition)
    assert reset(store, hub, None, None, yes=False) == 0
    assert "has no checkpoint" in capsys.readouterr().out
    assert reset(store, hub, name, 3, yes=False) == 1
    assert store.read([partition]) == {}
    assert reset(store, hub, name, 3, yes=True) == 0
    (moved,) = store.read([partition]).values()
    (event,) = hub.fetch(partition, 3, 3)
    assert (moved.sequence, moved.offset) == (3, event.offset)
    assert "skip 4 events" in capsys.readouterr().out
    with pytest.raises(HubError, match="choose one from 0 to 4"):
        reset(store, hub, name, 7, yes=True)
    with pytest.raises(PartitionUnknown, match="no such partition"):
        reset(store, hub, "x", None, yes=True)
    assert reset(store, hub, name, None, yes=True) == 0
    assert store.read([partition]) == {}
