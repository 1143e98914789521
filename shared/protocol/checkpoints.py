"""The checkpoints of the Functions host: where it continues in each partition."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.input.envelope import HubPartition


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The host continues in a partition after the event that is named here."""

    partition: HubPartition
    sequence: int | None
    """Of that event; None: the checkpoint does not say."""
    offset: str
    modified: int
    """When it was written, in whole seconds; µs since 1970 UTC."""
    etag: str

    def stale(self, created: int) -> bool:
        """Whether it is of an older hub than the one created at this time: its offset means nothing now."""
        return self.modified < created


class Checkpoints(Protocol):
    """The checkpoints of the hub and the consumer group that this app reads."""

    def read(self, hub: Iterable[HubPartition]) -> Mapping[HubPartition, Checkpoint]:
        """Those of the partitions of this hub that have one. Raises StorageError."""

    def delete(self, checkpoint: Checkpoint) -> None:
        """Deletes this one. Raises PreconditionFailed if it has changed since, and StorageError."""

    def write(self, partition: HubPartition, offset: str, sequence: int, before: Checkpoint | None) -> None:
        """Replaces `before` (None: there is none). Raises PreconditionFailed if it changed; StorageError."""
