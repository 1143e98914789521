"""Reads the properties of a record: an object, or its text, which Azure may write with single quotes."""

import re
from typing import Any

import orjson

from shared.input import memory_bounds
from shared.input.exact_json import loads
from shared.input.rejections import Unreadable

_SINGLE_QUOTED = re.compile(rb"""'((?:[^'\\]++|\\.)*+)'|"(?:[^"\\]++|\\.)*+\"""", re.DOTALL)


def opened(value: Any, limit: int) -> Any:
    """Parses JSON text; returns other values, and text that may take more than `limit` bytes, unchanged."""
    if type(value) is not str:
        return value
    text = value.encode()
    for each in (text, _SINGLE_QUOTED.sub(_requoted, text)) if b"'" in text else (text,):
        try:
            memory_bounds.check(each, limit)
            return loads(each)
        except (orjson.JSONDecodeError, Unreadable):
            pass
    return value


def _requoted(found: re.Match[bytes]) -> bytes:
    return found[0] if found[1] is None else b'"%b"' % found[1].replace(b"\\'", b"'").replace(b'"', b'\\"')
