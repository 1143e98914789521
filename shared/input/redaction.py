"""Removes credentials and chosen columns from rows before anything is written. Pure.

Browsers cannot set headers on a WebSocket, so tokens travel in query strings; Azure Monitor cannot mask this
table. Patterns run in RE2, in time linear in the length of the text. Each replaced text leaves a marker with
its kind, such as `[redacted:jwt]`.
"""

import hmac
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.arrays import whole
from shared.policies import RedactionPolicy

_LOWER = np.uint8(0x20)
"""The bit that tells lower from upper case in ASCII."""
_QUOTE, _COLON = b'":'
_LETTERS = b":=-jrs"
"""Characters that many texts do not have; each hint has at least one, or `"`."""
_LONGEST = 16
"""Maximum length of a hint."""
_LONG = 65536
"""Length of texts (bytes) in which it takes longer to find hints than to find the distinct values."""
_WIDE = 128
"""Bytes per row of a column in which a first search for hints takes longer than it is likely to save."""
HASH_DIGITS = 32
"""Hexadecimal digits of a keyed hash that are kept: 128 bits."""

_NAMES = (
    "access[_-]?token|id[_-]?token|refresh[_-]?token|token|auth|authorization|bearer|jwt|"
    "api[_-]?key|(?:ocp-apim-)?subscription-key|x-functions-key|client[_-]?secret|secret|"
    "password|passwd|pwd|credential|sas|sig|signature|session(?:[_-]?id)?|ticket"
)
"""Names of parameters and properties that indicate a credential."""
_NAME_ENDS = re.compile(
    rb"(?:token|auth|ization|bearer|jwt|key|secret|assword|passwd|pwd|dential|sas|sig|gnature|session|ion.?id|"
    rb'ticket)"'
)
"""The last characters of these names in lower case, at most seven, and the quotation mark after them."""
_VALUE = r"""[^&#\s"'<>;,]+"""
_HEADER = r"""[^\s"',;\[]+"""


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    hint: bytes
    """Text that every match contains, in lower case."""
    pattern: str
    """An RE2 pattern. Group 1 is kept."""
    of_property: bool = False
    """Whether a match begins with one of `_NAMES` as the name of a property, directly before its colon."""

    def may_match(self, text: bytearray) -> bool:
        """Whether it may match a text in lower case. In long texts, this is only an estimate."""
        if self.of_property:
            return _NAME_ENDS.search(_name_ends(text)) is not None
        return _adjacent(text, self.hint) and (len(text) > _LONG or self.hint in text)


CREDENTIALS = (
    _Rule("userinfo", b"://", r"([a-z][a-z0-9+.-]*://)[^/?#\s@\"]+@"),
    _Rule("jwt", b"eyj", r"()\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*"),
    _Rule("bearer", b"bearer", r"(\bbearer[\s:+]+|\bbearer%20)[\w.~+/=-]{8,}"),
    _Rule("basic", b"basic", r"(\bbasic[\s:+]+|\bbasic%20)[\w+/=-]{8,}"),
    _Rule("key", b"key=", r"((?:account|sharedaccess|shared access)key=)" + _VALUE),
    _Rule("parameter", b"=", rf"([?&#;](?:{_NAMES}|code|key)=)" + _VALUE),
    _Rule("header", b"-key:", rf"(\b(?:(?:ocp-apim-)?subscription|x-functions)-key:\s*){_HEADER}"),
    _Rule("header", b"kie:", rf"(\bcookie:\s*){_HEADER}"),
)
QUERY = _Rule("query", b"=", r"([?&#;][^=&#\s\"']+=)" + _VALUE)
"""The value of any parameter, including credentials."""
PROPERTIES = (_Rule("property", b'":', rf'("(?:{_NAMES})":\s*)"(?:[^"\\]|\\.)*"', of_property=True),)
"""The values of JSON properties whose names indicate a credential."""
SPACED_PROPERTIES = (_Rule("property", b'"', rf'("(?:{_NAMES})"\s*:\s*)"(?:[^"\\]|\\.)*"'),)
"""The same for JSON of other programs, which may have spaces before the colon."""


def redact(table: pa.Table, policy: RedactionPolicy) -> tuple[pa.Table, Counter[str]]:
    """Returns the rows without what the policy removes, and the number of replaced texts by kind.

    Dropped columns become null. Hashed columns hold 32 hexadecimal digits, which are equal for equal values
    and the same key. Times, numbers and lineage columns are not changed.
    """
    counts: Counter[str] = Counter()
    rules = list(_policy(policy))
    if not (rules or policy.drop_columns or policy.hash_columns):
        return table, counts
    for at, field in enumerate(table.schema):
        if field.type != pa.string():
            continue
        if field.name in policy.drop_columns:
            table = table.set_column(at, field, pa.nulls(table.num_rows, pa.string()))
        elif field.name in policy.hash_columns:
            table = table.set_column(at, field, _hashed(table[field.name], policy.hash_key))
        else:
            clean = _redacted(whole(table.column(at)), rules, counts)
            if clean is not None:
                table = table.set_column(at, field, clean)
    return table, counts


def redact_texts(texts: list[str], policy: RedactionPolicy, counts: Counter[str]) -> list[str]:
    """Removes credentials from texts, and counts them by kind."""
    found = _redacted(pa.array(texts, pa.string()), list(_policy(policy)), counts)
    return list(texts if found is None else found.to_pylist())


def redact_properties(texts: list[str], policy: RedactionPolicy, counts: Counter[str]) -> list[str]:
    """Removes the values of properties whose names indicate a credential from JSON texts."""
    rules = [] if policy.level == "off" else list(SPACED_PROPERTIES)
    found = _redacted(pa.array(texts, pa.string()), rules, counts)
    return list(texts if found is None else found.to_pylist())


def _policy(policy: RedactionPolicy) -> Iterator[_Rule]:
    if policy.level == "off":
        return
    yield from PROPERTIES  # headers and errors are JSON, too
    for rule in CREDENTIALS:
        yield QUERY if policy.level == "queries" and rule.kind == "parameter" else rule


def _redacted(column: pa.StringArray, policy: list[_Rule], counts: Counter[str]) -> pa.StringArray | None:
    """Redacts a column; returns None if nothing in it matches. Each distinct value is examined once."""
    if column.nbytes < _WIDE * len(column):
        policy = _suspected(_text(column), policy)
        if not policy:
            return None  # faster than to find the distinct values
    policy = _suspected(_text(column.unique()), policy)
    if not policy:
        return None
    encoded = column.dictionary_encode()
    values, changed = encoded.dictionary, False
    for rule in policy:
        pattern = f"(?i){rule.pattern}"
        found = pc.count_substring_regex(values, pattern)
        if not pc.any(pc.greater(found, 0)).as_py():
            continue
        counts[rule.kind] += pc.sum(found.take(encoded.indices)).as_py() or 0
        ending = "@" if rule.kind == "userinfo" else ""
        marker = f"[redacted:{rule.kind}]"
        marker = f'"{marker}"' if rule.kind == "property" else marker
        values = pc.replace_substring_regex(values, pattern, rf"\1{marker}{ending}")
        changed = True
    return values.take(encoded.indices) if changed else None


def _suspected(text: bytearray, policy: list[_Rule]) -> list[_Rule]:
    """Returns the rules that may match a text in lower case."""
    absent = {letter for letter in _LETTERS if letter not in text}
    return [rule for rule in policy if absent.isdisjoint(rule.hint) and rule.may_match(text)]


def _name_ends(text: bytearray) -> bytes:
    """Returns the last seven characters of all property names in JSON, each with its quotation mark."""
    codes = np.frombuffer(b" " * 7 + text, np.uint8)
    found = np.flatnonzero((codes[7:-1] == _QUOTE) & (codes[8:] == _COLON))
    windows = np.ndarray(len(text), np.uint64, codes, strides=(1,))  # eight characters from each position
    return np.unique(windows[found]).tobytes()


def _adjacent(text: bytearray, hint: bytes) -> bool:
    """Whether a text has a hint's first two characters. Takes a quarter of the time of a full search."""
    codes = np.frombuffer(text, np.uint8)
    return len(hint) == 1 or bool(((codes[:-1] == hint[0]) & (codes[1:] == hint[1])).any())


def _text(column: pa.StringArray) -> bytearray:
    """Returns all characters of a column for the search for hints, without looping over its values.

    If all rows have the same value, its first characters are enough. Letters are in lower case: setting
    one bit does that in a fraction of the time of `bytes.lower`, and changes no other character of a hint;
    control characters become others.
    """
    buffer = column.buffers()[2]
    if buffer is None:
        return bytearray()
    first = len(column[0].as_buffer() or b"") if len(column) else 0
    if first and buffer.slice(first).equals(buffer.slice(0, len(buffer) - first)):
        buffer = buffer.slice(0, min(len(buffer), first + _LONGEST))
    text = bytearray(buffer.size)
    np.bitwise_or(np.frombuffer(buffer, np.uint8), _LOWER, out=np.frombuffer(text, np.uint8))
    return text


def hashed(value: str, key: bytes) -> str:
    """Returns the keyed hash with which HASH_COLUMNS replaces a value."""
    return hmac.digest(key, value.encode(), "sha256").hex()[:HASH_DIGITS]


def _hashed(column: pa.ChunkedArray, key: bytes) -> pa.StringArray:
    encoded = whole(column).dictionary_encode()
    digests = [None if value is None else hashed(value, key) for value in encoded.dictionary.to_pylist()]
    return pa.array(digests, pa.string()).take(encoded.indices)
