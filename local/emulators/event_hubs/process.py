"""Runs a broker as a child process, on a free port, for tests and demos.

For example:
    with BrokerProcess(folder, {"apim-logs": 4}, groups=["exporter"]) as broker:
        EventHubProducerClient.from_connection_string(broker.connection_string, eventhub_name="apim-logs")
"""

import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from local.emulators import child
from local.emulators.child import ChildProcess
from local.emulators.waiting import PATIENCE

from .broker import HOST

_PROJECT = Path(__file__).parents[3]
_LISTENING = f"listening on {HOST}:"


class BrokerProcess(ChildProcess):
    """A broker in its own process. It keeps its port and its folder across `kill` and `start`."""

    def __init__(
        self,
        data: Path,
        hubs: Mapping[str, int],
        *,
        groups: Sequence[str] = (),
        retention: str | None = None,
        port: int = 0,
        key_name: str = "RootManageSharedAccessKey",
        key: str | None = "bG9jYWwgZGV2ZWxvcG1lbnQ=",
    ) -> None:
        """Describes the broker; `start` starts it.

        Args:
            data: the folder that keeps the events.
            hubs: the number of partitions of each hub, by name.
            groups: consumer groups of every hub in addition to `$Default`.
            retention: how long events are kept, as HH:MM:SS; None keeps them forever.
            port: 0 chooses a free one.
            key_name: the name of the shared access key.
            key: the shared access key; None accepts every token.
        """
        self.data = data.absolute()
        self.port = port
        self.key_name = key_name
        self.key = key
        self._options = [f"--hub={name}:{count}" for name, count in hubs.items()]
        self._options += [f"--group={group}" for group in groups]
        self._options += [f"--retention={retention}"] if retention else []

    @property
    def connection_string(self) -> str:
        """A connection string for the SDK's `from_connection_string`; the hub's name is passed separately."""
        return (
            f"Endpoint=sb://{HOST}:{self.port};SharedAccessKeyName={self.key_name};"
            f"SharedAccessKey={self.key or 'unused'};UseDevelopmentEmulator=true"
        )

    @property
    def log(self) -> str:
        """What it has written to its standard error."""
        path = self.data / "broker.stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Starts the broker and waits until it listens; raises `RuntimeError` with its output if it does not.

        Its standard error goes to `broker.stderr` in its folder.
        """
        if self._process is not None:
            raise RuntimeError("the broker is already running: call stop() first")
        command = [
            sys.executable,
            "-m",
            "local.emulators.event_hubs",
            f"--port={self.port}",
            f"--data={self.data}",
        ]
        command += [*self._options, f"--key-name={self.key_name}"]
        command += [] if self.key is None else [f"--key={self.key}"]
        self.data.mkdir(parents=True, exist_ok=True)
        errors = self.data / "broker.stderr"
        with errors.open("wb") as stderr:
            process = child.start(command, cwd=_PROJECT, stderr=stderr)
        try:
            said = child.said_until(process, "\n", PATIENCE)
        except BaseException:
            child.end(process, signal.SIGKILL)
            raise
        if not said.startswith(_LISTENING):
            status = child.end(process, signal.SIGKILL)
            raise RuntimeError(f"the broker ended with status {status}: {errors.read_text().strip()}")
        self.port = int(said.removeprefix(_LISTENING))
        self._process = process
        return self

    def delete_hub(self, name: str) -> None:
        """Deletes a hub while the broker is not running; the next start creates an empty one."""
        if self._process is not None:
            raise RuntimeError("The broker is running: call stop() first.")
        shutil.rmtree(self.data / name.lower())

    def recreate_hub(self, name: str) -> None:
        """Deletes a hub and re-creates it under its name, as an operator would.

        Clients reconnect by themselves. The events are gone, sequence numbers and offsets
        begin at 0, and `created_at` is later.
        """
        self.stop()
        self.delete_hub(name)
        self.start()
