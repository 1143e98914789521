"""The broker's command and connection string in the documentation work."""

import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

from azure.eventhub import EventData, EventHubProducerClient

from tests.documents import ROOT, blocks

COMMAND = ".venv/bin/python -m local.emulators.event_hubs "


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_broker_starts_and_is_reached_as_documented(tmp_path: Path) -> None:
    (command,) = [
        command for block in blocks("sh") for command in block.commands if command.startswith(COMMAND)
    ]
    (connection_string,) = [
        line
        for line in (ROOT / "docs" / "local.md").read_text().splitlines()
        if line.startswith("Endpoint=sb://127.0.0.1;")
    ]
    port = free_port()
    arguments = shlex.split(command)[1:]
    arguments[arguments.index("--port") + 1] = str(port)
    arguments[arguments.index("--data") + 1] = str(tmp_path / "data")
    with subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE) as broker:
        try:
            assert broker.stdout is not None
            assert broker.stdout.readline() == b"listening on 127.0.0.1:%d\n" % port
            client = EventHubProducerClient.from_connection_string(
                connection_string.replace("127.0.0.1", f"127.0.0.1:{port}"), eventhub_name="apim-logs"
            )
            with client:
                client.send_batch([EventData(b"hello")])
                assert client.get_eventhub_properties()["partition_ids"] == ["0", "1", "2", "3"]
        finally:
            broker.send_signal(signal.SIGTERM)
    assert broker.returncode == 0
