"""Finds the records in the text of a body, in each of the forms that senders write."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from shared.input import memory_bounds, shapes
from shared.input.encodings import named
from shared.input.exact_json import dumps, loads
from shared.input.rejections import Unreadable
from shared.input.salvage import walk
from shared.tables.registry import TABLES, categories, names_of
from shared.tables.table import Table
from shared.wording import quote

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_SEPARATORS = b" \t\r\n\0\x1e"
_LINE = re.compile(rb"[^\n]+")
_ALL = tuple(TABLES.values())
_NESTED = 3
"""Maximum levels of JSON text inside JSON text that are parsed."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A value that stands in place of a record but is not one; its message says why."""

    message: str


_EMPTY = re.compile(rb'(?:[ \t\r\n\0\x1e,]*+\{\s*+"(?i:records)"\s*+:\s*+\[\s*+\]\s*+\}[ \t\r\n\0\x1e,]*+)++')
"""Several envelopes without records, in sequence: there is nothing to read, but no problem either."""


class _Reading(NamedTuple):
    limit: int
    tables: tuple[Table, ...]


def records(text: bytes, limit: int, tables: tuple[Table, ...] = _ALL, *, exact: bool = False) -> list[Any]:
    """Returns the records of an inflated body as parsed JSON values of any type, flat and in order.

    Reads `{"records": […]}` (the documented form), arrays and lines of such envelopes or of records, a
    single record, and any sequence of these, also as JSON text inside JSON. The other keys of an envelope
    apply to each of its records. If the body as a whole is not JSON, its records are read individually: a
    malformed one is returned as `Malformed`, and a line that does not look like a record as its bytes.

    Args:
        text: the body.
        limit: the maximum bytes of memory that its records may take.
        tables: the tables whose columns may be filled from the keys of an envelope.
        exact: whether to keep integers beyond 64 bits exact, which takes longer.

    Raises:
        Unreadable: the body holds no record, or its records may take more memory than `limit`.
    """
    if not text.startswith(b"{"):
        text = text.lstrip(_SPACE).removeprefix(_BYTE_ORDER_MARK)
        if not text.strip(_SEPARATORS):
            raise Unreadable("expected JSON, got an empty body")
    reading = _Reading(limit, tables)
    memory_bounds.check(text, limit)
    problem = "expected at least one record, got none"
    try:
        value = loads(text, exact=exact)
    except orjson.JSONDecodeError as error:
        problem = f"expected JSON, got {quote(text)}: {quote(str(error))}"
        if (encoding := named(text)) is not None:
            raise Unreadable(f"expected JSON as UTF-8 text, got {encoding}: {quote(text)}") from None
        found = _counted(_salvaged(text, reading), reading)
        if not found and not _EMPTY.fullmatch(text):
            raise Unreadable(problem) from None
    else:
        # Handled here, too: most envelopes look like this, and may hold only one record.
        if type(value) is dict and len(value) == 1 and type(inner := value.get("records")) is list:
            found = list(_elements(inner, reading)) if str in set(map(type, inner)) else inner
            memory_bounds.check_count(len(found), limit)
        else:
            problem = f"expected a JSON object or array, got {quote(value)}"
            found = _counted(
                _elements(value, reading) if type(value) is list else _opened(value, reading), reading
            )
    memory_bounds.check_values(found, len(text), limit)
    if found and type(found[0]) is not dict and all(type(record) in {bytes, Unfit} for record in found):
        raise Unreadable(next((each.message for each in found if type(each) is Unfit), problem))
    return found


def _counted(found: Iterable[Any], reading: _Reading) -> list[Any]:
    records: list[Any] = []
    for record in found:
        records.append(record)
        memory_bounds.check_count(len(records), reading.limit)
    return records


def _salvaged(text: bytes, reading: _Reading) -> Iterator[Any]:
    """Yields the records of text that is not JSON as a whole."""
    if not _is_lines(text):
        yield from _walked(text, reading)
        return
    for line in _lines(text):
        if line[0] not in b'{["':
            yield line
            continue
        try:
            value = loads(line)
        except orjson.JSONDecodeError:
            yield from _walked(line, reading)
        else:
            yield from _line(value, line, reading)


def _is_lines(text: bytes) -> bool:
    """Whether each line is a separate value: one of them is JSON, and none continues in the next one."""
    if b"\n" not in text.strip(_SEPARATORS):
        return False
    if any(line[-1:] in {b",", b"[", b"{"} or line[:1] in {b"]", b"}"} for line in _lines(text)):
        return False
    return any(line[0] in b"{[" and _is_json(line) for line in _lines(text))


def _lines(text: bytes) -> Iterator[bytes]:
    """Yields the lines that are not empty."""
    return filter(None, (line[0].strip(_SEPARATORS) for line in _LINE.finditer(text)))


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _line(value: Any, line: bytes, reading: _Reading) -> Iterator[Any]:
    if type(value) is list:
        yield from _elements(value, reading)
    elif type(value) in {dict, str}:
        yield from (line if type(each) is Unfit else each for each in _opened(value, reading))
    else:
        yield line


def _walked(text: bytes, reading: _Reading) -> Iterator[Any]:
    for value, members in walk(text):
        fields = _fields(members)
        if type(value) is list and not members:
            yield from _elements(value, reading)
        elif type(value) is dict and not fields:
            yield from _opened(value, reading)
        elif type(value) is dict:
            yield _filled(value, fields, reading.tables)
        else:
            yield value


def _fields(members: bytes) -> bytes:
    """Returns members of an envelope as a JSON object, or nothing if there are none or they are not JSON."""
    text = b"{" + members.strip(b", \t\r\n") + b"}"
    try:
        return text if orjson.loads(text) else b""
    except orjson.JSONDecodeError:
        return b""


def _elements(values: list[Any], reading: _Reading, depth: int = 0) -> Iterator[Any]:
    """Yields the records of an array, whose elements are envelopes, records, or their JSON text."""
    for value in values:
        if type(value) is dict:
            yield from _opened(value, reading, depth)
        elif type(value) is str and value.lstrip()[:1] in {"{", "["} and depth < _NESTED:
            yield from _text(value, reading, depth + 1)
        else:
            yield value


def _opened(value: Any, reading: _Reading, depth: int = 0) -> Iterator[Any]:
    """Yields the records of an envelope or of JSON text, or a single record."""
    if type(value) is str and depth < _NESTED:
        unfit = Unfit(f"expected a JSON object or array, got {quote(value)}")
        yield from (unfit if record is value else record for record in _text(value, reading, depth + 1))
        return
    if type(value) is not dict:
        yield Unfit(f"expected a JSON object or array, got {quote(value)}")
        return
    names = [key for key in value if key.lower() == "records"]
    if not names:
        yield Unfit("expected records, got an event that wraps them in `data`") if _wraps(value) else value
        return
    fields = {key: each for key, each in value.items() if key not in names}
    dumped = dumps(fields) if fields else b""
    for name in names:
        inner = value[name]
        if type(inner) is str and depth < _NESTED:
            inner = _parsed(inner, reading)
        if type(inner) is not list:
            yield Unfit(f"expected an array under `records`, got {quote(inner)}")
            continue
        if dumped:
            memory_bounds.check_copies(len(dumped), len(inner), reading.limit)
        for record in _texts(inner, reading, depth):
            yield _filled(record, dumped, reading.tables) if dumped and type(record) is dict else record


def _texts(values: list[Any], reading: _Reading, depth: int) -> Iterator[Any]:
    for value in values:
        if type(value) is str and value.lstrip()[:1] in {"{", "["} and depth < _NESTED:
            yield from _text(value, reading, depth + 1)
        else:
            yield value


def _text(text: str, reading: _Reading, depth: int) -> Iterator[Any]:
    """Yields the records of JSON text inside JSON, or the text itself if it is not JSON."""
    value = _parsed(text, reading)
    if type(value) is list:
        yield from _elements(value, reading, depth)
    elif type(value) is dict:
        yield from _opened(value, reading, depth)
    else:
        yield text


def _parsed(text: str, reading: _Reading) -> Any:
    encoded = text.encode()
    try:
        memory_bounds.check(encoded, reading.limit)
        return loads(encoded)
    except (orjson.JSONDecodeError, Unreadable):
        return text


def _wraps(value: dict[str, Any]) -> bool:
    """Whether an object is an event that wraps an envelope or records."""
    data = next((each for key, each in value.items() if key.lower() == "data"), None)
    if type(data) is str:
        return any(category.lower() in data.lower() for category in categories())
    for inner in data if type(data) is list else [data]:
        if type(inner) is dict:
            known = shapes.record_keys(tuple(inner))
            category = inner.get(known.category or known.table or "")
            if any(key.lower() == "records" for key in inner) or (
                type(category) is str and category.strip().lower() in names_of(TABLES.values())
            ):
                return True
    return False


def _filled(record: dict[str, Any], fields: bytes, tables: tuple[Table, ...]) -> dict[str, Any]:
    """Returns a record with the keys of its envelope: columns that it lacks, and others under `envelope`."""
    columns: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, value in loads(fields).items():
        (columns if shapes.lacks(record, key, tables) else rest)[key] = value
    filled = record | columns
    return filled | {"envelope": rest} if rest and "envelope" not in record else filled | rest | record
