"""Bounds the memory that a body may take before it is parsed into Python objects.

64 KB of gzip can hold 22 million lines or 20 million `{}`. So the text is measured first: a body that would
take more than `PARSED` times `ENVELOPE_MAX_INFLATED` is rejected. Including the steps before and after
parsing, a body takes at most 12 times `ENVELOPE_MAX_INFLATED` (768 MiB by default); a test measures that.
"""

import re
from collections.abc import Iterable

from shared.input.rejections import Unreadable

PARSED = 8
"""The records of one body may take this many times `ENVELOPE_MAX_INFLATED`."""
_RECORD = 1024
"""Bytes that a record takes on its way into a table or a dead letter, regardless of its content."""
_LETTER = 20
"""Bytes that a character of a long value takes on its way into a file: Arrow and Parquet make copies."""
_LONG = 1024
_MOST = 128
"""Maximum bytes that one byte of JSON takes."""
_FLAT = re.compile(rb"[^{]{2048,}")
"""Text that may hold many keys of one object."""


def parsed(text: bytes) -> int:
    """Returns the maximum bytes that JSON text takes as Python objects, measured with 64-bit CPython 3.13.

    An object takes 184, an array 80, a value 60, a member of an object 30 more or, among many, 170.
    """
    return (
        (len(text) if text.isascii() else 2 * len(text))
        + 184 * text.count(b"{")
        + 80 * text.count(b"[")
        + 60 * text.count(b",")
        + 30 * text.count(b":")
        + 140 * sum(flat[0].count(b":") for flat in _FLAT.finditer(text))
    )


def check(text: bytes, limit: int) -> None:
    """Raises Unreadable if text may take more than `limit` bytes when it is parsed."""
    if len(text) * _MOST > limit and (size := parsed(text)) > limit:
        raise Unreadable(
            f"expected JSON that takes at most {limit} bytes of memory, got {len(text)}"
            f" bytes of JSON that take about {size}: send smaller envelopes"
        )


def check_count(records: int, limit: int) -> None:
    """Raises Unreadable if this many records may take more than `limit` bytes."""
    if records * _RECORD > limit:
        raise Unreadable(
            f"expected at most {limit // _RECORD} records, got {records} or more: send smaller envelopes"
        )


def check_values(records: Iterable[object], size: int, limit: int) -> None:
    """Raises Unreadable if long values may take more than `limit` bytes; `size`: the size of the body."""
    if size * _LETTER <= limit:
        return
    found = 0
    waiting: list[object] = [records]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str | bytes):
            if len(value) >= _LONG:
                found += len(value) if value.isascii() else 2 * len(value)
        elif isinstance(value, dict):
            waiting += value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    if found * _LETTER > limit:
        raise Unreadable(
            f"expected long values of at most {limit // _LETTER} bytes in total, got {found}:"
            " send smaller envelopes"
        )


def check_copies(size: int, copies: int, limit: int) -> None:
    """Raises Unreadable if an envelope's fields, copied to all its records, take more than `limit` bytes."""
    if size * copies * _LETTER > limit:
        raise Unreadable(
            f"expected fields next to `records` that take at most {limit} bytes of memory in all {copies}"
            f" records, got fields of {size} bytes: send smaller envelopes"
        )
