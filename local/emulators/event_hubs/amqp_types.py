"""Encodes and decodes AMQP values (OASIS AMQP 1.0, part 1: types).

Python's own types represent null, boolean, string, binary, double, uuid, list and map. The classes below
represent the other types, so that a decoded value is encoded again with its original type. Char and the
decimal types are only skipped.
"""

import struct
from dataclasses import dataclass
from uuid import UUID

from .errors import DECODE_ERROR, AmqpError

type Buffer = bytes | memoryview


class UByte(int):
    """ubyte."""


class UShort(int):
    """ushort."""


class UInt(int):
    """uint."""


class ULong(int):
    """ulong."""


class Byte(int):
    """byte."""


class Short(int):
    """short."""


class Int(int):
    """int."""


class Long(int):
    """long."""


class Timestamp(int):
    """timestamp: milliseconds since 1970-01-01 UTC."""


class Float(float):
    """float: 32 bits."""


class Symbol(str):
    """symbol: ASCII."""

    __slots__ = ()


class Array(list[object]):
    """array: elements of a single fixed-width or variable-width type."""


@dataclass(frozen=True)
class Described:
    """A value with a descriptor that gives its meaning (part 1.3)."""

    descriptor: object
    value: object


_FIXED: dict[type, tuple[int, struct.Struct]] = {
    UByte: (0x50, struct.Struct(">B")),
    Byte: (0x51, struct.Struct(">b")),
    UShort: (0x60, struct.Struct(">H")),
    Short: (0x61, struct.Struct(">h")),
    UInt: (0x70, struct.Struct(">I")),
    Int: (0x71, struct.Struct(">i")),
    Float: (0x72, struct.Struct(">f")),
    ULong: (0x80, struct.Struct(">Q")),
    Long: (0x81, struct.Struct(">q")),
    float: (0x82, struct.Struct(">d")),
    Timestamp: (0x83, struct.Struct(">q")),
}
_BY_CODE = {code: (kind, layout) for kind, (code, layout) in _FIXED.items()} | {
    # The compact forms of part 1.6, which use one octet for a small value.
    0x52: (UInt, struct.Struct(">B")),
    0x53: (ULong, struct.Struct(">B")),
    0x54: (Int, struct.Struct(">b")),
    0x55: (Long, struct.Struct(">b")),
}
_CONSTANTS: dict[int, object] = {0x40: None, 0x41: True, 0x42: False, 0x43: UInt(0), 0x44: ULong(0)}
_CONSTANT_OCTETS = {None: b"\x40", True: b"\x41", False: b"\x42"}
_LIST0, _BOOLEAN, _SMALL_ULONG, _UUID = 0x45, 0x56, 0x53, 0x98
_BINARY, _STRING, _SYMBOL, _LIST, _MAP, _ARRAY = 0xA0, 0xA1, 0xA3, 0xC0, 0xC1, 0xE0  # with a one-octet length
_VARIABLE: dict[type, int] = {bytes: _BINARY, str: _STRING, Symbol: _SYMBOL}
_WIDE = 0x10  # added to one of these codes: the form with a four-octet length
_SMALL = 0x100
_LENGTH = 4

# Part 1.2: the high half of a constructor gives the width of the value, or of the length that precedes it.
_WIDTHS = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
_LENGTHS = {half: struct.Struct(">B") for half in (0xA, 0xC, 0xE)} | {
    half: struct.Struct(">I") for half in (0xB, 0xD, 0xF)
}


def encode(value: object) -> bytes:
    """Encodes a value with its constructor.

    An empty list never takes its short form, `list0`, because the SDK does not expect that in a performative.
    """
    if value is None or isinstance(value, bool):
        return _CONSTANT_OCTETS[value]
    if isinstance(value, Described):
        return b"\x00" + encode(value.descriptor) + encode(value.value)
    if isinstance(value, list | dict):
        return _encode_compound(value)
    return _encode_primitive(value)


def decode(buffer: Buffer, position: int = 0) -> tuple[object, int]:
    """Decodes the value whose constructor is at `position`; returns it with the position after it."""
    try:
        code = buffer[position]
        if code == 0:
            descriptor, position = decode(buffer, position + 1)
            value, position = decode(buffer, position)
            return Described(descriptor, value), position
        return _decode(buffer, position + 1, code)
    except (IndexError, TypeError, ValueError, struct.error) as error:
        raise AmqpError(DECODE_ERROR, f"no AMQP value at octet {position}: {error}") from error


def skip(buffer: Buffer, position: int) -> int:
    """Returns the position after the value whose constructor is at `position`, without decoding the value."""
    try:
        code = buffer[position]
        if code == 0:
            return skip(buffer, skip(buffer, position + 1))
        half = code >> 4
        if half in _WIDTHS:
            end = position + 1 + _WIDTHS[half]
        else:
            length = _LENGTHS[half]
            end = position + 1 + length.size + length.unpack_from(buffer, position + 1)[0]
    except (IndexError, KeyError, struct.error) as error:
        raise AmqpError(DECODE_ERROR, f"no AMQP value at octet {position}: {error}") from error
    if end > len(buffer):
        raise AmqpError(DECODE_ERROR, f"the value at octet {position} ends beyond the data")
    return end


def _encode_primitive(value: object) -> bytes:
    if isinstance(value, ULong) and value < _SMALL:
        return bytes((_SMALL_ULONG, value))
    code, data = _element(value)
    if type(value) in _VARIABLE and len(data) < _SMALL + _LENGTH:
        return bytes((code - _WIDE, len(data) - _LENGTH)) + data[_LENGTH:]
    return bytes((code,)) + data


def _encode_compound(value: list[object] | dict[object, object]) -> bytes:
    if isinstance(value, Array):
        return _compound(_ARRAY, _array_content(value), len(value))
    if isinstance(value, list):
        return _compound(_LIST, b"".join(map(encode, value)), len(value))
    content = b"".join(encode(key) + encode(item) for key, item in value.items())
    return _compound(_MAP, content, 2 * len(value))


def _compound(narrow: int, content: bytes, count: int) -> bytes:
    if count < _SMALL and len(content) + 1 < _SMALL:
        return bytes((narrow, len(content) + 1, count)) + content
    return struct.pack(">BII", narrow + _WIDE, len(content) + 4, count) + content


def _element(value: object) -> tuple[int, bytes]:
    """Encodes an array element in the wide form, which all elements share; returns constructor and data."""
    if type(value) in _FIXED:
        code, layout = _FIXED[type(value)]
        return code, layout.pack(value)
    if isinstance(value, UUID):
        return _UUID, value.bytes
    if isinstance(value, bytes | str) and type(value) in _VARIABLE:
        data = value if isinstance(value, bytes) else value.encode()
        return _VARIABLE[type(value)] + _WIDE, struct.pack(">I", len(data)) + data
    raise TypeError(f"no AMQP type for {type(value).__name__}: wrap it in one of this module's classes")


def _array_content(values: Array) -> bytes:
    if not values:
        return b""
    codes, data = zip(*map(_element, values), strict=True)
    if len(set(codes)) > 1:
        raise TypeError("all elements of an AMQP array must have the same type")
    return bytes(codes[:1]) + b"".join(data)


def _decode(buffer: Buffer, position: int, code: int) -> tuple[object, int]:
    """Decodes a value with constructor `code` whose data begins at `position`."""
    if code in _CONSTANTS:
        return _CONSTANTS[code], position
    if code in _BY_CODE:
        kind, layout = _BY_CODE[code]
        return kind(layout.unpack_from(buffer, position)[0]), position + layout.size
    if code == _LIST0:
        return [], position
    if code == _BOOLEAN:
        return buffer[position] == 1, position + 1
    if code == _UUID:
        return UUID(bytes=_octets(buffer, position, 16)), position + 16
    if code >> 4 not in _LENGTHS:
        raise AmqpError(DECODE_ERROR, f"constructor {code:#04x} is not supported")
    length = _LENGTHS[code >> 4]
    data = _octets(buffer, position + length.size, length.unpack_from(buffer, position)[0])
    return _decode_sized(data, code & ~_WIDE, length), position + length.size + len(data)


def _octets(buffer: Buffer, position: int, length: int) -> bytes:
    data = bytes(buffer[position : position + length])
    if len(data) < length:
        raise IndexError("the data ends before the value does")
    return data


def _decode_sized(data: bytes, form: int, length: struct.Struct) -> object:
    """Decodes a value that states its length; `form` is its constructor in the narrow form."""
    if form == _BINARY:
        return data
    if form == _STRING:
        return data.decode()
    if form == _SYMBOL:
        return Symbol(data.decode("ascii"))
    count, position = length.unpack_from(data)[0], length.size
    items: list[object] = []
    if form == _ARRAY:
        position += 1
        for _ in range(count):
            item, position = _decode(data, position, data[length.size])
            items.append(item)
        return Array(items)
    if form not in {_LIST, _MAP}:
        raise AmqpError(DECODE_ERROR, f"constructor {form:#04x} is not supported")
    for _ in range(count):
        item, position = decode(data, position)
        items.append(item)
    return items if form == _LIST else dict(zip(items[::2], items[1::2], strict=True))
