"""Reads text that is not JSON as a whole value by value, so that only malformed records are lost."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import orjson

from shared.input.exact_json import loads

_STRING = rb'"(?:[^"\\]++|\\.?)*+"?'
_SCALAR = rb'(?:%b|[^][{}",]++)' % _STRING
_SPACE = re.compile(rb"(?:[ \t\r\n\0\x1e,]++|\xef\xbb\xbf)*+")
"""What separates values: white space, commas, the record separator of RFC 7464, NUL, byte order marks."""
_BRACKET = re.compile(rb'(?:[^][{}"]++|%b)*+([][{}])?' % _STRING, re.DOTALL)
_ELEMENT = re.compile(rb"%b*+" % _SCALAR, re.DOTALL)
_LINE = re.compile(rb"[^\n]*+")
_MEMBERS = rb"((?:\s*+%b\s*+:\s*+%b\s*+,)*+)" % (_STRING, _SCALAR)
_RECORDS = rb'\s*+"(?i:records)"\s*+:\s*+\['
_ENVELOPE = re.compile(rb"\{%b%b" % (_MEMBERS, _RECORDS), re.DOTALL)
_AGAIN = re.compile(rb"\s*+,%b%b" % (_MEMBERS, _RECORDS), re.DOTALL)
"""More records of the same envelope, after the end of an array."""
_START = re.compile(rb'[]}",{\n]\s*+(?=\{\s*+")')
"""Where another record may begin inside a malformed one."""
_RECORD = {b"category", b"type", b"resourceid", b"_resourceid", b"correlationid", b"records"}
_CATEGORIES = re.compile(rb"""["'](?i:category|type)["']\s*+:\s*+["']\s*+([^"'\\]{0,200}?)\s*+["']""")
_BEFORE = {ord("}"): (b":",), ord("]"): (b"[", b",")}
"""What may precede an object or array inside an object, and inside an array."""
_DEPTH = 1024
_NESTED = 3
"""Maximum depth at which envelopes inside arrays and envelopes are parsed."""
_WORK = 16
"""The search for the ends of malformed records may read this many times the length of the text."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The text of a record that is not JSON."""

    text: bytes

    def foreign(self, ours: AbstractSet[bytes]) -> bool:
        """Whether the record clearly belongs to a category other than these (in lower case)."""
        categories = {found.lower() for found in _CATEGORIES.findall(self.text)}
        return bool(categories) and not categories & ours


type Item = tuple[Any, bytes]
"""A parsed JSON value, or `Malformed`, or the bytes of text that does not begin like a record; and the
members of the envelope around it, as text."""


def walk(text: bytes) -> Iterator[Item]:
    """Yields the values of the text in order, in time linear in its length."""
    return _Walk(text).values()


class _Walk:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._work = _WORK * len(text)
        self._broken = len(text)
        """The positions of misplaced opening brackets that the last search for an end found."""

    def values(self) -> Iterator[Item]:
        """Yields the values in sequence, regardless of what separates them."""
        while self._next():
            yield from self._value()

    def _next(self) -> int:
        """Returns the first byte of the next value, or 0 at the end."""
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._text[self._at] if self._at < len(self._text) else 0

    def _value(self, members: bytes = b"", depth: int = 0) -> Iterator[Item]:
        """Yields an envelope, an array, a record, or a line that is none of them.

        Args:
            members: the members of the envelope around it.
            depth: the number of envelopes and arrays around it.
        """
        text, start = self._text, self._at
        if text[start] not in b"{[":
            found = _LINE.match(text, start)
            assert found
            self._at = found.end()
            yield found[0].rstrip(), b""
            return
        whole = self._whole(start, len(text))
        envelope = _ENVELOPE.match(text, start) if depth < _NESTED else None
        if whole is not None:
            yield whole, members
        elif envelope:
            members = envelope[1]
            while envelope:
                self._at = envelope.end()
                yield from self._elements(members, depth + 1)
                envelope = _AGAIN.match(text, self._at)
            self._close()
        elif text[start] == ord("[") and not depth:
            self._at = start + 1
            yield from self._elements(members, depth + 1)
        else:
            yield self._malformed(start)

    def _elements(self, members: bytes, depth: int) -> Iterator[Item]:
        """Yields the elements of an array up to its end or the end of the text."""
        while (first := self._next()) and first not in b"]}":
            start = self._at
            if first in b"{[":
                yield from self._value(members, depth)
            else:
                found = _ELEMENT.match(self._text, start)
                self._at = max(found.end() if found else 0, start + 1)
                yield self._scalar(start), members
        if first == ord("]"):
            self._at += 1

    def _scalar(self, start: int) -> Any:
        piece = self._text[start : self._at].rstrip()
        try:
            return loads(piece)
        except orjson.JSONDecodeError:
            return piece

    def _whole(self, start: int, stop: int) -> Any:
        """Returns the object or array that begins here, or None if it is not JSON."""
        end = self._end(start, stop) if self._work > 0 else None
        if end is None:
            return None
        try:
            value = loads(self._text[start:end])
        except orjson.JSONDecodeError:
            self._work -= end - start
            return None
        self._at = end
        return value

    def _end(self, start: int, stop: int) -> int | None:
        """Returns the position at which the brackets that open here are closed as in JSON, or None."""
        opened = bytearray()
        at, before = start, b""
        self._broken = stop
        while found := _BRACKET.match(self._text, at, stop):
            bracket, between = found[1], found[0][:-1].rstrip()
            at = found.end()
            if bracket is None:
                break
            if bracket in b"{[":
                if opened and (between[-1:] or before) not in _BEFORE[opened[-1]]:
                    self._broken = at - 1 if bracket == b"{" else stop
                    break
                opened += b"}" if bracket == b"{" else b"]"
                if len(opened) > _DEPTH:
                    break
            elif opened[-1:] != bracket:
                break
            else:
                opened.pop()
                if not opened:
                    return at
            before = bracket
        self._work -= at - start
        return None

    def _malformed(self, start: int) -> Item:
        """Returns a malformed record: up to the next valid one, or else to where its brackets are closed."""
        stop = len(self._text)
        if self._work > 0:
            end = self._end(start, stop)
            stop = self._broken if end is None else end
        for found in _START.finditer(self._text, start + 1, stop):
            if self._work <= 0:
                break
            value = self._whole(found.end(), len(self._text))
            if isinstance(value, dict) and {key.lower().encode() for key in value} & _RECORD:
                self._at = found.end()
                return Malformed(self._text[start : self._at].rstrip(b", \t\r\n")), b""
            self._work -= self._at - found.end() if value is not None else 0
        self._at = stop
        return Malformed(self._text[start:stop].rstrip(b", \t\r\n\0")), b""

    def _close(self) -> None:
        """Skips the end of an envelope."""
        opened = 1
        while opened and (found := _BRACKET.match(self._text, self._at)) and found[1]:
            opened += 1 if found[1] in b"{[" else -1
            self._at = found.end()
