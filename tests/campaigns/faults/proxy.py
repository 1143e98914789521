"""A TCP proxy that can cut or delay the connections to a service, or answer in its place."""

import asyncio
import random
import re
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
PIECE = 1 << 16
PATIENCE = 60
"""Seconds that its thread may take for an immediate action."""
REQUEST = re.compile(rb"(GET|PUT|HEAD|POST|DELETE) /")
"""The beginning of a piece that starts an HTTP request; clients do not pipeline requests."""
STATUSES = {
    "429": b"429 Too Many Requests",
    "500": b"500 Internal Server Error",
    "503": b"503 Server Busy",
}
CONFLICTS = {
    "409": b"409 Conflict\r\nx-ms-error-code: BlobImmutableDueToPolicy",
    "412": b"412 Precondition Failed\r\nx-ms-error-code: LeaseIdMissing",
}
"""Error answers that do not reveal whether a blob exists."""
STALLED, LATE, DRIP = "no answer", "no answer after its effect", "one byte at a time"
"""Lasting fates: the connection stays open, and the client must give up by itself."""
FATES = ("reset", "half a request", "lost answer", "half an answer", *STATUSES, "500 after its effect")
"""The possible fates of an HTTP request."""
ANSWERED = "answered"
"""Answered by the proxy; nothing else passes on this connection."""


@dataclass(eq=False, slots=True)
class _Connection:
    client: asyncio.StreamWriter
    service: asyncio.StreamWriter
    fate: str = ""
    """The fate of the current request."""

    def abort(self) -> None:
        """Resets the connection: a client could take an orderly end for a short answer."""
        for writer in (self.client, self.service):
            socket = writer.get_extra_info("socket")
            with suppress(OSError):
                socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """A running proxy: `with Proxy(port, seed) as proxy: proxy.port`. It passes everything by default.

    Args:
        target: the service's port on this machine.
        seed: decides the fates of HTTP requests; other traffic has none.
    """

    choose: Callable[[str], str] | None = None
    """Takes the method and target of each HTTP request and returns its fate; empty: it passes."""

    def __init__(self, target: int, seed: int) -> None:
        self.port = 0
        self.delay = 0.0
        """Seconds by which every piece is delayed."""
        self.trouble = 0
        """The number of HTTP requests in a thousand that meet one of `FATES`."""
        self.pace = 1.0
        """Seconds between two bytes of an answer that is sent byte by byte."""
        self.suffered = 0
        """The number of HTTP requests that did."""
        self._target = target
        self._random = random.Random(seed)
        self._open: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def calm(self) -> None:
        """Lets everything pass from now on."""
        self.delay, self.trouble, self.choose = 0.0, 0, None

    def cut(self) -> int:
        """Resets every connection, and returns their number."""

        async def go() -> int:
            connections = list(self._open)
            for one in connections:
                one.abort()
            return len(connections)

        return int(self._run(go()).result(PATIENCE))

    def __enter__(self) -> Self:
        async def go() -> asyncio.Server:
            return await asyncio.start_server(self._serve, HOST, 0)

        self._thread.start()
        self._server = self._run(go()).result(PATIENCE)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._run(end()).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self, what: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, service = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(writer, service)
        self._open.add(connection)
        pumps = [
            asyncio.create_task(self._requests(reader, connection)),
            asyncio.create_task(self._answers(answers, connection)),
        ]
        try:
            # The end of one direction is the end of both: neither HTTP nor AMQP uses half-open connections.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._open.discard(connection)
            writer.close()
            service.close()

    async def _requests(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while piece := await reader.read(PIECE):
            await self._wait()
            if connection.fate in {ANSWERED, STALLED}:
                continue
            if REQUEST.match(piece):
                connection.fate = self._fate(piece)
            match connection.fate:
                case "reset":
                    connection.abort()
                    return
                case "half a request":
                    connection.service.write(piece[: len(piece) // 2])
                    await connection.service.drain()
                    connection.abort()
                    return
                case fate if fate == STALLED:
                    continue
                case fate if answer := (STATUSES | CONFLICTS).get(fate):
                    await self._answer(connection, answer)
                    continue
            connection.service.write(piece)
            await connection.service.drain()

    async def _answers(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        while piece := await reader.read(PIECE):
            await self._wait()
            match connection.fate:
                case "lost answer":
                    connection.abort()
                    return
                case "half an answer":
                    connection.client.write(piece[: len(piece) // 2])
                    await connection.client.drain()
                    connection.abort()
                    return
                case "500 after its effect":
                    await self._answer(connection, STATUSES["500"])
                    continue
                case fate if fate in {ANSWERED, LATE}:
                    continue
                case fate if fate == DRIP:
                    await self._drip(connection, piece)
                    continue
            connection.client.write(piece)
            await connection.client.drain()

    async def _wait(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)

    async def _drip(self, connection: _Connection, piece: bytes) -> None:
        for at in range(len(piece)):
            connection.client.write(piece[at : at + 1])
            await connection.client.drain()
            await asyncio.sleep(self.pace)

    def _fate(self, piece: bytes) -> str:
        if self.choose:
            method, target, _ = piece.split(b" ", 2)
            fate = self.choose(f"{method.decode()} {target.decode()}")
            self.suffered += bool(fate)
            return fate
        if self._random.randrange(1000) >= self.trouble:
            return ""
        self.suffered += 1
        return self._random.choice(FATES)

    @staticmethod
    async def _answer(connection: _Connection, status: bytes) -> None:
        """Answers in place of the service, and drops everything that is still in transit."""
        connection.fate = ANSWERED
        connection.client.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await connection.client.drain()
