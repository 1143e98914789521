import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.eventhub import EventData

from local.emulators.event_hubs.hubs import open_hub
from local.emulators.event_hubs.log import PartitionLog
from local.emulators.event_hubs.messages import parse_event
from local.emulators.event_hubs.process import BrokerProcess
from local.emulators.waiting import PATIENCE

from .clients import Reading, bodies, producer, read, send
from .peer import Peer, data_message


# The SDK does not close the sockets of lost connections. Python warns when it collects them, so this
# test collects them itself.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_clients_continue_after_a_kill_and_no_event_is_lost(broker: BrokerProcess) -> None:
    async def run() -> list[EventData]:
        async with Reading(broker, partition_id="0") as reading:
            with producer(broker, retry_backoff_factor=0.1) as client:
                client.send_batch([EventData("1"), EventData("2")])
                await reading.first(2)
                broker.kill()
                await asyncio.to_thread(broker.start)
                await asyncio.to_thread(client.send_batch, [EventData("3")])
            return await reading.first(3)

    events = asyncio.run(run())
    gc.collect()
    assert bodies(events) == [b"1", b"2", b"3"]
    assert [event.sequence_number for event in events] == [0, 1, 2]
    assert bodies(read(broker, 3)) == [b"1", b"2", b"3"]


def test_a_deleted_hub_is_created_as_a_new_one(broker: BrokerProcess) -> None:
    def hub_and_partition() -> list[object]:
        asked: dict[object, object] = {"operation": "READ", "name": "single", "partition": "0"}
        with Peer(broker) as peer:
            peer.authorize()
            return [
                peer.ask("$management", asked | {"type": f"com.microsoft:{kind}"}).value
                for kind in ("eventhub", "partition")
            ]

    def facts(answers: list[object]) -> tuple[object, object]:
        hub, partition = answers
        assert isinstance(hub, dict)
        assert isinstance(partition, dict)
        return hub["created_at"], partition["last_enqueued_sequence_number"]

    send(broker, ["1", "2"])
    before = hub_and_partition()
    broker.stop()
    broker.start()
    assert hub_and_partition() == before
    with pytest.raises(RuntimeError, match="is running"):
        broker.delete_hub("single")
    broker.stop()
    broker.delete_hub("single")
    broker.start()
    created_at, last_sequence_number = facts(before)
    assert last_sequence_number == 1
    new_created_at, new_last_sequence_number = facts(hub_and_partition())
    assert new_created_at != created_at
    assert new_last_sequence_number == -1


def test_retention_moves_the_beginning(tmp_path: Path) -> None:
    open_hub(tmp_path, "single", 1).partitions[0].close()
    log = PartitionLog(tmp_path / "single" / "0.log", clock=lambda: time.time() - 7200)
    log.append([parse_event(data_message(b"old"))] * 2)
    log.close()
    with BrokerProcess(tmp_path, {"single": 1}, retention="01:00:00") as broker:
        send(broker, ["new"])
        with producer(broker) as client:
            assert client.get_partition_properties("0")["beginning_sequence_number"] == 2


def run_broker(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.emulators.event_hubs", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_a_port_or_folder_in_use_is_one_error(broker: BrokerProcess, tmp_path: Path) -> None:
    port = run_broker(f"--port={broker.port}", f"--data={tmp_path / 'other'}", "--hub=h:1")
    folder = run_broker("--port=0", f"--data={broker.data}", "--hub=h:1")
    for found, words in ((port, f"{broker.port}"), (folder, "another broker")):
        assert (found.returncode, found.stdout) == (1, "")
        assert len(found.stderr.splitlines()) == 1
        assert words in found.stderr
    with pytest.raises(RuntimeError, match="status 1: another broker"):
        BrokerProcess(broker.data, {"h": 1}).start()


def test_a_second_start_fails_and_a_second_stop_succeeds(broker: BrokerProcess) -> None:
    with pytest.raises(RuntimeError, match="already running"):
        broker.start()
    assert broker.stop() == broker.stop() == 0
    broker.kill()


@pytest.mark.parametrize("hub", ["h:0", "../h:1"])
def test_an_invalid_hub_is_an_error(hub: str, tmp_path: Path) -> None:
    found = run_broker(f"--data={tmp_path}", "--hub", hub)
    assert found.returncode == 2
    assert "NAME:PARTITIONS" in found.stderr
