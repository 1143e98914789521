"""Splits messages into raw sections and reassembles them (OASIS AMQP 1.0, part 3.2).

An event's body is never decoded: sections are located by their lengths and copied.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .amqp_types import Described, Symbol, ULong, decode, encode, skip
from .errors import DECODE_ERROR, AmqpError

BATCH_FORMAT = 0x80013700
PARTITION_KEY = "x-opt-partition-key"

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = range(0x70, 0x75)
DATA, VALUE = 0x75, 0x77

_SECTION = b"\x00\x53"
_MAP32 = struct.Struct(">3sBII")
_SEQUENCE_NUMBER = encode(Symbol("x-opt-sequence-number"))
_OFFSET = encode(Symbol("x-opt-offset"))
_ENQUEUED_TIME = encode(Symbol("x-opt-enqueued-time"))
_PARTITION_KEY = encode(Symbol(PARTITION_KEY))
_OURS = {_SEQUENCE_NUMBER, _OFFSET, _ENQUEUED_TIME}
_LONG = struct.Struct(">Bq")


class Section(NamedTuple):
    """One section: its descriptor, and the positions of its start, of its value and of its end."""

    code: int
    start: int
    value: int
    end: int


def sections(message: bytes) -> Iterator[Section]:
    """Yields the sections of a message, in their order."""
    position = 0
    while position < len(message):
        if message[position : position + 2] != _SECTION:
            raise AmqpError(DECODE_ERROR, f"no message section at octet {position}")
        end = skip(message, position + 3)
        yield Section(message[position + 2], position, position + 3, end)
        position = end


@dataclass(frozen=True)
class Event:
    """A message as it was sent: the part before the annotations, its own annotations, and the rest."""

    header: bytes
    annotations: tuple[bytes, ...]  # key, value, key, value, each encoded
    rest: bytes

    @property
    def partition_key(self) -> str | None:
        """The partition key in the sender's annotations."""
        return _partition_key(self.annotations)

    def enqueued(
        self, sequence_number: int, offset: int, enqueued_ms: int, partition_key: str | None
    ) -> bytes:
        """Returns the message in the form that readers get; events without a key get that of their batch."""
        added = [
            _SEQUENCE_NUMBER,
            _LONG.pack(0x81, sequence_number),
            _OFFSET,
            encode(str(offset)),
            _ENQUEUED_TIME,
            _LONG.pack(0x83, enqueued_ms),
        ]
        if partition_key is not None and _PARTITION_KEY not in self.annotations[::2]:
            added += [_PARTITION_KEY, encode(partition_key)]
        content = b"".join((*added, *self.annotations))
        count = len(added) + len(self.annotations)
        head = _MAP32.pack(b"\x00\x53\x72", 0xD1, len(content) + 4, count)
        return b"".join((self.header, head, content, self.rest))


def parse_event(message: bytes) -> Event:
    """Splits a message, without delivery annotations and the annotations that only the broker sets."""
    header = b""
    annotations: tuple[bytes, ...] = ()
    rest = []
    for section in sections(message):
        if section.code == HEADER:
            header = message[section.start : section.end]
        elif section.code == MESSAGE_ANNOTATIONS:
            annotations = tuple(_foreign_entries(message, section))
        elif section.code != DELIVERY_ANNOTATIONS:
            rest.append(message[section.start : section.end])
    return Event(header, annotations, rest[0] if len(rest) == 1 else b"".join(rest))


def _foreign_entries(message: bytes, section: Section) -> Iterator[bytes]:
    is_wide = message[section.value] == 0xD1  # noqa: PLR2004 - map32, part 1.6.23
    position = section.value + (9 if is_wide else 3)
    while position < section.end:
        middle = skip(message, position)
        end = skip(message, middle)
        if message[position:middle] not in _OURS:
            yield message[position:middle]
            yield message[middle:end]
        position = end


def parse_batch(batch: bytes) -> tuple[list[Event], str | None]:
    """Splits a batch (format 0x80013700, a message in each data section) into events and partition key."""
    events = []
    key = None
    for section in sections(batch):
        if section.code == DATA:
            events.append(parse_event(_binary(batch, section)))
        elif section.code == MESSAGE_ANNOTATIONS:
            key = _partition_key(tuple(_foreign_entries(batch, section)))
    return events, key


def _partition_key(annotations: tuple[bytes, ...]) -> str | None:
    for key, value in zip(annotations[::2], annotations[1::2], strict=True):
        if key == _PARTITION_KEY:
            decoded = decode(value)[0]
            return decoded if isinstance(decoded, str) else None
    return None


def _binary(message: bytes, section: Section) -> bytes:
    length_size = 4 if message[section.value] == 0xB0 else 1  # noqa: PLR2004 - vbin32, part 1.6.19
    return message[section.value + 1 + length_size : section.end]


def with_delivery_annotations(message: bytes | memoryview, annotations: dict[object, object]) -> bytes:
    """Inserts delivery annotations after the header, as part 3.2 requires."""
    start = skip(message, 3) if message[2] == HEADER else 0
    section = encode(Described(ULong(DELIVERY_ANNOTATIONS), annotations))
    return b"".join((message[:start], section, message[start:]))


@dataclass(frozen=True)
class Request:
    """A request to $cbs or $management: its id, application properties and value."""

    message_id: object
    properties: dict[object, object]
    value: object


def parse_request(message: bytes) -> Request:
    """Parses the request in a message."""
    found = {section.code: decode(message, section.value)[0] for section in sections(message)}
    properties, application = found.get(PROPERTIES), found.get(APPLICATION_PROPERTIES)
    if not isinstance(properties, list) or not properties or not isinstance(application, dict):
        raise AmqpError(DECODE_ERROR, "a request needs a message id and application properties")
    return Request(properties[0], application, found.get(VALUE))


def encode_response(request: Request, properties: dict[object, object], value: object) -> bytes:
    """Encodes the response to a request, which the peer matches by the correlation id."""
    fields = [None, None, None, None, None, request.message_id, *[None] * 7]
    parts = ((PROPERTIES, fields), (APPLICATION_PROPERTIES, properties), (VALUE, value))
    return b"".join(encode(Described(ULong(code), part)) for code, part in parts)
