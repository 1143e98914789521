"""Splits a byte stream into AMQP frames, and encodes performatives (OASIS AMQP 1.0, part 2).

The SDK reads fields by index without checking, so every performative is written with all its fields,
including trailing nulls.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from .amqp_types import Buffer, Described, Symbol, UByte, UInt, ULong, UShort, decode, encode
from .errors import DECODE_ERROR, FRAMING_ERROR, AmqpError

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"
MAX_FRAME_SIZE = 65536
MAX_MESSAGE_SIZE = 1024 * 1024

_HEADER = struct.Struct(">IBBH")
_SASL_TYPE = 1
# The 11 fields of a transfer differ between events only in handle, ids and two flags, so one call packs them.
_TRANSFER = struct.Struct(">IBBH 3sBBB BI BI 3sBI BB 5s")
TRANSFER_OVERHEAD = _TRANSFER.size


class Code(IntEnum):
    """The descriptors of the performatives (part 2.7 and 5.3.3)."""

    OPEN = 0x10
    BEGIN = 0x11
    ATTACH = 0x12
    FLOW = 0x13
    TRANSFER = 0x14
    DISPOSITION = 0x15
    DETACH = 0x16
    END = 0x17
    CLOSE = 0x18
    SASL_MECHANISMS = 0x40
    SASL_INIT = 0x41
    SASL_OUTCOME = 0x44


ERROR, ACCEPTED, REJECTED, SOURCE, TARGET = (ULong(code) for code in (0x1D, 0x24, 0x25, 0x28, 0x29))


@dataclass(frozen=True)
class Frame:
    """One performative: the channel that it arrived on, its fields, and the payload after them."""

    channel: int
    code: Code
    fields: list[object]
    payload: bytes

    def get[T](self, index: int, kind: type[T]) -> T | None:
        """Returns field number `index`, which is null or has this type."""
        return typed(self.fields, index, kind)

    def require[T](self, index: int, kind: type[T]) -> T:
        """Returns field number `index`, which is mandatory and has this type."""
        value = typed(self.fields, index, kind)
        if value is None:
            raise AmqpError(DECODE_ERROR, f"field {index} of {self.code.name.lower()} is mandatory")
        return value


def typed[T](fields: list[object], index: int, kind: type[T]) -> T | None:
    """Returns field number `index` of a composite value, or null if trailing fields are omitted."""
    value = fields[index] if index < len(fields) else None
    if value is not None and not isinstance(value, kind):
        raise AmqpError(DECODE_ERROR, f"field {index} is a {type(value).__name__}, expected {kind.__name__}")
    return value


class FrameBuffer:
    """Collects octets and returns whole frames.

    It returns a protocol header as `bytes`, and omits empty frames.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame | bytes]:
        """Yields the frames that `data` completes."""
        self._buffer += data
        position = 0
        try:
            while len(self._buffer) - position >= _HEADER.size:
                if self._buffer.startswith(b"AMQP", position):
                    position += _HEADER.size
                    yield bytes(self._buffer[position - _HEADER.size : position])
                    continue
                size, offset, _, channel = _HEADER.unpack_from(self._buffer, position)
                if not _HEADER.size <= 4 * offset <= size <= MAX_FRAME_SIZE:
                    raise AmqpError(FRAMING_ERROR, f"a frame of {size} octets with its body at {4 * offset}")
                if len(self._buffer) - position < size:
                    break
                body = bytes(self._buffer[position + 4 * offset : position + size])
                position += size
                if body:
                    yield _parse(channel, body)
        finally:
            del self._buffer[:position]


def _parse(channel: int, body: bytes) -> Frame:
    performative, end = decode(body)
    if not isinstance(performative, Described) or not isinstance(performative.value, list):
        raise AmqpError(DECODE_ERROR, "a frame body must begin with a performative")
    try:
        code = Code(performative.descriptor)  # type: ignore[arg-type]
    except ValueError:
        raise AmqpError(DECODE_ERROR, f"unknown performative {performative.descriptor!r}") from None
    return Frame(channel, code, performative.value, body[end:])


def _frame(channel: int, code: Code, fields: list[object], frame_type: int = 0) -> bytes:
    body = encode(Described(ULong(code), fields))
    return _HEADER.pack(_HEADER.size + len(body), 2, frame_type, channel) + body


def sasl_mechanisms(mechanisms: list[object]) -> bytes:
    """Lists the mechanisms that a client can choose from."""
    return _frame(0, Code.SASL_MECHANISMS, [mechanisms], _SASL_TYPE)


def sasl_outcome(code: int) -> bytes:
    """States the result of the handshake: 0 for success, 1 for a failed authentication (part 5.3.3.6)."""
    return _frame(0, Code.SASL_OUTCOME, [UByte(code), None], _SASL_TYPE)


def open_frame(container_id: str) -> bytes:
    """States the maximum frame size and the maximum number of sessions."""
    limits = [UInt(MAX_FRAME_SIZE), UShort(65535)]
    return _frame(0, Code.OPEN, [container_id, None, *limits, *[None] * 6])


def begin(channel: int, incoming_window: int) -> bytes:
    """Answers a session's begin on the same channel; transfer ids start at 0."""
    windows = [UInt(0), UInt(incoming_window), UInt(incoming_window), UInt(65535)]
    return _frame(channel, Code.BEGIN, [UShort(channel), *windows, None, None, None])


def attach(channel: int, request: Frame, *, refused: bool = False) -> bytes:
    """Mirrors a link's attach; without source and target, it announces a refusal (part 2.6.3).

    Only a sending peer is told a maximum size. Messages to a reader are larger than what was sent, because
    they contain annotations, and the .NET client drops a link on which a message exceeds the announced size.
    """
    peer_receives = request.require(2, bool)
    fields: list[object] = [request.require(0, str), request.require(1, UInt), not peer_receives]
    fields += [request.get(3, UByte), request.get(4, UByte)]
    fields += [None, None] if refused else [request.get(5, Described), request.get(6, Described)]
    count, max_size = (UInt(0), None) if peer_receives else (None, ULong(MAX_MESSAGE_SIZE))
    fields += [None, False, count, max_size, None, None, None]
    return _frame(channel, Code.ATTACH, fields)


def flow(channel: int, next_incoming_id: int, window: int, next_outgoing_id: int, *link: int) -> bytes:
    """Grants credit to the session, and with `link` (handle, delivery count, credit) also to a link."""
    session = map(UInt, (next_incoming_id, window, next_outgoing_id, window))
    rest = map(UInt, link) if link else [None] * 3
    return _frame(channel, Code.FLOW, [*session, *rest, None, False, False, None])


def transfer(channel: int, handle: int, delivery_id: int, payload: Buffer, *, more: bool) -> bytes:
    """Encodes a frame of a settled delivery. Its tag is constant: the SDK keeps every tag it has seen."""
    head = _TRANSFER.pack(
        _TRANSFER.size + len(payload),
        *(2, 0, channel),
        *(b"\x00\x53\x14", 0xC0, _TRANSFER.size - 13, 11),
        *(0x70, handle),
        *(0x70, delivery_id),
        *(b"\xa0\x01\x00", 0x70, 0),
        *(0x41, 0x41 if more else 0x42),
        b"\x40\x40\x42\x42\x42",
    )
    return head + payload


def disposition(channel: int, delivery_id: int, outcome: Described) -> bytes:
    """Settles one delivery that the peer sent."""
    fields = [True, UInt(delivery_id), UInt(delivery_id), True, outcome, False]
    return _frame(channel, Code.DISPOSITION, fields)


def detach(channel: int, handle: int, error: AmqpError | None = None) -> bytes:
    """Closes a link."""
    return _frame(channel, Code.DETACH, [UInt(handle), True, error and error_value(error)])


def end(channel: int) -> bytes:
    """Ends a session."""
    return _frame(channel, Code.END, [None])


def close(error: AmqpError | None = None) -> bytes:
    """Closes the connection."""
    return _frame(0, Code.CLOSE, [error and error_value(error)])


def error_value(error: AmqpError) -> Described:
    """Encodes an error as part 2.8.14 requires."""
    return Described(ERROR, [Symbol(error.condition), error.description, None])
