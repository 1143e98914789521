import asyncio
import gc
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.eventhub import EventData

from local.eventhubs.process import BrokerProcess

from .clients import Reading, bodies, producer, read, send


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_clients_go_on_after_a_kill_and_nothing_accepted_is_lost(broker: BrokerProcess) -> None:
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
    # The SDK doesn't close the sockets of connections that it lost: they are warned of when they are collected,
    # which is to be here.
    gc.collect()
    assert bodies(events) == [b"1", b"2", b"3"]
    assert [event.sequence_number for event in events] == [0, 1, 2]
    assert bodies(read(broker, 3)) == [b"1", b"2", b"3"]


def test_a_deleted_hub_comes_back_as_another_one(broker: BrokerProcess) -> None:
    def identity() -> tuple[object, int]:
        with producer(broker) as client:
            properties = client.get_partition_properties("0")
            return client.get_eventhub_properties()["created_at"], properties["last_enqueued_sequence_number"]

    send(broker, ["1", "2"])
    before = identity()
    assert broker.stop() == 0
    broker.start()
    assert identity() == before
    broker.stop()
    broker.delete_hub("single")
    broker.start()
    created_at, last = identity()
    assert created_at > before[0]  # type: ignore[operator]
    assert last == -1


def test_retention_moves_the_beginning(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, {"single": 1}, retention="00:00:01") as broker:
        with producer(broker) as client:
            client.send_batch([EventData("old"), EventData("old")])
            time.sleep(1.1)
            assert client.get_partition_properties("0")["is_empty"]
            client.send_batch([EventData("new")])
            properties = client.get_partition_properties("0")
        assert properties["beginning_sequence_number"] == 2
        assert properties["last_enqueued_sequence_number"] == 2


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.eventhubs", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


def test_a_port_or_a_folder_in_use_is_one_clear_line(broker: BrokerProcess, tmp_path: Path) -> None:
    port = run(f"--port={broker.port}", f"--data={tmp_path / 'other'}", "--hub=h:1")
    folder = run("--port=0", f"--data={broker.data}", "--hub=h:1")
    for found, words in ((port, f"{broker.port}"), (folder, "another broker")):
        assert (found.returncode, found.stdout) == (1, "")
        assert len(found.stderr.splitlines()) == 1
        assert words in found.stderr
    with pytest.raises(RuntimeError, match="status 1.*another broker"):
        BrokerProcess(broker.data, {"h": 1}).start()


@pytest.mark.parametrize("hub", ["h", "h:0", "h:x", ":1", "../h:1"])
def test_a_hub_that_makes_no_sense_is_an_error(hub: str, tmp_path: Path) -> None:
    found = run(f"--data={tmp_path}", "--hub", hub)
    assert found.returncode == 2
    assert "NAME:PARTITIONS" in found.stderr


def test_stopping_ends_readers_and_the_process(broker: BrokerProcess) -> None:
    async def run() -> int:
        async with Reading(broker) as reading:
            await asyncio.to_thread(send, broker, ["1"])
            await reading.first(1)
            status = broker.stop()
            broker.start()
            await asyncio.to_thread(send, broker, ["2"])
            await reading.first(2)
            return status

    assert asyncio.run(run()) == 0
