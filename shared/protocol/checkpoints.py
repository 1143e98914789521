"""The checkpoints of the Functions host: where it continues in each partition."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.input.hub_partition import HubPartition


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The event after which the host continues in a partition."""

    partition: HubPartition
    sequence: int | None
    """The sequence number of that event; None if the checkpoint does not have it."""
    offset: str
    modified: int
    """When it was written (µs since 1970 UTC, precise to the second)."""
    etag: str

    def stale(self, created: int) -> bool:
        """Whether it belongs to an older hub than the one created at this time, so that it is meaningless."""
        return self.modified < created


class Checkpoints(Protocol):
    """The checkpoints of the hub and the consumer group that this app reads."""

    def read(self, hub: Iterable[HubPartition]) -> Mapping[HubPartition, Checkpoint]:
        """Returns the checkpoints of those partitions that have one. Raises StorageError."""

    def delete(self, checkpoint: Checkpoint) -> None:
        """Deletes a checkpoint. Raises PreconditionFailed if it has changed, and StorageError."""

    def write(self, partition: HubPartition, offset: str, sequence: int, before: Checkpoint | None) -> None:
        """Replaces `before` (None: none exists). Raises PreconditionFailed if it changed, or StorageError."""
