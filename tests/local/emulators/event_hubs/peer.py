"""A bare AMQP peer that does what the SDK never does: small windows, exact credit, broken frames."""

import socket
import time
import uuid
from typing import TYPE_CHECKING, Self

from local.emulators.event_hubs import frames, messages
from local.emulators.event_hubs.amqp_types import Described, Symbol, UInt, ULong, UShort, encode
from local.emulators.event_hubs.frames import Code, Frame
from local.emulators.event_hubs.process import BrokerProcess

from .clients import sas_token

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 120.0


def terminus(code: ULong, address: str, filters: object = None) -> Described:
    return Described(code, [address, *[None] * 6, filters])


def selector(expression: str) -> dict[object, object]:
    name = Symbol("apache.org:selector-filter:string")
    return {name: Described(name, expression)}


def data_message(body: bytes) -> bytes:
    return encode(Described(ULong(messages.DATA), body))


class Peer:
    """A connection with one session, on channel 0."""

    def __init__(self, broker: BrokerProcess, *, window: int = 1000, max_frame_size: int = 65536) -> None:
        self._broker = broker
        self._socket = socket.create_connection(("127.0.0.1", broker.port), PATIENCE)
        self._buffer = frames.FrameBuffer()
        self._frames: Iterator[Frame | bytes] = iter(())
        self.write(frames.SASL_HEADER)
        assert self.next_item() == frames.SASL_HEADER
        assert self.next_frame(Code.SASL_MECHANISMS).fields == [[Symbol("MSSBCBS"), Symbol("ANONYMOUS")]]
        self.write(frames._frame(0, Code.SASL_INIT, [Symbol("ANONYMOUS")], 1))
        assert self.next_frame(Code.SASL_OUTCOME).fields[0] == 0
        self.write(frames.AMQP_HEADER)
        assert self.next_item() == frames.AMQP_HEADER
        self.perform(Code.OPEN, "peer", None, UInt(max_frame_size), UShort(1))
        self.perform(Code.BEGIN, None, UInt(0), UInt(window), UInt(window))
        self.next_frame(Code.OPEN)
        self.next_frame(Code.BEGIN)

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def perform(self, code: Code, *fields: object, payload: bytes = b"") -> None:
        frame = frames._frame(0, code, list(fields))
        size = len(frame) + len(payload)
        self.write(size.to_bytes(4, "big") + frame[4:] + payload)

    def next_item(self) -> Frame | bytes:
        while True:
            for item in self._frames:
                return item
            data = self._socket.recv(1 << 20)
            if not data:
                raise EOFError("the broker closed the connection")
            self._frames = self._buffer.feed(data)

    def next_frame(self, code: Code) -> Frame:
        """Return the next frame, which must be of this kind."""
        item = self.next_item()
        assert isinstance(item, Frame)
        assert item.code == code, item
        return item

    def is_silent(self, seconds: float = 0.2) -> bool:
        self._socket.settimeout(seconds)
        try:
            self.next_item()
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)
        return False

    def attach(
        self, handle: int, address: str, *, reads: bool, filters: object = None, epoch: object = None
    ) -> None:
        properties = None if epoch is None else {Symbol("com.microsoft:epoch"): epoch}
        source = terminus(frames.SOURCE, address, filters) if reads else terminus(frames.SOURCE, "peer")
        target = Described(frames.TARGET, ["peer" if reads else address])
        name, count = f"link {handle}", None if reads else UInt(0)
        fields = [None, None, source, target, None, None, count, None, None, None, properties]
        self.perform(Code.ATTACH, name, UInt(handle), reads, *fields)

    def grant(self, handle: int, credit: int, *, window: int = 1000, seen: int = 0, count: int = 0) -> None:
        """Send a flow: `seen` counts transfers of the session, `count` deliveries of the link."""
        session = (UInt(seen), UInt(window), UInt(0), UInt(window))
        self.perform(Code.FLOW, *session, UInt(handle), UInt(count), UInt(credit))

    def send(self, handle: int, delivery_id: int, message: bytes, message_format: int = 0) -> None:
        fields = (UInt(handle), UInt(delivery_id), b"tag", UInt(message_format), False, False)
        self.perform(Code.TRANSFER, *fields, payload=message)

    def ask(self, address: str, properties: dict[object, object], value: object = None) -> messages.Request:
        """Send a request on new links, and return the answer."""
        self.attach(100, address, reads=True)
        self.next_frame(Code.ATTACH)
        self.attach(101, address, reads=False)
        self.next_frame(Code.ATTACH)
        self.next_frame(Code.FLOW)
        self.grant(100, 1)
        sections = (
            (messages.PROPERTIES, [uuid.uuid4()]),
            (messages.APPLICATION_PROPERTIES, properties),
            (messages.VALUE, value),
        )
        self.send(101, 0, b"".join(encode(Described(ULong(code), part)) for code, part in sections))
        answer = self.next_frame(Code.TRANSFER)
        self.next_frame(Code.DISPOSITION)
        for handle in (100, 101):
            self.perform(Code.DETACH, UInt(handle), True)  # noqa: FBT003
            self.next_frame(Code.DETACH)
        return messages.parse_request(answer.payload)

    def token(self, hub: str, key: str | None = None, seconds: float = 60) -> str:
        """Return a shared access signature for a hub; empty: for the namespace."""
        key = key or self._broker.key or ""
        return sas_token(f"sb://127.0.0.1/{hub}", self._broker.key_name, key, time.time() + seconds)

    def authorize(self, hub: str = "single", key: str | None = None, seconds: float = 60) -> object:
        """Put a token, and return the status of the answer."""
        properties: dict[object, object] = {
            "operation": "put-token",
            "type": "servicebus.windows.net:sastoken",
        }
        return self.ask("$cbs", properties, self.token(hub, key, seconds)).properties["status-code"]

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
