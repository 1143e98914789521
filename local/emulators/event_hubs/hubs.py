"""A hub stored in a folder: its identity, consumer groups and partitions.

The folder contains:
    <data>/<hub>/hub.json           {"created_at": …, "partition_count": …}
    <data>/<hub>/<partition>.log    see `log`
"""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ARGUMENT_OUT_OF_RANGE, AmqpError, no_entity
from .log import PartitionLog
from .messages import Event
from .partition_keys import partition_of
from .readers import Readers

DEFAULT_GROUP = "$default"


class HubFolderError(Exception):
    """The existing folder of a hub does not match the requested hub."""


@dataclass
class Hub:
    """One Event Hub. Its partitions have the ids "0", "1" and so on."""

    name: str
    created_at_ms: int
    partitions: list[PartitionLog]
    groups: frozenset[str]
    _readers: dict[tuple[str, str], Readers] = field(default_factory=dict)
    _next: int = 0

    def partition(self, partition_id: str) -> PartitionLog:
        """Returns a partition by its id."""
        if partition_id not in map(str, range(len(self.partitions))):
            raise AmqpError(
                ARGUMENT_OUT_OF_RANGE,
                f"The specified partition '{partition_id}' is invalid for an EventHub partition sender or "
                f"receiver. It should be between 0 and {len(self.partitions) - 1}.",
            )
        return self.partitions[int(partition_id)]

    def readers(self, group: str, partition_id: str) -> Readers:
        """Returns the readers of a partition in a consumer group."""
        if group.lower() not in self.groups:
            raise no_entity(f"{self.name}/consumergroups/{group}")
        return self._readers.setdefault((group.lower(), partition_id), Readers())

    def append(self, events: Sequence[Event], partition_key: str | None) -> None:
        """Appends the events of one send to the partition of their key, or round-robin without a key."""
        if partition_key is None:
            self.partitions[self._next].append(events)
            self._next = (self._next + 1) % len(self.partitions)
        else:
            self.partitions[partition_of(partition_key, len(self.partitions))].append(events, partition_key)


def open_hub(
    data: Path, name: str, partition_count: int, groups: Sequence[str] = (), retention_ms: int | None = None
) -> Hub:
    """Opens the hub in a folder, or creates it. The number of partitions can be raised, but not lowered."""
    folder = data / name.lower()
    folder.mkdir(parents=True, exist_ok=True)
    identity = folder / "hub.json"
    stored = json.loads(identity.read_bytes()) if identity.exists() else None
    if stored and stored["partition_count"] > partition_count:
        raise HubFolderError(
            f"hub {name!r} has {stored['partition_count']} partitions, more than the {partition_count} "
            f"requested: request at least as many, or delete {folder}"
        )
    created_at = stored["created_at"] if stored else int(time.time() * 1000)
    scratch = identity.with_suffix(".new")
    scratch.write_text(json.dumps({"created_at": created_at, "partition_count": partition_count}))
    os.replace(scratch, identity)  # noqa: PTH105 - the point is that it replaces
    partitions = [PartitionLog(folder / f"{index}.log", retention_ms) for index in range(partition_count)]
    allowed = frozenset({DEFAULT_GROUP, *(group.lower() for group in groups)})
    return Hub(name, created_at, partitions, allowed)
