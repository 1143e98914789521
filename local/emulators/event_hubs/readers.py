"""Decides who may read a partition in a consumer group: by owner level (epoch), or up to five without one.

An equal or higher owner level takes the partition over; a lower one, or none, is refused while one is held
(https://learn.microsoft.com/azure/event-hubs/event-hubs-event-processor-host, "epoch").
"""

from typing import Protocol

from .errors import RESOURCE_LIMIT_EXCEEDED, STOLEN, AmqpError

_MAX_READERS = 5


class Reader(Protocol):
    """A link that reads; `epoch` is its owner level."""

    epoch: int | None

    def refuse(self, error: AmqpError) -> None:
        """Close the link with this error."""


class Readers:
    """The readers of one partition in one consumer group."""

    def __init__(self) -> None:
        self._readers: list[Reader] = []

    def add(self, reader: Reader) -> None:
        """Let a reader in, and those out that it outranks; or refuse it."""
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
        """Forget a reader, if it is still there."""
        if reader in self._readers:
            self._readers.remove(reader)
