"""Interprets the blobs of an archive, and turns their lines into numbered message bodies. Pure."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched

from shared.convert.bodies import together
from shared.errors import BackfillError
from shared.input.envelope import Envelope
from shared.input.hub_partition import ARCHIVE, HubPartition
from shared.protocol.archive import ArchiveBlob
from shared.timeunits import HOUR, MINUTE, SECOND

LINES = 200
"""Lines of a blob in one message. This must never change, because sequence numbers count the messages."""
ROOM = 1_000_000
"""Sequence numbers reserved for each minute of a month; an hour's messages use those of its first minute."""
LONGEST = 64 << 20
"""Maximum bytes of a line."""
_PATH = re.compile(
    r"(?:^|/)resourceid=(?P<id>/?[^=]+?)/y=(\d{4})/m=(\d\d)/d=(\d\d)/h=(\d\d)/m=(\d\d)/pt1h\.json$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, order=True)
class ArchiveHour:
    """The records that one service wrote in one hour."""

    began: int
    """When the hour began (µs since 1970 UTC)."""
    service: str
    """The name of the service, and a part of the hash of its resource id."""
    name: str
    size: int

    @property
    def ended(self) -> int:
        """When the hour ended, which counts as the arrival of its records (µs since 1970 UTC)."""
        return self.began + HOUR

    @property
    def partition(self) -> HubPartition:
        """The partition of its service and month, whose ledger counts the exported messages."""
        return HubPartition(ARCHIVE, self.service, f"{_utc(self.began):%Y-%m}")

    @property
    def key(self) -> str:
        """The key that distinguishes it from other hours of its partition."""
        return f"{_utc(self.began):%d/%H%M}"

    @property
    def first_sequence(self) -> int:
        """The sequence number of its first message."""
        return (self.began - _month(self.began)) // MINUTE * ROOM


def hour_of(blob: ArchiveBlob) -> ArchiveHour | None:
    """Returns the hour that a blob's path names; None if it is not an hour of an archive."""
    found = _PATH.search(blob.name)
    if found is None:
        return None
    try:
        began = datetime(*map(int, found.groups()[1:]), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None
    resource = found["id"].strip("/").lower()
    digest = hashlib.sha256(resource.encode()).hexdigest()[:8]
    name = re.sub(r"[^a-z0-9-]", "-", resource.rpartition("/")[2])[:64]
    return ArchiveHour(round(began.timestamp()) * SECOND, f"{name}-{digest}", blob.name, blob.size)


def envelopes(hour: ArchiveHour, chunks: Iterable[bytes]) -> Iterator[Envelope]:
    """Yields the lines of a blob as numbered messages; equal bytes always give equal messages.

    Raises BackfillError if a line is too long, or if there are too many lines.
    """
    for number, lines in enumerate(batched(_lines(hour, chunks), LINES, strict=False)):
        if number >= ROOM:
            raise BackfillError(f"{hour.name} has more than {ROOM * LINES:,} lines")
        body = together(lines) or b"\n".join(lines)
        yield Envelope(hour.first_sequence + number, hour.ended, body)


def _lines(hour: ArchiveHour, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the lines that are not blank."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > LONGEST:
            raise BackfillError(f"{hour.name} has a line of more than {LONGEST >> 20} MiB")
    if rest.strip():
        yield rest


def _utc(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // SECOND, UTC)


def _month(microseconds: int) -> int:
    began = _utc(microseconds).replace(day=1, hour=0, minute=0, second=0)
    return round(began.timestamp()) * SECOND
