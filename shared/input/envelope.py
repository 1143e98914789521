"""The input model: partitions, envelopes, the records in them, and rejections of what cannot be parsed."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.wording import counted

GZIP = b"\x1f\x8b"
ARCHIVE = "archive"
"""The namespace of partitions that stand for archives: one for each service and month."""
_PIECE = 1 << 14
_QUOTED = 80


class Unreadable(Exception):
    """A body from which no records can be read; the exception's text is the rejection's message."""


@dataclass(frozen=True, slots=True)
class HubPartition:
    """One partition of one Event Hub. All parts are lower case."""

    namespace: str
    hub: str
    id: str

    def __str__(self) -> str:
        """`namespace/hub/id`, the value of the column `_EventHubPartition`."""
        return f"{self.namespace}/{self.hub}/{self.id}"

    def replay(self, incarnation: int) -> "HubPartition":
        """Returns the partition whose ledger counts replays of this partition's dead letters.

        No partition id contains `~`. Records that a replay rejects are replayed under the same partition
        again.
        """
        return HubPartition(self.namespace, self.hub, f"{self.id}~{incarnation}")

    @classmethod
    def parse(cls, text: str) -> "HubPartition":
        """Parses the text that `str` returns."""
        return cls(*text.rsplit("/", 2))

    @property
    def origin(self) -> "HubPartition":
        """Returns the partition from which its envelopes came originally; itself, unless it is a replay."""
        return HubPartition(self.namespace, self.hub, self.id.partition("~")[0])


@dataclass(frozen=True, slots=True)
class Envelope:
    """One Event Hub event of a partition."""

    sequence: int
    enqueued: int
    """The enqueued time in microseconds since 1970-01-01 UTC."""
    body: bytes
    only: tuple[tuple[int, int], ...] = ()
    """The indexes of the records to export, as closed intervals: others were exported before. Empty: all."""
    amqp: str = ""
    """The kind of its AMQP body if it is not data: `value` or `sequence`; `body` is then its JSON form."""


def is_archive(partition: str) -> bool:
    """Whether a partition (as text) stands for an archive, whose ledger is in the state of `backfill`."""
    return partition.startswith(f"{ARCHIVE}/") and "~" not in partition


def is_of_hub(partition: str) -> bool:
    """Whether a hub delivers the envelopes of a partition, which is false for replays and archives."""
    return "~" not in partition and not partition.startswith(f"{ARCHIVE}/")


class Reason(StrEnum):
    """Why a record or a whole envelope did not pass."""

    UNREADABLE_ENVELOPE = "unreadable_envelope"
    MALFORMED_RECORD = "malformed_record"
    RECORD_NOT_AN_OBJECT = "record_not_an_object"
    MISSING_REQUIRED_FIELD = "missing_required_field"
    WRONG_TYPE = "wrong_type"
    UNPARSEABLE_TIME = "unparseable_time"
    IMPLAUSIBLE_TIME = "implausible_time"
    OLDER_INCARNATION = "older_incarnation"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one record, or a whole envelope, did not pass."""

    reason: Reason
    message: str
    """What was expected and what was found, with a short, escaped part of the value."""
    index: int | None = None
    """The record's position in its envelope; None: the whole envelope."""
    pointer: str = ""
    """JSON pointer (RFC 6901) to the offending value inside the record."""
    text: str = ""
    """At most 8 KB of the record's text, if it is not JSON."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rejections of one envelope."""

    envelope: Envelope
    rejections: tuple[Rejection, ...]
    """The first 100, by index."""
    indexes: tuple[tuple[int, int], ...]
    """All rejected record indexes as closed intervals; empty: the whole envelope."""
    counts: Mapping[Reason, int]
    """The number of all rejections, by reason."""


def quote(value: object) -> str:
    """Formats a value for a message: at most 80 characters of printable ASCII.

    Text becomes a JSON string with escapes, truncated with `...`; objects and arrays show only their size.
    """
    match value:
        case dict():
            return f"an object of {counted(len(value), 'key')}"
        case list():
            return f"an array of {counted(len(value), 'element')}"
        case bytes():
            text = json.dumps(value[:_QUOTED].decode("latin-1"))
        case str():
            text = json.dumps(value[:_QUOTED])
        case _:
            text = json.dumps(value)
    text = text.replace("\x7f", "\\u007f")
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."


def inflate(body: bytes, limit: int) -> bytes:
    """Inflates a gzip body (RFC 1952, with several members or trailing zeros); returns others unchanged.

    Raises:
        Unreadable: the body is truncated or damaged, or inflates to more than `limit` bytes.
    """
    if not body.startswith(GZIP):
        return body
    partition = memoryview(body)
    inflated: list[bytes] = []
    size = at = 0
    while at < len(body):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if at >= len(body):
                raise Unreadable(f"expected a complete gzip body, got one cut off after {len(body)} bytes")
            piece = partition[at : at + _PIECE]
            try:
                inflated.append(member.decompress(piece, limit - size + 1))
            except zlib.error as error:
                raise Unreadable(f"expected a gzip body, got {quote(body)}: {quote(str(error))}") from None
            size += len(inflated[-1])
            if size > limit:
                raise Unreadable(f"expected a gzip body that inflates to at most {limit} bytes, got more")
            at += len(piece) - len(member.unused_data)
        if not body[at : at + 1].strip(b"\0") and not body[at:].strip(b"\0"):
            break
    return b"".join(inflated)
