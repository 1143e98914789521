"""Handles a TCP connection: handshake, sessions, write buffer (OASIS AMQP 1.0, part 2.4; SASL, part 5.3)."""

import asyncio
from collections.abc import Callable

from . import frames
from .amqp_types import Array, Symbol, UInt
from .errors import NOT_ALLOWED, AmqpError
from .frames import Code, Frame
from .nodes import Nodes
from .session import Session

_WRITE_BUFFER = 1024 * 1024
# The .NET client connects only if MSSBCBS is offered, the Python SDK only if ANONYMOUS is.
_MECHANISMS = [Symbol("MSSBCBS"), Symbol("ANONYMOUS")]
_SASL_OK, _SASL_AUTH = 0, 1


class Connection(asyncio.Protocol):
    """The broker's end of a connection.

    Args:
        container_id: the broker's name in its open frame.
        nodes: the nodes to which the peer can attach links.
        connections: all open connections; this one adds and removes itself.
    """

    def __init__(self, container_id: str, nodes: Nodes, connections: "set[Connection]") -> None:
        self._container_id = container_id
        self._nodes = nodes
        self._connections = connections
        self.is_paused = False
        self.max_frame_size = frames.MAX_FRAME_SIZE
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._incoming = frames.FrameBuffer()
        self._outgoing: list[bytes] = []
        self._soon: dict[Callable[[], None], None] = {}
        self._sessions: dict[int, Session] = {}
        self._heartbeat: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts listening."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(_WRITE_BUFFER)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - both ends of a connection look alike
        """Drops everything that belonged to the peer."""
        self._transport = None
        self._connections.discard(self)
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        if self._heartbeat:
            self._heartbeat.cancel()

    def data_received(self, data: bytes) -> None:
        """Executes the received frames; an error closes the connection."""
        try:
            for item in self._incoming.feed(data):
                if isinstance(item, bytes):
                    self._on_header(item)
                else:
                    self._on_frame(item)
        except AmqpError as error:
            self.shut_down(error)

    def pause_writing(self) -> None:
        """Stops sending because the peer reads too slowly."""
        self.is_paused = True

    def resume_writing(self) -> None:
        """Continues sending."""
        self.is_paused = False
        for session in tuple(self._sessions.values()):
            session.pump()

    def shut_down(self, error: AmqpError) -> None:
        """Closes the connection with an error."""
        self.write(frames.close(error))
        self._hang_up()

    def write(self, frame: bytes) -> None:
        """Writes a frame; all frames of one iteration of the event loop are sent together."""
        self._outgoing.append(frame)
        self.call_soon(self._flush)

    def call_soon(self, call: Callable[[], None]) -> None:
        """Schedules a call for the next iteration of the event loop, once even if requested repeatedly."""
        if not self._soon:
            self._loop.call_soon(self._run_soon)
        self._soon[call] = None

    def _run_soon(self) -> None:
        calls, self._soon = self._soon, {}
        for call in calls:
            call()

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport and outgoing:
            self._transport.writelines(outgoing)

    def _hang_up(self) -> None:
        self._flush()
        if self._transport:
            self._transport.close()

    def _on_header(self, header: bytes) -> None:
        if header == frames.SASL_HEADER:
            self.write(header + frames.sasl_mechanisms(Array(_MECHANISMS)))
        elif header == frames.AMQP_HEADER:
            self.write(header)
        else:
            # Part 2.2: answer with a supported header, and close the connection.
            self.write(frames.AMQP_HEADER)
            self._hang_up()

    def _on_frame(self, frame: Frame) -> None:
        match frame.code:
            case Code.SASL_INIT:
                known = frame.get(0, Symbol) in _MECHANISMS
                self.write(frames.sasl_outcome(_SASL_OK if known else _SASL_AUTH))
            case Code.OPEN:
                self.max_frame_size = min(frame.get(2, UInt) or self.max_frame_size, self.max_frame_size)
                self.write(frames.open_frame(self._container_id))
                self._beat((frame.get(4, UInt) or 0) / 2000)
            case Code.BEGIN if frame.channel not in self._sessions:
                self._sessions[frame.channel] = Session(self, frame, self._nodes.open_link)
            case Code.END if frame.channel in self._sessions:
                self._sessions.pop(frame.channel).close()
                self.write(frames.end(frame.channel))
            case Code.CLOSE:
                self.write(frames.close())
                self._hang_up()
            case _ if frame.channel in self._sessions:
                self._sessions[frame.channel].on_frame(frame)
            case _:
                name = frame.code.name.lower()
                raise AmqpError(NOT_ALLOWED, f"{name} is not allowed on channel {frame.channel} now")

    def _beat(self, interval: float) -> None:
        """Writes two empty frames within each idle timeout of the peer (part 2.4.5)."""
        if interval and self._transport:
            self._heartbeat = self._loop.call_later(interval, self._beat_again, interval)

    def _beat_again(self, interval: float) -> None:
        self.write(frames.EMPTY_FRAME)
        self._beat(interval)
