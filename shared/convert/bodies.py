"""Splits a file of log records into message bodies like those that an Event Hub delivers."""

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain

import orjson

from shared.errors import ConvertError
from shared.input.gzip_bodies import GZIP

PIECE = 1 << 20
"""Bytes read at a time."""
TOGETHER = 200
"""Maximum lines, with one record each, in one body: decoding them together takes a third of the time."""


def bodies(file: io.BufferedReader, name: str, limit: int) -> Iterator[bytes]:
    """Yields the bodies in a file: its lines, or the whole file.

    A file is read line by line if its first nonempty line is valid JSON: an archive of a diagnostic setting
    (`PT1H.json`), a workspace export, or one message per line. Up to 200 lines that are single records
    become one body. Any other file is one body.

    Args:
        file: a file that is open for reading, and may be compressed with gzip.
        name: the file's name for error messages.
        limit: the maximum size of a body, in bytes after decompression.

    Raises:
        ConvertError: a body is larger than the limit, or the compressed data is damaged.
    """
    if file.peek(len(GZIP)).startswith(GZIP):
        file = io.BufferedReader(gzip.GzipFile(fileobj=file, mode="rb"))
    try:
        yield from _cut(file, name, limit)
    except (EOFError, zlib.error, OSError) as error:
        raise ConvertError(f"{name} cannot be read: {error}") from error


def _cut(file: io.BufferedReader, name: str, limit: int) -> Iterator[bytes]:
    by_line: bool | None = None
    rest = b""
    while True:
        piece = file.read(PIECE)
        rest += piece
        if by_line is None:
            by_line = _is_line(rest, ended=not piece)
        if by_line:
            *lines, rest = rest.split(b"\n")
            yield from _bodies([line for line in lines if line.strip()])
        if not piece:
            break
        if len(rest) > limit:
            raise ConvertError(
                f"{name}: a single message or line is larger than {limit >> 20} MiB; "
                "split the file, or write one record per line"
            )
    if rest.strip():
        yield rest


def _bodies(lines: list[bytes]) -> Iterator[bytes]:
    """Yields lines as bodies, and joins those that are records as `{"records": […]}`."""
    for start in range(0, len(lines), TOGETHER):
        some = lines[start : start + TOGETHER]
        body = together(some)
        if body is None:
            yield from some
        else:
            yield body


def together(lines: Sequence[bytes]) -> bytes | None:
    """Joins lines with one record each as `{"records": […]}`, which decodes faster; None for other lines."""
    joined = b",\n".join(lines)
    if len(lines) > 1 and _are_records(joined, len(lines)):
        return b'{"records":[' + joined + b"]}"
    return None


def _are_records(joined: bytes, number: int) -> bool:
    """Whether these joined lines are exactly `number` records, so that each line is one record.

    A line cannot complete another without changing the number: text does not continue across a line break
    in JSON, and an object or array that did would be one value for several lines.
    """
    try:
        values = orjson.loads(b"[" + joined + b"]")
    except orjson.JSONDecodeError:
        return False
    if len(values) != number or not all(type(value) is dict for value in values):
        return False
    return not any(key.lower() == "records" for key in set(chain.from_iterable(values)))


def _is_line(text: bytes, *, ended: bool) -> bool | None:
    """Whether the first line is valid JSON; None if it is not complete yet."""
    first, newline, after = text.lstrip().partition(b"\n")
    if not newline or (not after.strip() and not ended):
        return None
    if not after.strip():
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        # If the first line of a file of lines is malformed, the second one still begins a value.
        return first.startswith(b"{") and after.lstrip().startswith((b'{"', b"[{"))
    return True
