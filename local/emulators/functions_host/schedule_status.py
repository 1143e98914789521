"""Stores in a blob when a timer last ran and when it should run next, for the next start of the host.

It follows `StorageScheduleMonitor` in azure-webjobs-sdk-extensions: a blob
`timers/<host id>/Host.Functions.<function>/status` in the container `azure-webjobs-hosts`.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from azure.core.exceptions import AzureError
from azure.storage.blob.aio import ContainerClient

from local.emulators.functions_host.lease import CONTAINER

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class ScheduleStatus:
    """The members of the blob, and of `ScheduleStatus` in the argument of the function."""

    last: datetime
    next: datetime
    last_updated: datetime

    def as_json(self) -> dict[str, str]:
        """Returns the members with the host's names."""
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.last_updated.isoformat(),
        }

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Parses the blob's content."""
        document = json.loads(text)
        return cls(*(datetime.fromisoformat(document[name]) for name in ("Last", "Next", "LastUpdated")))


class ScheduleMonitor:
    """Reads and writes the status of one timer."""

    def __init__(self, connection_string: str, host_id: str, function: str) -> None:
        self._storage = connection_string
        self._blob = f"timers/{host_id}/Host.Functions.{function}/status"

    async def read(self) -> ScheduleStatus | None:
        """Returns the status, or None if the timer never ran or storage does not answer."""
        async with ContainerClient.from_connection_string(self._storage, CONTAINER) as container:
            try:
                stream = await container.download_blob(self._blob)
                return ScheduleStatus.parse(await stream.readall())
            except AzureError:
                return None

    async def write(self, status: ScheduleStatus) -> None:
        """Stores the status; if that fails, the host does not notice if the next run is missed."""
        data = json.dumps(status.as_json()).encode()
        async with ContainerClient.from_connection_string(self._storage, CONTAINER) as container:
            with suppress(AzureError):
                await container.upload_blob(self._blob, data, overwrite=True)
