"""Containers on Azurite that the real exporter filled, for those who read them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from azure.storage.blob import BlobProperties, BlobServiceClient, ContainerClient

from local.emulators.azurite import Azurite
from shared.azure import blob_storage
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope, HubPartition
from shared.policies import Connection, ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger
from shared.timeunits import HOUR, SECOND
from tests import records

EPOCH = 1_900_000_000 * SECOND
PARTITION = HubPartition("space.servicebus.windows.net", "logs", "0")
POLICY = ExportPolicy(formats=("parquet", "json"), commit_bytes=2000)
"""Small commits, so that there are many."""


@dataclass(frozen=True)
class Saved:
    """The blobs of state and output, and the clock: what it takes to have the same containers once more."""

    state: list[tuple[BlobProperties, bytes]]
    output: list[tuple[BlobProperties, bytes]]
    clock: int


class Exported:
    """State and output of an exporter."""

    def __init__(self, azurite: Azurite, name: str) -> None:
        self.connection = Connection(string=azurite.connection_string)
        self.service = BlobServiceClient.from_connection_string(azurite.connection_string)
        self.state: ContainerClient = self.service.create_container(f"{name}-state")
        self.output: ContainerClient = self.service.create_container(f"{name}-output")
        self.storage = blob_storage.connect(
            self.connection, self.connection, f"{name}-state", f"{name}-output"
        )
        self.environment = {
            "OutputStorage": azurite.connection_string,
            "OUTPUT_CONTAINER": f"{name}-output",
            "DEAD_LETTER_CONTAINER": f"{name}-output",
            "STATE_CONTAINER": f"{name}-state",
        }
        self._clock = EPOCH + 59 * SECOND

    def now(self) -> int:
        """A second later each time."""
        self._clock += SECOND
        return self._clock

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

    def exporter(self, policy: ExportPolicy = POLICY) -> Exporter:
        """That of a new process."""
        return Exporter(self.storage, policy, 1 << 24, self.now, lambda: uuid.uuid4().hex)

    def export(
        self,
        envelopes: Sequence[Envelope],
        policy: ExportPolicy = POLICY,
        partition: HubPartition = PARTITION,
    ) -> list[CommitPlan]:
        return self.exporter(policy).run(partition, envelopes)

    def files(self, prefix: str = "") -> list[str]:
        return sorted(self.output.list_blob_names(name_starts_with=prefix))

    def read(self, name: str) -> bytes:
        data: bytes = self.output.download_blob(name).readall()
        return data

    def overwrite(self, name: str, data: bytes, *, vouched: bool = False) -> None:
        """Other content under the same name and metadata; `vouched`: with a size and checksum that match."""
        blob = self.output.get_blob_client(name)
        metadata = blob.get_blob_properties().metadata
        if vouched:
            metadata |= {"bytes": str(len(data)), "sha256": sha256(data).hexdigest()}
        blob.upload_blob(data, overwrite=True, metadata=metadata)

    def copy(self, name: str, to: str) -> None:
        blob = self.output.get_blob_client(name)
        metadata = blob.get_blob_properties().metadata
        self.output.upload_blob(to, self.read(name), metadata=metadata)

    @property
    def ledger_name(self) -> str:
        return Ledger.name(PARTITION)

    def ledger(self, partition: HubPartition = PARTITION) -> Ledger:
        blob = self.storage.read(Ledger.name(partition))
        assert blob
        return Ledger.parse(blob.data, "ledger")

    def close(self) -> None:
        """Deletes the containers, too: Azurite takes longer for a request the more blobs it holds."""
        for container in (self.state, self.output):
            container.delete_container()
        self.service.close()


def envelopes(first: int, last: int, size: int = 3) -> list[Envelope]:
    """Of every seven one is unreadable, one has no records, one has other records, one has a bad one, too."""
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
    """As an operator's changed settings."""
    return replace(policy, max_age=timedelta(days=3650), max_lead=timedelta(days=3650))
