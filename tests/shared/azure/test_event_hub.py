"""The hub's state includes the newest event of each partition, and when the hub was created."""

import time
from pathlib import Path

import pytest
from azure.eventhub import EventData, EventHubProducerClient

from local.emulators.event_hubs.process import BrokerProcess
from shared.azure.event_hub import EventHub
from shared.input.envelope import HubPartition
from shared.policies import Connection
from shared.protocol.hub import HubState, Position
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Ledger
from shared.timeunits import SECOND


@pytest.mark.parametrize(
    ("position", "incarnation", "drained", "behind"),
    [
        (Position(4, 100, empty=False), Incarnation(next=5, newest=100), True, 0),
        (Position(4, 100, empty=False), Incarnation(next=3, newest=90), False, 2),
        (Position(4, 100, empty=False), Incarnation(), False, 5),
        (Position(-1, -1, empty=True), Incarnation(), True, 0),
        # The hub was re-created, and holds fewer events than were committed of the old one.
        (Position(4, 200, empty=False), Incarnation(next=50, newest=100), False, 1),
    ],
)
def test_a_partition_is_drained_when_its_last_envelope_is_committed(
    position: Position,
    incarnation: Incarnation,
    drained: bool,  # noqa: FBT001 - a parameter of the test
    behind: int,
) -> None:
    assert position.drained(incarnation) is drained
    assert position.behind(incarnation) == behind


def test_a_ledger_belongs_to_the_hub_with_its_partition() -> None:
    ledger = Ledger(ledger_id="l", partition="ns/hub/0")
    assert HubState(1, {HubPartition("ns", "hub", "0"): Position(last=-1, enqueued=-1, empty=True)}).has(
        ledger
    )
    assert not HubState(1, {}).has(ledger)


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
