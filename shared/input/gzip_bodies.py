"""Inflates gzip bodies within a memory limit. Pure."""

import zlib

from shared.input.rejections import Unreadable
from shared.wording import quote

GZIP = b"\x1f\x8b"
"""The first bytes of a gzip body."""
_PIECE = 1 << 14


def inflate(body: bytes, limit: int) -> bytes:
    """Inflates a gzip body (RFC 1952, with several members or trailing zeros); returns others unchanged.

    Raises:
        Unreadable: the body is truncated or damaged, or inflates to more than `limit` bytes.
    """
    if not body.startswith(GZIP):
        return body
    view = memoryview(body)
    inflated: list[bytes] = []
    size = at = 0
    while at < len(body):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if at >= len(body):
                raise Unreadable(f"expected a complete gzip body, got one cut off after {len(body)} bytes")
            piece = view[at : at + _PIECE]
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
