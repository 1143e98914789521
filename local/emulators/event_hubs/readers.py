"""Decides who may read a partition in a consumer group: one reader with an owner level, or five without.

A reader with an equal or higher owner level (epoch) takes the partition over. A reader with a lower one, or
without one, is refused while another reader holds an owner level
(https://learn.microsoft.com/azure/event-hubs/event-hubs-event-processor-host, "epoch").
"""

from typing import Protocol

from .errors import RESOURCE_LIMIT_EXCEEDED, STOLEN, AmqpError

_MAX_READERS = 5


class Reader(Protocol):
    """A link that reads; `epoch` is its owner level."""

    epoch: int | None

    def refuse(self, error: AmqpError) -> None:
        """Closes the link with an error."""


class Readers:
    """The readers of one partition in one consumer group."""

    def __init__(self) -> None:
        self._readers: list[Reader] = []

    def add(self, reader: Reader) -> None:
        """Admits a reader and disconnects those that it outranks, or refuses it."""
        held = max((other.epoch for other in self._readers if other.epoch is not None), default=None)
        if held is not None and (reader.epoch is None or reader.epoch < held):
            raise AmqpError(STOLEN, f"A receiver with epoch '{held}' exists: '{reader.epoch}' is refused.")
        if reader.epoch is not None:
            for other in tuple(self._readers):
                self.remove(other)
                other.refuse(AmqpError(STOLEN, f"A new receiver with epoch '{reader.epoch}' was created."))
        elif len(self._readers) >= _MAX_READERS:
            raise AmqpError(
                RESOURCE_LIMIT_EXCEEDED,
                f"Exceeded the maximum number of {_MAX_READERS} receivers per partition in a consumer group.",
            )
        self._readers.append(reader)

    def remove(self, reader: Reader) -> None:
        """Removes a reader, if it is still present."""
        if reader in self._readers:
            self._readers.remove(reader)
