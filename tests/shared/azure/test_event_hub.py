"""The hub's state includes the newest event of each partition, and when the hub was created."""

import time
from pathlib import Path

from azure.eventhub import EventData, EventHubProducerClient

from local.emulators.event_hubs.process import BrokerProcess
from shared.azure.event_hub import EventHub
from shared.policies import Connection
from shared.timeunits import SECOND


def test_the_state_covers_every_partition(tmp_path: Path) -> None:
    began = time.time_ns() // 1000
    with BrokerProcess(tmp_path, {"apim-logs": 2}, groups=["exporter"]) as broker:
        string = broker.connection_string
        with EventHubProducerClient.from_connection_string(string, eventhub_name="apim-logs") as producer:
            producer.send_batch([EventData(b"a"), EventData(b"b")], partition_id="1")
        state = EventHub(Connection(string=string), "apim-logs", "exporter").ask()
        ended = time.time_ns() // 1000
        assert state
        assert began - SECOND <= state.created <= ended
        assert {(partition.hub, partition.id) for partition in state.positions} == {
            ("apim-logs", "0"),
            ("apim-logs", "1"),
        }
        (empty, full) = (state.positions[partition] for partition in sorted(state.positions, key=str))
        assert (empty.empty, empty.last) == (True, -1)
        assert (full.empty, full.last) == (False, 1)
        assert began - SECOND <= full.enqueued <= ended


def test_the_state_of_a_silent_hub_is_none() -> None:
    string = (
        "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0;UseDevelopmentEmulator=true"
    )
    assert EventHub(Connection(string=string), "apim-logs", "exporter").ask() is None
