"""One Azurite and one broker for all tests here; each test has a separate hub and copy of the app."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage
from azure.storage.blob import ContainerClient

from local.emulators.azurite import Azurite
from local.emulators.event_hubs.process import BrokerProcess
from local.emulators.functions_host.process import HostProcess
from local.emulators.waiting import wait_until

APPS = Path(__file__).parent / "apps"
HUBS = {f"hub{number}": 2 for number in range(80)}


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("broker"), HUBS) as running:
        yield running


@pytest.fixture(scope="session")
def free_hubs() -> list[str]:
    return list(HUBS)


class App:
    """The recorder app in a separate folder, with its record, its switches, and hosts that run it."""

    def __init__(self, folder: Path, settings: dict[str, str], broker: BrokerProcess) -> None:
        self._broker = broker
        self.folder = folder / "app"
        self._record = folder / "record"
        self._switches = folder / "switches"
        self._switches.mkdir()
        shutil.copytree(APPS / "recorder", self.folder)
        self.settings = settings | {"RECORD": str(self._record), "SWITCHES": str(self._switches)}
        self.hub = settings["HUB"]
        self.storage = settings["AzureWebJobsStorage"]
        self.hosts: list[HostProcess] = []
        # One producer for all sends, because the SDK takes a second to open it.
        self.producer = self._new_producer()
        self.write_host_json()

    def _new_producer(self) -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(
            self.settings["EventHubConnection"], eventhub_name=self.hub
        )

    def recreate_hub(self) -> None:
        """Delete the hub with its events, and re-create it."""
        self.producer.close()
        self._broker.recreate_hub(self.hub)
        self.producer = self._new_producer()

    def delete_checkpoint(self, partition: str = "0") -> None:
        """Delete the checkpoint blob, as an operator or a timer would."""
        with ContainerClient.from_connection_string(self.storage, "azure-webjobs-eventhub") as container:
            for name in list(container.list_blob_names()):
                if name.endswith(f"/{self.hub}/$default/checkpoint/{partition}"):
                    container.delete_blob(name)

    def write_host_json(self, timeout: str = "00:05:00", **hubs: object) -> None:
        # If ownership expired early, another host would take it whenever its owner gets too little CPU time.
        quick = {
            "loadBalancingUpdateInterval": "00:00:01",
            "partitionOwnershipExpirationInterval": "00:00:30",
        }
        document = {
            "version": "2.0",
            "functionTimeout": timeout,
            "extensions": {"eventHubs": quick | hubs},
        }
        (self.folder / "host.json").write_text(json.dumps(document))

    def host(
        self, name: str = "host", grace: float = 10, time_scale: float = 1, **settings: str
    ) -> HostProcess:
        host = HostProcess(
            self.folder,
            self.settings | {"HOST_NAME": name} | settings,
            name=name,
            grace=grace,
            time_scale=time_scale,
        )
        self.hosts.append(host)
        return host

    def switch(self, name: str, *, on: bool = True) -> None:
        path = self._switches / name
        if on:
            path.touch()
        else:
            path.unlink()

    def notes(self, what: str, **fields: object) -> list[dict[str, Any]]:
        # The last line may be half written.
        lines = self._record.read_text().split("\n")[:-1] if self._record.exists() else []
        wanted = ({"what": what} | fields).items()
        return [found for line in lines if wanted <= _plain(found := json.loads(line)).items()]

    def wait_for(self, what: str, count: int = 1, **fields: object) -> list[dict[str, Any]]:
        """Return these notes of the app once there are `count`."""
        self.wait_until(
            lambda: len(self.notes(what, **fields)) >= count,
            f"{count} {what} {fields}",
            lambda: self.notes(what, **fields),
        )
        return self.notes(what, **fields)

    def wait_until(
        self, condition: Callable[[], bool], expected: str, seen: Callable[[], object] | None = None
    ) -> None:
        """Wait until a host has done something."""
        wait_until(
            condition,
            expected,
            seen=seen or (lambda: [event for host in self.hosts for event in host.seen][-3:]),
            hopeless=lambda: "" if any(host.running for host in self.hosts) else "no host is running",
            log=lambda: self.hosts[-1].log,
            pause=0.02,
        )

    def send_raw(self, *messages: AmqpAnnotatedMessage, partition: str = "0") -> None:
        batch = self.producer.create_batch(partition_id=partition)
        for message in messages:
            batch.add(message)
        self.producer.send_batch(batch)

    def send(self, *bodies: bytes, partition: str = "0", key: str | None = None) -> None:
        batch = self.producer.create_batch(partition_key=key, partition_id=None if key else partition)
        for number, body in enumerate(bodies):
            event = EventData(body)
            event.properties = {} if number else {"color": "blue"}
            batch.add(event)
        self.producer.send_batch(batch)

    def partition(self, host: HostProcess, number: str) -> str:
        """Return a partition's name in the host's status lines."""
        partitions = [str(event["partition"]) for event in host.wait_for("claimed", 2)]
        return next(partition for partition in partitions if partition.endswith(f"/{number}"))

    def checkpoint(self, partition: str = "0") -> int | None:
        """Return the sequence number in the checkpoint blob, or None."""
        metadata = self.checkpoint_metadata(partition)
        return int(metadata["sequencenumber"]) if metadata else None

    def checkpoint_metadata(self, partition: str = "0") -> dict[str, str]:
        """Return the metadata of the checkpoint blob; empty if there is none."""
        with ContainerClient.from_connection_string(self.storage, "azure-webjobs-eventhub") as container:
            for blob in container.list_blobs(include=["metadata"]):
                if blob.name.endswith(f"/{self.hub}/$default/checkpoint/{partition}"):
                    return dict(blob.metadata)
        return {}


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if not isinstance(value, list | dict)}


@pytest.fixture
def app(tmp_path: Path, azurite: Azurite, broker: BrokerProcess, free_hubs: list[str]) -> Iterator[App]:
    app = App(
        tmp_path,
        {
            "HUB": free_hubs.pop(),
            "EventHubConnection": broker.connection_string,
            "AzureWebJobsStorage": azurite.connection_string,
            "AzureFunctionsWebHost__hostid": tmp_path.name.lower().replace("_", "-"),
        },
        broker,
    )
    try:
        yield app
    finally:
        app.producer.close()
