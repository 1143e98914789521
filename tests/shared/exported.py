"""Containers with real exports, on Azurite or in memory, for tests that read them."""

import uuid
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from azure.storage.blob import BlobProperties, BlobServiceClient, ContainerClient

from local.emulators.azurite import Azurite
from shared import clock
from shared.azure import blob_storage
from shared.connections.timer import Finisher
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import Connection, ExportPolicy, FinishPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger
from shared.protocol.storage import LogStorage
from shared.timeunits import HOUR, SECOND
from tests import records
from tests.memory import MemoryStorage, StillHub, confirm
from tests.records import EPOCH, LATER, PARTITION

POLICY = ExportPolicy(formats=("parquet", "json"), commit_bytes=5000)
"""Commits of a few envelopes, so that there are several."""


@dataclass(frozen=True)
class Saved:
    """The blobs of state and output, and the clock, from which the same containers can be made again."""

    state: list[tuple[BlobProperties, bytes]]
    output: list[tuple[BlobProperties, bytes]]
    clock: int


class Exporting:
    """Exports into a storage, with its own clock."""

    def __init__(self, storage: LogStorage) -> None:
        self.storage = storage
        self._clock = EPOCH + 59 * SECOND

    def now(self) -> int:
        """Returns the time, one second later on each call."""
        self._clock += SECOND
        return self._clock

    def exporter(self, policy: ExportPolicy = POLICY) -> Exporter:
        """Returns the exporter of a new process."""
        return Exporter(self.storage, policy, 1 << 24, self.now, lambda: uuid.uuid4().hex)

    def export(
        self,
        envelopes: Sequence[Envelope],
        policy: ExportPolicy = POLICY,
        partition: HubPartition = PARTITION,
    ) -> list[CommitPlan]:
        return self.exporter(policy).run(partition, envelopes)

    def export_hours_ago(self, partition: HubPartition, names: Sequence[str]) -> None:
        """Commits an envelope for each of these event names of one connection, a minute apart."""
        exporter = Exporter(self.storage, ExportPolicy(), 1 << 24, clock.now, clock.new_id)
        began = datetime.now(UTC).replace(minute=10) - timedelta(hours=5)
        for sequence, name in enumerate(names):
            at = int((began + timedelta(minutes=sequence)).timestamp()) * SECOND
            exporter.run(partition, [records.envelope(sequence, at + SECOND, records.record(at, "c", name))])

    def finish(self, last: int) -> None:
        """Exports envelopes up to this number by tens, finishes connections, and empties the list."""
        policy = FinishPolicy(opening=("ConnectionOpened",), closing=(), idle=timedelta(seconds=1))
        finisher = Finisher(self.storage, StillHub(), policy, self.now, lambda: uuid.uuid4().hex)
        for first in range(0, last + 1, 10):
            self.export(envelopes(first, first + 9))
            assert finisher.run(60).complete
        self.confirm()

    def confirm(self) -> None:
        """Empties the lists of the ledgers."""
        confirm(self.storage, LATER)

    @property
    def ledger_name(self) -> str:
        return Ledger.name(PARTITION)

    def ledger(self, partition: HubPartition = PARTITION) -> Ledger:
        blob = self.storage.read(Ledger.name(partition))
        assert blob
        return Ledger.parse(blob.data, "ledger")


class Exported(Exporting):
    """The state and output of an exporter on Azurite."""

    def __init__(self, azurite: Azurite, name: str) -> None:
        self.connection = Connection(string=azurite.connection_string)
        self.service = BlobServiceClient.from_connection_string(azurite.connection_string)
        self.state: ContainerClient = self.service.create_container(f"{name}-state")
        self.output: ContainerClient = self.service.create_container(f"{name}-output")
        super().__init__(
            blob_storage.connect(self.connection, self.connection, f"{name}-state", f"{name}-output")
        )
        self.environment = {
            "OutputStorage": azurite.connection_string,
            "OUTPUT_CONTAINER": f"{name}-output",
            "DEAD_LETTER_CONTAINER": f"{name}-output",
            "STATE_CONTAINER": f"{name}-state",
        }

    def save(self) -> Saved:
        """Returns the contents, for `load`: loading is much faster than exporting."""
        state, output = (
            [
                (blob, container.download_blob(blob.name).readall())
                for blob in container.list_blobs(include=["metadata"])
            ]
            for container in (self.state, self.output)
        )
        return Saved(state, output, self._clock)

    def load(self, saved: Saved) -> None:
        """Fills the containers, which are empty."""
        self._clock = saved.clock
        for container, blobs in ((self.state, saved.state), (self.output, saved.output)):
            for blob, data in blobs:
                container.upload_blob(
                    blob.name, data, metadata=blob.metadata, content_settings=blob.content_settings
                )

    def files(self, prefix: str = "") -> list[str]:
        return sorted(self.output.list_blob_names(name_starts_with=prefix))

    def read(self, name: str) -> bytes:
        data: bytes = self.output.download_blob(name).readall()
        return data

    def overwrite(self, name: str, data: bytes, *, vouched: bool = False) -> None:
        """Replaces the content and keeps the metadata; `vouched`: with matching size and checksum."""
        blob = self.output.get_blob_client(name)
        metadata = blob.get_blob_properties().metadata
        if vouched:
            metadata |= {"bytes": str(len(data)), "sha256": sha256(data).hexdigest()}
        blob.upload_blob(data, overwrite=True, metadata=metadata)

    def copy(self, name: str, to: str) -> None:
        blob = self.output.get_blob_client(name)
        metadata = blob.get_blob_properties().metadata
        self.output.upload_blob(to, self.read(name), metadata=metadata)

    def close(self) -> None:
        """Deletes the containers: Azurite becomes slower the more blobs it holds."""
        for container in (self.state, self.output):
            container.delete_container()
        self.service.close()


class InMemory(Exporting):
    """The state and output of an exporter in the memory of this process."""

    storage: MemoryStorage

    def __init__(self) -> None:
        super().__init__(MemoryStorage())

    def files(self, prefix: str = "") -> list[str]:
        return [one.name for one in self.storage.outputs(prefix) if one.visible]

    def read(self, name: str) -> bytes:
        data = self.storage.output[name].data
        assert data is not None
        return data

    def overwrite(self, name: str, data: bytes, *, vouched: bool = False) -> None:
        """Replaces the content and keeps the metadata; `vouched`: with matching size and checksum."""
        blob = self.storage.output[name]
        blob.data = data
        if vouched:
            blob.metadata |= {"bytes": str(len(data)), "sha256": sha256(data).hexdigest()}

    def copy(self, name: str, to: str) -> None:
        self.storage.output[to] = deepcopy(self.storage.output[name])


def contents_of(azurite: Azurite, fill: Callable[[Exported], object]) -> Saved:
    """What `fill` writes into empty containers."""
    exported = Exported(azurite, uuid.uuid4().hex)
    fill(exported)
    contents = exported.save()
    exported.close()
    return contents


def envelopes(first: int, last: int, size: int = 3) -> list[Envelope]:
    """Of seven envelopes, one is unreadable, one empty, one of another category, and one has a bad record."""
    return [envelope(sequence, size) for sequence in range(first, last + 1)]


def envelope(sequence: int, size: int = 3) -> Envelope:
    enqueued = EPOCH + sequence * SECOND
    whole: list[dict[str, Any]] = [record(sequence, index) for index in range(size)]
    match sequence % 7:
        case 1:
            return Envelope(sequence, enqueued, b'{"records": [' + b"\xff")
        case 2:
            whole = []
        case 3:
            whole = [one | {"category": "GatewayLogs"} for one in whole]
        case 4:
            del whole[1]["time"]
    return records.envelope(sequence, enqueued, *whole)


def record(sequence: int, index: int, hours: int = 0) -> dict[str, Any]:
    at = EPOCH - (1 - sequence % 2 + hours) * HOUR
    return records.record(at, f"c-{sequence}-{index}", resourceId=records.RESOURCE)


def lenient(policy: ExportPolicy = POLICY) -> ExportPolicy:
    """Returns the policy with an operator's changed settings."""
    return replace(policy, max_age=timedelta(days=3650), max_lead=timedelta(days=3650))
