"""Serves all hubs on one loopback port."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from uuid import uuid4

from .connection import Connection
from .errors import CONNECTION_FORCED, AmqpError
from .hubs import Hub
from .nodes import Nodes
from .tokens import Grants, Key

HOST = "127.0.0.1"
_GOODBYE_SECONDS = 1.0


class Broker:
    """The hubs and the connections to them.

    Args:
        hubs: the hubs to serve.
        key: the key that must sign tokens; None accepts every token.
    """

    def __init__(self, hubs: Iterable[Hub], key: Key | None = None) -> None:
        self._hubs = {hub.name.lower(): hub for hub in hubs}
        self._key = key
        self._container_id = str(uuid4())
        self._connections: set[Connection] = set()

    async def serve(self, port: int, stop: asyncio.Event, on_listening: Callable[[int], None]) -> None:
        """Listens until `stop`, then closes all connections. Raises OSError if the port is in use."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._connection, HOST, port)
        on_listening(server.sockets[0].getsockname()[1])
        await stop.wait()
        server.close()
        for connection in tuple(self._connections):
            connection.shut_down(AmqpError(CONNECTION_FORCED, "The broker is stopping."))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), _GOODBYE_SECONDS)
        server.abort_clients()
        for hub in self._hubs.values():
            for partition in hub.partitions:
                partition.close()

    def _connection(self) -> Connection:
        return Connection(self._container_id, Nodes(self._hubs, Grants(self._key)), self._connections)
