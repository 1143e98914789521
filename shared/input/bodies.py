"""Finds the records in the text of a body, in each of the forms that senders write."""

import re
from collections.abc import Iterator
from itertools import chain

import orjson

from shared.input import bounds
from shared.input.envelope import Unreadable, quote

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_LINE = re.compile(rb"[^\n]+")


def records(text: bytes, limit: int) -> list[object]:
    """The records of an inflated body, flat and in order: what JSON made of them, whatever that is.

    Read are `{"records": […]}` (the documented form), an array of such envelopes or of records, one record,
    and lines of any of these. A line that is none of them comes as its bytes, which no JSON value is.

    Args:
        text: The body.
        limit: Bytes of memory that its records may take.

    Raises:
        Unreadable: It is empty, is none of these, `records` is no array, or its records may take more memory.
    """
    if not text.startswith(b"{"):
        text = text.lstrip(_SPACE).removeprefix(_BYTE_ORDER_MARK)
        if not text.strip(_SPACE):
            raise Unreadable("expected JSON, came no text at all")
    bounds.check(text, limit)
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        problem = f"expected JSON, came {quote(text)}: {quote(str(error))}"
    else:
        # Asked for here too: most envelopes are so, and may hold one record only.
        if type(value) is dict and type(inner := value.get("records")) is list:
            found = inner
        else:
            found = list(_flat(value)) if type(value) is list else _opened(value)
        bounds.check_count(len(found), limit)
        bounds.check_values(found, len(text), limit)
        return found
    found = _lines(text, limit)
    bounds.check_values(found, len(text), limit)
    if all(type(record) is bytes for record in found):
        raise Unreadable(problem)
    return found


def _lines(text: bytes, limit: int) -> list[object]:
    found: list[object] = []
    for line in _LINE.finditer(text):
        bounds.check_count(len(found), limit)
        stripped = line[0].strip(_SPACE)
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
