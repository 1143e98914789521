"""What arrives: sources, envelopes, the records inside them, and the rejections of what cannot be read."""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

import orjson

GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_PIECE = 1 << 14
_QUOTED = 80
_BIG = 4 << 20
_PARSED = 640 << 20


class Unreadable(Exception):
    """A body that has no records to be had; its text is the rejection's message."""


@dataclass(frozen=True, slots=True)
class Source:
    """One partition of one Event Hub. All parts are lower case."""

    namespace: str
    hub: str
    id: str

    def __str__(self) -> str:
        """`namespace/hub/id`, the value of the column `_SourceId`."""
        return f"{self.namespace}/{self.hub}/{self.id}"

    def replay(self, incarnation: int) -> "Source":
        """The source whose ledger counts what is replayed of this one's dead letters.

        `~` is in no partition id. What was rejected in a replay is replayed as of that source again.
        """
        return Source(self.namespace, self.hub, f"{self.id}~{incarnation}")

    @property
    def origin(self) -> "Source":
        """The source that its envelopes came from at first: of no replay, itself."""
        return Source(self.namespace, self.hub, self.id.partition("~")[0])


@dataclass(frozen=True, slots=True)
class Envelope:
    """One Event Hub event of a source."""

    sequence: int
    enqueued: int
    """Microseconds since 1970-01-01 UTC."""
    body: bytes
    only: tuple[tuple[int, int], ...] = ()
    """Of its records, those in these closed intervals: the others were exported before. Empty: all."""


class Reason(StrEnum):
    """Why a record or a whole envelope did not pass."""

    UNREADABLE_ENVELOPE = "unreadable_envelope"
    RECORD_NOT_AN_OBJECT = "record_not_an_object"
    MISSING_REQUIRED_FIELD = "missing_required_field"
    WRONG_TYPE = "wrong_type"
    UNPARSEABLE_TIME = "unparseable_time"
    IMPLAUSIBLE_TIME = "implausible_time"
    OLDER_INCARNATION = "older_incarnation"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one record, or a whole envelope, did not pass."""

    reason: Reason
    message: str
    """What was expected and what came; quotes at most a short, escaped piece of the value."""
    index: int | None = None
    """The record's position in its envelope; None: the whole envelope."""
    pointer: str = ""
    """JSON pointer (RFC 6901) to the offending value inside the record."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """What of one envelope was rejected."""

    envelope: Envelope
    rejections: tuple[Rejection, ...]
    """The first 100, by index."""
    indexes: tuple[tuple[int, int], ...]
    """All rejected record indexes as closed intervals; empty: the whole envelope."""
    counts: Mapping[Reason, int]
    """All of them, by reason."""


def quote(value: object) -> str:
    """A value for a message: at most 80 characters, all of them printable ASCII.

    Text comes as a JSON string with escapes, cut with `...`; objects and arrays as their size alone.
    """
    match value:
        case dict():
            return f"an object of {len(value)} keys"
        case list():
            return f"an array of {len(value)} elements"
        case bytes():
            text = json.dumps(value[:_QUOTED].decode("latin-1"))
        case str():
            text = json.dumps(value[:_QUOTED])
        case _:
            text = json.dumps(value)
    text = text.replace("\x7f", "\\u007f")
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."


def inflate(body: bytes, limit: int) -> bytes:
    """A gzip body (RFC 1952, several members and zeros at the end too) inflated; any other body itself.

    Raises:
        Unreadable: It is cut off or damaged, or inflates to more than `limit` bytes.
    """
    if not body.startswith(GZIP):
        return body
    source = memoryview(body)
    inflated: list[bytes] = []
    size = at = 0
    while at < len(body):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if at >= len(body):
                raise Unreadable(f"expected a whole gzip body, came one cut off after {len(body)} bytes")
            piece = source[at : at + _PIECE]
            try:
                inflated.append(member.decompress(piece, limit - size + 1))
            except zlib.error as error:
                raise Unreadable(f"expected a gzip body, came {quote(body)}: {quote(str(error))}") from None
            size += len(inflated[-1])
            if size > limit:
                raise Unreadable(f"expected a gzip body that inflates to {limit} bytes at most, came more")
            at += len(piece) - len(member.unused_data)
        if not body[at : at + 1].strip(b"\0") and not body[at:].strip(b"\0"):
            break
    return b"".join(inflated)


def records(text: bytes) -> list[object]:
    """The records of an inflated body, flat and in order: what JSON made of them, whatever that is.

    Read are `{"records": […]}` (the documented form), an array of such envelopes or of records, one record,
    and lines of any of these. A line that is none of them comes as its bytes, which no JSON value is.

    Raises:
        Unreadable: It is empty, is none of these, or `records` is no array.
    """
    if not text.startswith(b"{"):
        text = text.lstrip(_SPACE).removeprefix(_BYTE_ORDER_MARK)
        if not text.strip(_SPACE):
            raise Unreadable("expected JSON, came no text at all")
    if len(text) > _BIG:
        _bounded(text)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        problem = f"expected JSON, came {quote(text)}: {quote(str(error))}"
    else:
        # Asked for here too: most envelopes are so, and may hold one record only.
        if type(value) is dict and type(inner := value.get("records")) is list:
            return inner
        return list(_flat(value)) if type(value) is list else _opened(value)
    found = _lines(text)
    if all(type(record) is bytes for record in found):
        raise Unreadable(problem)
    return found


def _bounded(text: bytes) -> None:
    """Refuses what would take too much memory as Python objects: 64 KB of gzip can hold 20,000,000 `{}`."""
    size = len(text) + 250 * text.count(b"{") + 80 * text.count(b"[") + 60 * text.count(b",")
    if size > _PARSED:
        raise Unreadable(
            f"expected records that take {_PARSED} bytes of memory at most, came {len(text)}"
            f" bytes of JSON that take about {size}: send smaller envelopes"
        )


def _lines(text: bytes) -> list[object]:
    found: list[object] = []
    for line in text.split(b"\n"):
        stripped = line.strip(_SPACE)
        if not stripped:
            continue
        if stripped[0] in b"{[":
            try:
                value = orjson.loads(stripped)
                found.extend(_flat(value) if type(value) is list else _opened(value))
            except (orjson.JSONDecodeError, Unreadable):
                pass
            else:
                continue
        found.append(stripped)
    return found


def _flat(values: list[object]) -> Iterator[object]:
    """The records of an array, whose elements are envelopes or records."""
    keys = set(chain.from_iterable(value for value in values if type(value) is dict))
    if not any(key.lower() == "records" for key in keys):
        return iter(values)
    return chain.from_iterable([value] if type(value) is not dict else _opened(value) for value in values)


def _opened(value: object) -> list[object]:
    """The records of an envelope, or a record alone."""
    if type(value) is not dict:
        raise Unreadable(f"expected a JSON object or array, came {quote(value)}")
    key = "records" if "records" in value else next((key for key in value if key.lower() == "records"), None)
    if key is None:
        return [value]
    inner = value[key]
    if type(inner) is not list:
        raise Unreadable(f"expected an array under `records`, came {quote(inner)}")
    return inner
