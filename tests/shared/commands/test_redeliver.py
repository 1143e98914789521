"""Events that the hub still has are exported, with the real SDK and a broker."""

import gzip
import time
from collections.abc import Iterator
from functools import cached_property
from itertools import count

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage

from local.emulators.event_hubs.process import BrokerProcess
from shared.azure.event_hub import EventHub
from shared.commands.redeliver import redeliver
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import Connection, ExportPolicy
from shared.protocol.hub import HubState
from shared.protocol.hub_changes import with_hub_created
from shared.protocol.ledger import Ledger
from tests import records
from tests.memory import MemoryStorage
from tests.records import EPOCH

POLICY = ExportPolicy()
SENT = time.time_ns() // 1000
"""The broker enqueues by the wall clock, µs since 1970 UTC."""


def body(n: int) -> bytes:
    return records.body(records.record(SENT, f"c{n}", "Message"))


class Hub:
    """A hub with one partition, and an exporter."""

    def __init__(self, broker: BrokerProcess, name: str) -> None:
        self.name = name
        self.string = broker.connection_string
        self.reader = EventHub(Connection(string=self.string), name, "operator")
        self.storage = MemoryStorage(lambda: EPOCH)
        self._ids = (f"{n:032x}" for n in count())
        self.exporter = Exporter(self.storage, POLICY, 1 << 24, lambda: EPOCH, self.new_id)

    def new_id(self) -> str:
        return next(self._ids)

    def send(self, *events: EventData | AmqpAnnotatedMessage) -> None:
        with EventHubProducerClient.from_connection_string(self.string, eventhub_name=self.name) as producer:
            batch = producer.create_batch(partition_id="0")
            for event in events:
                batch.add(event)
            producer.send_batch(batch)

    @cached_property
    def state(self) -> HubState:
        """After everything was sent; each query takes most of a second, which the SDK spends waiting."""
        return self.reader.state()

    @cached_property
    def partition(self) -> HubPartition:
        return next(iter(self.state.positions))

    @cached_property
    def envelopes(self) -> list[Envelope]:
        """All that were sent, read from the hub once."""
        last = self.state.positions[self.partition].last
        return [one.envelope for one in self.reader.fetch(self.partition, 0, last)]

    @property
    def ledger(self) -> Ledger:
        return Ledger.parse(self.storage.state[Ledger.name(self.partition)].data, "")

    def commit(self, first: int, last: int) -> None:
        """Commits these events; then the timer records when the hub was created."""
        self.exporter.run(self.partition, self.envelopes[first : last + 1])
        after = with_hub_created(self.ledger, self.state.created).written(self.new_id(), EPOCH)
        self.storage._put(Ledger.name(self.partition), after.dump())

    def files(self) -> list[str]:
        found = self.storage.output.items()
        return [name for name, one in found if name.startswith("parquet/") and one.data is not None]

    def visible(self) -> list[int]:
        """The sequence numbers of all rows."""
        return sorted(
            sequence
            for data in (self.storage.output[name].data for name in self.files())
            for sequence in pq.read_table(pa.BufferReader(data))["_SequenceNumber"].to_pylist()
        )

    def redeliver(self, *, dry_run: bool = False, missing_files: bool = False, as_json: bool = False) -> int:
        return redeliver(
            self.storage,
            self.reader,
            POLICY,
            1 << 24,
            None,
            dry_run=dry_run,
            missing_files=missing_files,
            as_json=as_json,
            now=lambda: EPOCH,
            new_id=self.new_id,
        )


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Hub]]:
    """A hub for each test, of one broker."""
    names = {f"hub{number}": 1 for number in range(20)}
    with BrokerProcess(tmp_path_factory.mktemp("broker"), names, groups=["operator"]) as broker:
        yield (Hub(broker, name) for name in names)


@pytest.fixture
def hub(hubs: Iterator[Hub]) -> Hub:
    return next(hubs)


def test_gaps_are_filled_from_the_hub_once(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.send(*(EventData(body(n)) for n in range(20)))
    hub.commit(5, 9)
    hub.commit(15, 16)
    assert hub.ledger.incarnation.gaps == ((0, 4), (10, 14))
    assert hub.redeliver(dry_run=True) == 0
    output = capsys.readouterr().out
    assert "10 missing events: 10 can be exported, 0 gone from the hub" in output
    assert max(map(len, output.splitlines())) <= 80
    assert hub.ledger.counts.rows == 7
    assert hub.redeliver() == 0
    assert not hub.ledger.incarnation.gaps
    assert hub.ledger.counts.rows == 17
    assert hub.redeliver() == 0
    assert "0 missing events: 0 read again" in capsys.readouterr().out
    assert hub.ledger.counts.rows == 17


def test_missing_files_are_exported_again_once_on_request(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output account was restored, and lacks files that the ledger has committed."""
    hub.send(*(EventData(body(n)) for n in range(9)))
    hub.commit(0, 3)
    (gone,) = hub.files()
    hub.commit(4, 6)
    del hub.storage.output[gone]
    hub.commit(8, 8)
    assert hub.redeliver() == 0
    assert "1 missing event: 1 read again" in capsys.readouterr().out
    assert hub.redeliver(missing_files=True, dry_run=True) == 0
    said = capsys.readouterr().out
    assert "4 missing events: 4 can be exported, 0 gone from the hub" in said
    assert "4 committed events in commits that lack files" in said
    assert hub.visible() == [4, 5, 6, 7, 8]
    assert hub.redeliver(missing_files=True) == 0
    assert hub.visible() == list(range(9))
    assert not hub.ledger.lost
    assert hub.ledger.counts.rows == 9
    assert hub.redeliver(missing_files=True) == 0
    assert hub.visible() == list(range(9))


def test_events_exported_by_another_ledger_are_not_repeated(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    """The state account was restored, and the ledger lacks commits in the output."""
    hub.send(*(EventData(body(n)) for n in range(10)))
    hub.commit(0, 3)
    before = hub.storage.state[Ledger.name(hub.partition)]
    hub.commit(4, 6)
    hub.storage._put(Ledger.name(hub.partition), before.data)
    hub.exporter = Exporter(hub.storage, POLICY, 1 << 24, lambda: EPOCH, hub.new_id)
    hub.commit(9, 9)
    assert hub.ledger.incarnation.gaps == ((4, 8),)
    assert hub.redeliver() == 0
    said = "3 in the output through commits that the ledger lacks, recorded as committed"
    assert said in capsys.readouterr().out
    assert not hub.ledger.incarnation.gaps
    hub.exporter.run(hub.partition, hub.envelopes)
    assert hub.visible() == list(range(10))


def test_a_restored_ledger_learns_what_the_output_holds_before_start(hub: Hub) -> None:
    hub.send(*(EventData(body(n)) for n in range(10)))
    hub.commit(0, 3)
    before = hub.storage.state[Ledger.name(hub.partition)]
    hub.commit(4, 6)
    hub.storage._put(Ledger.name(hub.partition), before.data)
    assert hub.redeliver(missing_files=True) == 0
    assert hub.ledger.incarnation.next == 7
    assert not hub.ledger.incarnation.gaps
    hub.exporter = Exporter(hub.storage, POLICY, 1 << 24, lambda: EPOCH, hub.new_id)
    hub.commit(3, 9)
    assert hub.visible() == list(range(10))
    assert hub.ledger.incarnation.number == 0


def test_a_hub_unknown_to_the_timer_is_not_read(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.send(*(EventData(body(n)) for n in range(3)))
    hub.exporter.run(hub.partition, hub.envelopes[2:])
    assert hub.redeliver() == 1
    assert "wait until finish_connections has run" in capsys.readouterr().out
    assert hub.ledger.incarnation.gaps == ((0, 1),)


@pytest.mark.parametrize(
    ("message", "kind", "decoded"),
    [
        (AmqpAnnotatedMessage(value_body={"a": [1, b"\xff"]}), "value", {"a": [1, {"base64": "/w=="}]}),
        (AmqpAnnotatedMessage(sequence_body=[[1, 2], ["q"]]), "sequence", [[1, 2], ["q"]]),
    ],
    ids=["value", "sequence"],
)
def test_an_event_the_host_cannot_bind_becomes_a_dead_letter(
    hub: Hub,
    message: AmqpAnnotatedMessage,
    kind: str,
    decoded: object,
    capsys: pytest.CaptureFixture[str],
) -> None:
    message.application_properties = {"k": 1}
    hub.send(EventData(body(0)), message, EventData(body(2)))
    hub.commit(2, 2)
    hub.redeliver(as_json=True)
    (said,) = orjson.loads(capsys.readouterr().out)["partitions"]
    assert (said["events"], said["rejected"]) == (2, {"unreadable_envelope": 1})
    assert hub.ledger.incarnation.gaps == ()
    assert hub.ledger.counts.rejected == {"unreadable_envelope": 1}
    ((name, blob),) = [one for one in hub.storage.output.items() if one[0].startswith("_dead")]
    line = orjson.loads(gzip.decompress(blob.data or b""))
    kept = orjson.loads(line["body"])
    assert (line["amqp_body_type"], line["sequence"]) == (kind, 1), name
    assert (kept["body"], kept["application_properties"]) == (decoded, {"k": 1})
    assert kept["annotations"]["x-opt-sequence-number"] == 1
    assert kind in line["rejections"][0]["message"]


def test_no_more_events_are_fetched_than_requested(hub: Hub) -> None:
    hub.send(*(EventData(body(n)) for n in range(9)))
    assert [one.envelope.sequence for one in hub.reader.fetch(hub.partition, 2, 5)] == [2, 3, 4, 5]
    few = hub.reader.fetch(hub.partition, 2, 8, limit=len(body(0)) + 1)
    assert [one.envelope.sequence for one in few] == [2, 3]
