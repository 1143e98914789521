"""Frames the messages between host and worker: a JSON header, followed by the unchanged event bodies."""

import asyncio
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

LENGTH = struct.Struct(">I")
# A batch can be 256 MB, for which the default limit of 64 KB would wake the reader four thousand times.
READER_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Frame:
    """One message: `header` is any JSON object without the key `sizes`; `bodies` are not interpreted."""

    header: dict[str, Any]
    bodies: Sequence[bytes] = field(default_factory=tuple)


def encode(frame: Frame) -> list[bytes]:
    """Returns the pieces to write, in order; bodies are not copied."""
    header = json.dumps(frame.header | {"sizes": [len(body) for body in frame.bodies]}).encode()
    return [LENGTH.pack(len(header)), header, *frame.bodies]


async def read(reader: asyncio.StreamReader) -> Frame | None:
    """Returns the next frame, or None if the other side is gone, even in the middle of a frame."""
    try:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        header = json.loads(await reader.readexactly(length))
        sizes = header.pop("sizes")
        return Frame(header, [await reader.readexactly(size) for size in sizes])
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
