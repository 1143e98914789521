"""Keeps the events of one partition in an append-only file, with an index in memory.

A record consists of a header (length of the message, CRC-32, sequence number, enqueued time in ms) and the
message in the form that readers get. An event's offset is the position of its record in the file, so code
that confuses offsets with sequence numbers fails here. Events survive the end of this process, even by
SIGKILL. A crash of the machine may lose the last events, because writes are not flushed to the disk.
"""

import logging
import os
import struct
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from zlib import crc32

from .errors import ARGUMENT_ERROR, AmqpError
from .messages import Event
from .positions import Field, Position

_LOG = logging.getLogger(__name__)
_HEADER = struct.Struct(">IIqq")
_CHECKED = struct.Struct(">qq")
NEVER_MS = -62_135_596_800_000  # 0001-01-01, the time of the last event of a partition that never had one


@dataclass(frozen=True)
class Status:
    """The state of a partition's events at one moment."""

    begin_sequence_number: int
    last_sequence_number: int
    last_offset: str
    last_enqueued_ms: int
    is_empty: bool


class PartitionLog:
    """The events of one partition: sequence numbers from 0 without gaps, enqueued times that never decrease.

    `on_append` holds the functions that are called when there are new events.
    """

    def __init__(
        self, path: Path, retention_ms: int | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.on_append: set[Callable[[], None]] = set()
        self._retention_ms = retention_ms
        self._clock = clock
        self._offsets = array("q")
        self._times = array("q")
        self._begin = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = self._recover(path)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def append(self, events: Sequence[Event], partition_key: str | None = None) -> None:
        """Appends the events of one send, all with the same enqueued time."""
        now = max(int(self._clock() * 1000), self._times[-1] if self._times else 0)
        sequence_number, offset = len(self._offsets), self._size
        records: list[bytes] = []
        offsets = array("q")
        for event in events:
            message = event.enqueued(sequence_number, offset, now, partition_key)
            records += (_header(message, sequence_number, now), message)
            offsets.append(offset)
            offset += _HEADER.size + len(message)
            sequence_number += 1
        self._write(memoryview(b"".join(records)))
        self._size = offset
        self._offsets += offsets
        self._times += array("q", [now]) * len(offsets)
        for notify in tuple(self.on_append):
            notify()

    def read(self, sequence_number: int, max_count: int, max_octets: int) -> tuple[int, list[memoryview]]:
        """Returns the first readable sequence number at or after the given one, and messages from there."""
        first = max(sequence_number, self.begin())
        stop = min(first + max_count, len(self._offsets))
        if first >= stop:
            return first, []
        start = self._offsets[first]
        stop = bisect_right(self._offsets, start + max_octets, first, stop)
        ends = [*self._offsets[first + 1 : stop + 1], self._size][: stop - first]
        data = memoryview(os.pread(self._file, ends[-1] - start, start))
        starts = self._offsets[first:stop]
        return first, [
            data[at - start + _HEADER.size : end - start] for at, end in zip(starts, ends, strict=True)
        ]

    def begin(self) -> int:
        """Returns the first sequence number within the retention, or the number after the last one."""
        if self._retention_ms is not None:
            oldest = int(self._clock() * 1000) - self._retention_ms
            self._begin = max(self._begin, bisect_left(self._times, oldest))
        return self._begin

    def status(self) -> Status:
        """Returns the range of events; 0, -1, "-1" and a time in year 1 if the partition never had any."""
        count, begin = len(self._offsets), self.begin()
        if not count:
            return Status(0, -1, "-1", NEVER_MS, is_empty=True)
        return Status(begin, count - 1, str(self._offsets[-1]), self._times[-1], is_empty=begin == count)

    def locate(self, position: Position) -> int:
        """Returns the sequence number of the first event at a position.

        An offset or sequence number after the last event is refused, because it belongs to another log, for
        example of a hub that was deleted and created again. A position before the first event that still
        exists leads to that event; a time in the future leads to the end.
        """
        count = len(self._offsets)
        bisect = bisect_left if position.inclusive else bisect_right
        match position.field:
            case Field.END:
                return max(count - 1, 0) if position.inclusive else count
            case Field.ENQUEUED_TIME:
                return bisect(self._times, position.value)
            case Field.OFFSET:
                if position.value > (self._offsets[-1] if count else -1):
                    raise AmqpError(
                        ARGUMENT_ERROR,
                        f"The supplied offset '{position.value}' is invalid. "
                        f"The last offset in the system is '{self.status().last_offset}'.",
                    )
                return bisect(self._offsets, position.value)
        first = position.value if position.inclusive else position.value + 1
        if first > count:
            raise AmqpError(
                ARGUMENT_ERROR,
                f"The supplied sequence number '{position.value}' is invalid. "
                f"The last sequence number in the system is '{count - 1}'.",
            )
        return max(first, 0)

    def _write(self, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError:
            # A partial write to a full disk would shift every later offset.
            os.ftruncate(self._file, self._size)
            raise

    def _recover(self, path: Path) -> int:
        """Indexes the file, and cuts off an unfinished write of a killed process; returns the new size."""
        size = os.fstat(self._file).st_size
        position = 0
        if size:
            with mmap(self._file, size, access=ACCESS_READ) as data:
                while message := _message_at(data, position, len(self._offsets)):
                    enqueued_ms, end = message
                    self._offsets.append(position)
                    self._times.append(enqueued_ms)
                    position = end
        if position < size:
            _LOG.warning("%s: cut off %d octets of an unfinished write", path, size - position)
            os.ftruncate(self._file, position)
        return position


def _header(message: bytes, sequence_number: int, enqueued_ms: int) -> bytes:
    checksum = crc32(message, crc32(_CHECKED.pack(sequence_number, enqueued_ms)))
    return _HEADER.pack(len(message), checksum, sequence_number, enqueued_ms)


def _message_at(data: mmap, position: int, sequence_number: int) -> tuple[int, int] | None:
    """Returns enqueued time and end of the record at `position`, if it is complete and has this number."""
    if position + _HEADER.size > len(data):
        return None
    length, _, found, enqueued_ms = _HEADER.unpack_from(data, position)
    start = position + _HEADER.size
    message = data[start : start + length]
    header = data[position:start]
    if found != sequence_number or len(message) < length or header != _header(message, found, enqueued_ms):
        return None
    return enqueued_ms, start + length
