"""Parses JSON without losing integers beyond 64 bits, or the first of two `records` keys of one object."""

import json
import re
from typing import Any

import orjson

_BEGUN = re.compile(rb'\{\s*+"records"\s*+:\s*+\[')
_AGAIN = re.compile(rb'\]\s*+,\s*+"(?:(?i:records)"|[^"]{0,6}\\u)')
_KEY = re.compile(rb'"(?i:records)"\s*+:|"[A-Za-z]{0,6}\\u00')
_LONG = b"0" * 19
_ROUNDED = 2.0**63
_DIGITS = bytes(ord("0") if chr(letter).isdigit() else ord(".") for letter in range(128)) + b"." * 128


def loads(text: bytes, *, exact: bool = True) -> Any:
    """Parses JSON text; unless `exact`, integers beyond 64 bits become floats. Raises JSONDecodeError."""
    value = orjson.loads(text)
    if (repeats(text) if _BEGUN.match(text) else len(_KEY.findall(text)) > 1) or (
        exact and _LONG in text.translate(_DIGITS)
    ):
        return _exact(text, value)
    return value


def rounded(value: Any) -> bool:
    """Whether a value holds a number that may have been an integer beyond 64 bits."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if type(each) is float:
            if abs(each) >= _ROUNDED:
                return True
        elif type(each) is dict:
            waiting += each.values()
        elif type(each) is list:
            waiting += each
    return False


def restored(value: Any, exact: Any) -> Any:
    """Returns a value with the integers of `exact`, which was parsed from the same text."""
    if type(value) is float and type(exact) is int:
        return exact
    if type(value) is dict and type(exact) is dict:
        return {key: restored(each, exact.get(key)) for key, each in value.items()}
    if type(value) is list and type(exact) is list and len(value) == len(exact):
        return [restored(each, other) for each, other in zip(value, exact, strict=True)]
    return value


def dumps(value: Any) -> bytes:
    """Serializes any value that `loads` returns; orjson is limited to 254 levels and 64-bit integers."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def repeats(text: bytes) -> bool:
    """Whether an envelope that begins with `records` has another `records` after it."""
    return text.find(b"]") < len(text) - 3 and _AGAIN.search(text) is not None


def _exact(text: bytes, value: Any) -> Any:
    """Parses the text again with exact integers, and with all `records` of an object."""
    try:
        return json.loads(text, parse_int=_integer, object_pairs_hook=_merged)
    except RecursionError:
        return value


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else float(digits)  # noqa: PLR2004 - more are refused by Python


def _merged(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        for name in found:
            if name.lower() == "records":
                lists = [value for key, value in pairs if key == name]
                if len(lists) > 1:
                    found[name] = [each for one in lists for each in (one if type(one) is list else [one])]
    return found
