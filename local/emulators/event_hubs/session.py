"""Handles one session: its links, transfer ids and windows (OASIS AMQP 1.0, part 2.5)."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from . import frames
from .amqp_types import Buffer, UInt
from .errors import NOT_ALLOWED, AmqpError
from .frames import Code, Frame
from .links import Link, Peer, ResponseSender

_WINDOW = 65536
_ID_MASK = 0xFFFFFFFF


class Wire(Protocol):
    """What a session needs from its connection."""

    is_paused: bool
    max_frame_size: int

    def write(self, frame: bytes) -> None:
        """Writes a frame."""

    def call_soon(self, call: Callable[[], None]) -> None:
        """Schedules one call for the next iteration of the event loop."""


class Session:
    """A peer's session and the links that it attaches.

    Args:
        wire: carries the frames.
        begin: the frame that begins the session.
        open_link: opens the link that an attach asks for, or raises `AmqpError`.
    """

    def __init__(self, wire: Wire, begin: Frame, open_link: Callable[[Peer, Frame], Link]) -> None:
        self.channel = begin.channel
        self._wire = wire
        self._open_link = open_link
        self._links: dict[int, Link] = {}
        self._next_incoming_id = int(begin.require(1, UInt))
        self._remote_window = int(begin.require(2, UInt))
        self._next_outgoing_id = 0
        self._delivery_id = 0
        self._waiting: deque[tuple[int, int, Buffer, bool]] = deque()
        self.write(frames.begin(self.channel, _WINDOW))

    def on_frame(self, frame: Frame) -> None:
        """Executes a performative."""
        match frame.code:
            case Code.TRANSFER:
                self._on_transfer(frame)
            case Code.FLOW:
                self._on_flow(frame)
            case Code.ATTACH:
                self._on_attach(frame)
            case Code.DETACH:
                if self.forget(frame.require(0, UInt)):
                    self.write(frames.detach(self.channel, frame.require(0, UInt)))
            case Code.DISPOSITION:
                pass  # everything that the broker sends is already settled
            case _:
                raise AmqpError(NOT_ALLOWED, f"{frame.code.name.lower()} is not allowed within a session")

    def forget(self, handle: int) -> bool:
        """Drops a link; returns whether it was attached."""
        link = self._links.pop(handle, None)
        if link is not None:
            link.close()
            self._waiting = deque(part for part in self._waiting if part[0] != handle)
        return link is not None

    def close(self) -> None:
        """Drops all links."""
        for handle in tuple(self._links):
            self.forget(handle)

    def write(self, frame: bytes) -> None:
        """Writes a frame."""
        self._wire.write(frame)

    def call_soon(self, call: Callable[[], None]) -> None:
        """Schedules one call for the next iteration of the event loop."""
        self._wire.call_soon(call)

    def is_blocked(self) -> bool:
        """Whether the peer cannot accept more now, because its window or its socket is full."""
        return self._wire.is_paused or bool(self._waiting)

    def pump(self) -> None:
        """Continues sending."""
        self._drain()
        for link in tuple(self._links.values()):
            link.pump()

    def send(self, handle: int, message: Buffer) -> None:
        """Sends a message in as many frames as it needs; frames beyond the peer's window wait."""
        room = self._wire.max_frame_size - frames.TRANSFER_OVERHEAD
        for start in range(0, len(message), room):
            part = message[start : start + room]
            self._waiting.append((handle, self._delivery_id, part, start + room < len(message)))
        self._delivery_id = self._delivery_id + 1 & _ID_MASK
        self._drain()

    def respond(self, address: str, response: bytes) -> None:
        """Answers a request on the link on which the peer receives responses."""
        for link in self._links.values():
            if isinstance(link, ResponseSender) and link.address == address:
                link.respond(response)
                return
        raise AmqpError(NOT_ALLOWED, f"There is no link for the response: attach a receiver to {address}.")

    def send_flow(self, *link: int) -> None:
        """Sends this session's windows, and a link's credit."""
        self.write(frames.flow(self.channel, self._next_incoming_id, _WINDOW, self._next_outgoing_id, *link))

    def _drain(self) -> None:
        while self._waiting and self._remote_window > 0:
            handle, delivery_id, part, more = self._waiting.popleft()
            self.write(frames.transfer(self.channel, handle, delivery_id, part, more=more))
            self._next_outgoing_id = self._next_outgoing_id + 1 & _ID_MASK
            self._remote_window -= 1

    def _on_transfer(self, frame: Frame) -> None:
        self._next_incoming_id = self._next_incoming_id + 1 & _ID_MASK
        link = self._links.get(frame.require(0, UInt))
        if link is None:
            raise AmqpError("amqp:session:unattached-handle", "a transfer for a link that is not attached")
        link.on_transfer(frame)

    def _on_flow(self, frame: Frame) -> None:
        seen = frame.get(0, UInt) or 0
        self._remote_window = (seen + frame.require(1, UInt) - self._next_outgoing_id) & _ID_MASK
        handle = frame.get(4, UInt)
        if handle is None:
            self.pump()
        elif link := self._links.get(handle):
            self._drain()
            link.on_flow(frame)

    def _on_attach(self, frame: Frame) -> None:
        handle = frame.require(1, UInt)
        if handle in self._links:
            raise AmqpError("amqp:session:handle-in-use", f"The handle {handle} belongs to another link.")
        try:
            link = self._open_link(self, frame)
        except AmqpError as error:
            self.write(frames.attach(self.channel, frame, refused=True))
            self.write(frames.detach(self.channel, handle, error))
            return
        self._links[handle] = link
        self.write(frames.attach(self.channel, frame))
        link.start()
