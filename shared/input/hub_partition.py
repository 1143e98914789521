"""Identifies a partition of an Event Hub, and the replays and archives that have ledgers like one. Pure."""

from dataclasses import dataclass

ARCHIVE = "archive"
"""The namespace of partitions that stand for archives: one for each service and month."""


@dataclass(frozen=True, slots=True)
class HubPartition:
    """One partition of one Event Hub. All parts are lower case."""

    namespace: str
    hub: str
    id: str

    def __str__(self) -> str:
        """`namespace/hub/id`, the value of the column `_EventHubPartition`."""
        return f"{self.namespace}/{self.hub}/{self.id}"

    def replay(self, incarnation: int) -> "HubPartition":
        """Returns the partition whose ledger counts replays of this partition's dead letters.

        No partition id contains `~`. Records that a replay rejects are replayed under the same partition
        again.
        """
        return HubPartition(self.namespace, self.hub, f"{self.id}~{incarnation}")

    @classmethod
    def parse(cls, text: str) -> "HubPartition":
        """Parses the text that `str` returns."""
        return cls(*text.rsplit("/", 2))

    @property
    def origin(self) -> "HubPartition":
        """Returns the partition from which the envelopes came originally: this one, unless it is a replay."""
        return HubPartition(self.namespace, self.hub, self.id.partition("~")[0])


def is_archive(partition: str) -> bool:
    """Whether a partition (as text) stands for an archive, whose ledger is in the state of `backfill`."""
    return partition.startswith(f"{ARCHIVE}/") and "~" not in partition


def is_of_hub(partition: str) -> bool:
    """Whether a hub delivers the envelopes of a partition, which is false for replays and archives."""
    return "~" not in partition and not partition.startswith(f"{ARCHIVE}/")
