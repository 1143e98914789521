"""Implements the broker's end of links: a receiver and two kinds of sender (OASIS AMQP 1.0, part 2.6)."""

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from .amqp_types import Buffer, Described, Long, Symbol, Timestamp, UInt
from .errors import MESSAGE_SIZE_EXCEEDED, AmqpError
from .frames import ACCEPTED, MAX_MESSAGE_SIZE, REJECTED, Frame, detach, disposition, error_value
from .log import PartitionLog
from .messages import with_delivery_annotations
from .readers import Readers

_CREDIT = 1000
_PUMP_COUNT = 1000
_PUMP_OCTETS = 256 * 1024


class Peer(Protocol):
    """What a link needs from its session, which carries its frames to the other end."""

    channel: int

    def write(self, frame: bytes) -> None:
        """Writes a frame."""

    def send(self, handle: int, message: Buffer) -> None:
        """Sends a message on a link, in one or more frames."""

    def send_flow(self, *link: int) -> None:
        """Sends the session's windows, and a link's handle, delivery count and credit."""

    def respond(self, address: str, response: bytes) -> None:
        """Sends a response on the link on which the peer receives responses from this address."""

    def call_soon(self, call: Callable[[], None]) -> None:
        """Schedules one call for the next iteration of the event loop."""

    def is_blocked(self) -> bool:
        """Whether the peer cannot accept more at the moment."""

    def forget(self, handle: int) -> bool:
        """Drops a link; returns whether it was attached."""


class Link(Protocol):
    """What a session needs from a link."""

    def start(self) -> None:
        """Starts, after the attach has been answered."""

    def on_transfer(self, frame: Frame) -> None:
        """Handles one frame of a delivery."""

    def on_flow(self, frame: Frame) -> None:
        """Applies the peer's credit."""

    def pump(self) -> None:
        """Sends everything that can be sent now."""

    def close(self) -> None:
        """Releases the resources of the link."""


class Receiver:
    """Receives messages, reassembles them from their frames, and settles them as `accept` decides.

    `accept` is called with the message format and the message, and raises `AmqpError` to refuse the message.
    """

    def __init__(self, peer: Peer, attach: Frame, accept: Callable[[int, bytes], None]) -> None:
        self._peer = peer
        self._handle = attach.require(1, UInt)
        self._accept = accept
        self._count = attach.get(9, UInt) or 0
        self._credit = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._first: Frame | None = None

    def start(self) -> None:
        """Grants the first credit."""
        self._grant()

    def on_transfer(self, frame: Frame) -> None:
        """Handles a frame of a delivery: the first one has the id and the format, the last one settles it."""
        first = self._first = self._first or frame
        self._size += len(frame.payload)
        if self._size <= MAX_MESSAGE_SIZE:
            self._parts.append(frame.payload)
        if frame.get(5, bool):
            return
        message, size = b"".join(self._parts), self._size
        self._first, self._parts, self._size = None, [], 0
        self._count += 1
        self._credit -= 1
        outcome = self._outcome(first.get(3, UInt) or 0, message, size)
        if not first.get(4, bool):
            self._peer.write(disposition(self._peer.channel, first.require(1, UInt), outcome))
        if self._credit <= _CREDIT // 2:
            self._grant()

    def on_flow(self, frame: Frame) -> None:
        """Ignores the flow of a sender, which requires no response."""

    def pump(self) -> None:
        """Does nothing, because a receiver sends nothing."""

    def close(self) -> None:
        """Does nothing, because a receiver holds no resources."""

    def _outcome(self, message_format: int, message: bytes, size: int) -> Described:
        if size > MAX_MESSAGE_SIZE:
            description = f"The message has {size} octets; the limit is {MAX_MESSAGE_SIZE}."
            return Described(REJECTED, [error_value(AmqpError(MESSAGE_SIZE_EXCEEDED, description))])
        try:
            self._accept(message_format, message)
        except AmqpError as error:
            return Described(REJECTED, [error_value(error)])
        return Described(ACCEPTED, [])

    def _grant(self) -> None:
        self._credit = _CREDIT
        self._peer.send_flow(self._handle, self._count, self._credit)


class Sender:
    """Sends the messages that `_take` returns, limited by the peer's credit."""

    def __init__(self, peer: Peer, attach: Frame) -> None:
        self._peer = peer
        self._handle = attach.require(1, UInt)
        self._count = 0
        self._credit = 0

    def start(self) -> None:
        """Does nothing, because nothing can be sent before the peer grants credit."""

    def on_transfer(self, frame: Frame) -> None:
        """Ignores a transfer: the handle belongs to a link in the other direction."""

    def on_flow(self, frame: Frame) -> None:
        """Applies the peer's credit, which counts from the deliveries that the peer has seen (part 2.6.7)."""
        self._credit = (frame.get(5, UInt) or 0) + (frame.get(6, UInt) or 0) - self._count
        self.pump()

    def pump(self) -> None:
        """Sends a limited number of messages, and schedules the rest, so that links take turns."""
        if self._peer.is_blocked() or self._credit <= 0:
            return
        messages = self._take(self._credit)
        for message in messages:
            self._peer.send(self._handle, message)
        self._count += len(messages)
        self._credit -= len(messages)
        if messages:
            self._peer.call_soon(self.pump)

    def close(self) -> None:
        """Stops sending."""
        self._credit = 0

    def _take(self, max_count: int) -> list[bytes] | list[memoryview]:
        raise NotImplementedError


class ResponseSender(Sender):
    """Sends the responses to the requests at an address, in order."""

    def __init__(self, peer: Peer, attach: Frame, address: str) -> None:
        super().__init__(peer, attach)
        self.address = address
        self._responses: deque[bytes] = deque()

    def respond(self, response: bytes) -> None:
        """Sends a response as soon as there is credit."""
        self._responses.append(response)
        self.pump()

    def _take(self, max_count: int) -> list[bytes]:
        return [self._responses.popleft() for _ in range(min(max_count, len(self._responses)))]


class EventSender(Sender):
    """Sends the events of a partition to one reader, starting at a sequence number."""

    def __init__(
        self,
        peer: Peer,
        attach: Frame,
        log: PartitionLog,
        readers: Readers,
        start: int,
        *,
        epoch: int | None,
        wants_metrics: bool,
    ) -> None:
        super().__init__(peer, attach)
        self.epoch = epoch
        self._log = log
        self._readers = readers
        self._next = start
        self._wants_metrics = wants_metrics
        readers.add(self)
        log.on_append.add(self._wake)

    def refuse(self, error: AmqpError) -> None:
        """Closes the link with an error."""
        self._peer.forget(self._handle)
        self._peer.write(detach(self._peer.channel, self._handle, error))

    def close(self) -> None:
        """Removes this reader, so that others can read."""
        super().close()
        self._readers.remove(self)
        self._log.on_append.discard(self._wake)

    def _wake(self) -> None:
        self._peer.call_soon(self.pump)

    def _take(self, max_count: int) -> list[bytes] | list[memoryview]:
        first, messages = self._log.read(self._next, min(max_count, _PUMP_COUNT), _PUMP_OCTETS)
        self._next = first + len(messages)
        if not self._wants_metrics:
            return messages
        annotations = self._metrics()
        return [with_delivery_annotations(message, annotations) for message in messages]

    def _metrics(self) -> dict[object, object]:
        status = self._log.status()
        return {
            Symbol("last_enqueued_sequence_number"): Long(status.last_sequence_number),
            Symbol("last_enqueued_offset"): status.last_offset,
            Symbol("last_enqueued_time_utc"): Timestamp(status.last_enqueued_ms),
            Symbol("runtime_info_retrieval_time_utc"): Timestamp(int(time.time() * 1000)),
        }
