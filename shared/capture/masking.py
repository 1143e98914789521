"""Masks envelope bodies: removes identifying data and keeps everything parsing depends on, byte for byte.

Only text in JSON strings and long numbers change. White space, the order and letter case of keys, the byte
order mark, compression and malformed parts stay. Masking is safe by default: a value stays only if it is on
the allowlist (shared/capture/allowlist.py).
"""

import gzip
import json
import re
from collections import Counter
from datetime import date, timedelta

import orjson

from shared.capture.allowlist import KEYS, NAMES, NUMBERS, TEXTS, TIMES, WORDS
from shared.capture.pseudonyms import FOUND, Pseudonyms
from shared.input.gzip_bodies import GZIP, inflate
from shared.input.numbers import NUMERIC
from shared.tables.registry import TABLES, names_of

_TOKEN = re.compile(
    r'(?P<string>"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*")(?P<key>\s*:)?'
    r'|(?P<cut>"[^"\\\n]*(?:\\[^\n][^"\\\n]*)*)'
    r"|(?P<mark>[{}\[\]])"
    r"|(?P<number>-?\d[\d.]*(?:[eE][+-]?\d+)?)"
    r"|(?P<plain>[,:\s]+|(?:true|false|null)(?!\w))"
    r'|(?P<rest>[^\s"{}\[\]:,]+)',
    re.ASCII,
)
_SEPARATORS = " \t\r\n\0\x1e"
"""Characters that may surround a document or a line."""
_START = re.compile(r"[ \t\r\n]*\ufeff?")
_KEY = re.compile(r"[A-Za-z_@$][A-Za-z0-9_-]{0,63}")
_NAME = re.compile(r"[^\W\d_][\w ./+()-]{0,79}|\d{1,5}")
_VERSION = re.compile(r"\d{1,5}(\.\d{1,5}){0,3}")
_TELLING = {"url", "mail", "resource", "guid", "address4", "address6", "time"}
_CLOCK = re.compile(
    r"\d{1,4}[-/]\d\d?[-/]\d{1,4}(?:,?[Tt ][\d:.,+ -]{0,50})?(?:[ \u202f]?[AaPp][Mm])?"
    r"(?: ?(?:[Zz]|UTC|GMT|[+-][\d:]{2,6}))?"
)
_DATE = re.compile(r"(?P<iso>\d{4}-\d\d-\d\d)(?=[Tt ]\d)|(?P<us>\d\d?/\d\d?/\d{4})(?=,? \d)")
_LITERALS = {"null", "true", "false", "nan", "inf", "infinity", "-inf", "-infinity"}
_LONG, _HUGE = 7, 100
"""A number with at least this many digits may identify a phone, a customer or a place."""
_NESTED = 4
"""Maximum levels of JSON in JSON strings that are parsed; deeper levels are treated as text."""

_OURS = names_of(TABLES.values())
"""Names that stay even in text that is not JSON, because they identify a malformed record of the category."""


class Masks:
    """Masks the envelopes of one capture. Equal values get equal masks."""

    def __init__(self, secret: bytes, days: int = 0) -> None:
        """`secret`: random bytes; never store them. `days`: number of days by which all times are shifted."""
        self.days = timedelta(days)
        self._names = Pseudonyms(secret, self.time)
        self.kept: Counter[tuple[str, str]] = Counter()
        """Names that stayed, and masked texts, each with its key, for a person to review."""
        self.keys: Counter[str] = Counter()
        """Undocumented keys that stayed, for a person to review."""

    def body(self, body: bytes, limit: int) -> bytes:
        """Returns the masked body, compressed if it was. Raises Unreadable if it cannot be decompressed."""
        text = inflate(body, limit).decode("utf-8", "surrogateescape")
        start = _START.match(text)
        assert start
        masked = (start[0] + self._document(text[start.end() :], 0)).encode("utf-8", "surrogateescape")
        return gzip.compress(masked, mtime=0) if body.startswith(GZIP) else masked

    def time(self, text: str) -> str:
        """Shifts a time by whole days, so that the time of day stays."""
        if not self.days:
            return text
        return _DATE.sub(self._shifted, text)

    def _document(self, text: str, depth: int) -> str:
        """Masks JSON, lines of JSON, or any other text."""
        if _parses(text):
            return self._json(text, depth, known=True)
        return "".join(
            self._json(line, depth, known=_parses(line.strip(_SEPARATORS)))
            for line in re.split(r"(?<=\n)", text)
            if line
        )

    def _json(self, text: str, depth: int, *, known: bool) -> str:
        """`known`: whether the text is valid JSON, whose keys can be trusted."""
        out: list[str] = []
        stack: list[str] = []
        key = ""
        for token in _TOKEN.finditer(text):
            found = token[0]
            match token.lastgroup:
                case "key":
                    name, colon = token["string"], token["key"]
                    key = _decoded(name) or ""
                    out.append(self._key(name, key) + colon)
                    key = key.lower()
                case "string" | "cut":
                    ours = not known and found.strip('"').strip().lower() in _OURS
                    out.append(found if ours else self._string(found, key if known else "", depth))
                case "mark" if found in "{[":
                    stack.append(key)
                    key = key if found == "[" else ""
                    out.append(found)
                case "mark":
                    key = stack.pop() if stack else ""
                    out.append(found)
                case "number":
                    out.append(self._number(found, key if known else ""))
                case "plain":
                    out.append(found)
                case _:
                    out.append(self._names.text(found))
        return "".join(out)

    def _key(self, token: str, name: str) -> str:
        if not name or name.lower() in KEYS:
            return token
        digits = sum(letter.isdigit() for letter in name)
        if _KEY.fullmatch(name) and digits < _LONG and not _identifying(name):
            self.keys[name] += 1
            return token
        return _encoded(self._names.text(name), token)

    def _string(self, token: str, key: str, depth: int) -> str:
        value = _decoded(token)
        if value is None:
            # It is malformed and must stay so: no letter may become a digit of an escape.
            parts = re.split(r"(\\[^\n]?)", token)
            return "".join(
                part if part.startswith("\\") else self._names.text(part).translate(_NO_DIGITS)
                for part in parts
            )
        masked = self._value(value, key, depth)
        return token if masked == value else _encoded(masked, token)

    def _value(self, value: str, key: str, depth: int) -> str:
        if value.lstrip()[:1] in {"{", "["} and depth < _NESTED and _parses(value):
            return self._json(value, depth + 1, known=True)
        if value.strip().lower() in _LITERALS or (key in NUMBERS and NUMERIC.fullmatch(value)):
            return value
        version = key.endswith("version") and _VERSION.fullmatch(value)
        if version or (key in NAMES and _NAME.fullmatch(value) and not _identifying(value)):
            self.kept[key, value] += 1
            return value
        if (key in TIMES or not key) and _CLOCK.fullmatch(value):
            return self.time(value)
        masked = self._names.text(value, WORDS if key in TEXTS else frozenset())
        if key in TEXTS:
            self.kept[key, masked] += 1
        return masked

    def _number(self, token: str, key: str) -> str:
        mantissa, _, exponent = token.lower().partition("e")
        digits = sum(letter.isdigit() for letter in mantissa)
        # Near the largest double, another number might not fit.
        stays = key in NUMBERS or not _LONG <= digits < _HUGE or len(exponent.lstrip("+-")) > 2  # noqa: PLR2004
        return token if stays else self._names.number(token)

    def _shifted(self, match: re.Match[str]) -> str:
        try:
            if match["iso"]:
                return str(date.fromisoformat(match["iso"]) - self.days)
            month, day, year = map(int, match["us"].split("/"))
            return f"{date(year, month, day) - self.days:%m/%d/%Y}"
        except (ValueError, OverflowError):
            return match[0]


_NO_DIGITS = {ord(one): ord("g") + at for at, one in enumerate("abcdef")} | {
    ord(one): ord("G") + at for at, one in enumerate("ABCDEF")
}
"""Replaces letters in malformed text so that none can be read as a hexadecimal digit."""


def _parses(text: str) -> bool:
    try:
        orjson.loads(text.encode("utf-8", "surrogateescape"))
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return False
    return True


def _identifying(text: str) -> bool:
    """Whether a part of the text looks like an identifier. `Microsoft.ApiManagement` is not a host name."""
    return bool(re.search(r"\d{6}", text)) or any(
        found.lastgroup in _TELLING
        or (found.lastgroup == "host" and not found[0].lower().startswith("microsoft."))
        for found in FOUND.finditer(text)
    )


def _decoded(token: str) -> str | None:
    """Returns the text of a JSON string, or None if it is not one."""
    try:
        return str(json.loads(token))
    except ValueError:
        return None


def _encoded(text: str, like: str) -> str:
    """Returns the text as a JSON string, escaped in the same way as the original."""
    token = json.dumps(text, ensure_ascii="\\u" in like or like.isascii())
    return token.replace("/", "\\/") if "\\/" in like else token
