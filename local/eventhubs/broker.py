"""All hubs behind one loopback port."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from uuid import uuid4

from .connection import Connection
from .errors import CONNECTION_FORCED, NOT_FOUND, AmqpError
from .hubs import Hub
from .tokens import Key

HOST = "127.0.0.1"
_GOODBYE_SECONDS = 1.0


class Broker:
    """The hubs, by their names in lower case, the key that tokens are signed with, and who is connected."""

    def __init__(self, hubs: Iterable[Hub], key: Key | None = None) -> None:
        self.hubs = {hub.name.lower(): hub for hub in hubs}
        self.key = key
        self.container_id = str(uuid4())
        self.connections: set[Connection] = set()

    def hub(self, name: str) -> Hub:
        """A hub by its name."""
        if name.lower() not in self.hubs:
            raise AmqpError(NOT_FOUND, f"There is no hub {name!r}.")
        return self.hubs[name.lower()]

    async def serve(self, port: int, stop: asyncio.Event, on_listening: Callable[[int], None]) -> None:
        """Listen until `stop`, then say goodbye to everyone. Raises OSError if the port is in use."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), HOST, port)
        on_listening(server.sockets[0].getsockname()[1])
        await stop.wait()
        server.close()
        for connection in tuple(self.connections):
            connection.shut_down(AmqpError(CONNECTION_FORCED, "The broker is stopping."))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), _GOODBYE_SECONDS)
        server.abort_clients()
        for hub in self.hubs.values():
            for partition in hub.partitions:
                partition.close()
