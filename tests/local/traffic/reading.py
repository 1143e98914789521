"""A second, simple reader of bodies that checks the generator and the fixtures."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, NoReturn

type Json = Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK, HOUR = 7 * 86_400_000_000, 3_600_000_000
LARGEST = 64 << 20
DEEPEST = 1024


class Read(NamedTuple):
    """The outcome of one envelope."""

    rows: list[tuple[int, str | None, str, str | None, int]]
    """Record index, canonical resource id, CorrelationId, EventName, time in microseconds."""
    rejections: list[tuple[int | None, str]]
    skipped: int


class Rejected(Exception):
    """A record is rejected; the text is the reason."""


class Malformed(NamedTuple):
    """A record that is not JSON."""

    text: str


WEBSOCKET = frozenset({"websocketconnectionlogs", "apimanagementwebsocketconnectionlogs"})


def read(body: bytes, enqueued: int, names: frozenset[str] = WEBSOCKET) -> Read:
    """`names`: those of the category and its table, in lower case; other records are skipped."""
    try:
        elements = _elements(body)
    except (ValueError, EOFError, OSError, RecursionError):
        return Read([], [(None, "unreadable_envelope")], 0)
    result = Read([], [], 0)
    for index, element in enumerate(elements):
        try:
            found = _record(element, enqueued, names)
        except Rejected as rejected:
            result.rejections.append((index, str(rejected)))
            continue
        if found is None:
            result = result._replace(skipped=result.skipped + 1)
        else:
            result.rows.append((index, *found))
    return result


def _elements(body: bytes) -> list[Any]:
    if body.startswith(b"\x1f\x8b"):
        body = gzip.decompress(body)
        if len(body) > LARGEST:
            raise ValueError("too large")
    text = body.decode("utf-8-sig", "surrogateescape").strip()
    lines = [line for line in text.splitlines() if line.strip()]
    for values in ([text], lines if len(lines) > 1 else []):
        try:
            parsed = [_json(value) for value in values]
        except ValueError:
            continue
        if parsed:
            return [element for value in parsed for element in _records(value)]
    if not (walked := list(_walk(text))):
        raise ValueError("no record")
    return walked


def _walk(text: str) -> Iterator[Any]:
    """Return the records of an envelope that is not JSON as a whole, one by one, and the text after it."""
    start = re.match(r'\{\s*"records"\s*:\s*\[\s*', text, re.IGNORECASE)
    if start is None:
        raise ValueError("no envelope")
    at = start.end()
    while text[at : at + 1] not in {"", "]"}:
        end = _end(text, at)
        try:
            yield _json(text[at:end])
        except ValueError:
            yield Malformed(text[at:end])
        at = end + len(text[end:]) - len(text[end:].lstrip(", \t\r\n"))
    if rest := text[at:].removeprefix("]").lstrip().removeprefix("}").lstrip():
        yield rest


def _end(text: str, start: int) -> int:
    """Return the position at which the brackets from `start` are closed, or the end of the text."""
    depth = 0
    for found in re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL).finditer(text, start):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    return len(text)


def _json(text: str) -> Json:
    if max(text.count("["), text.count("{")) > DEEPEST and "[" * DEEPEST in text:
        raise ValueError("too deep")
    value = json.loads(text, parse_constant=_refuse, parse_int=_whole)
    json.dumps(value, ensure_ascii=False).encode()  # lone surrogates
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _whole(digits: str) -> float:
    if len(digits) > 300:
        raise ValueError("beyond a double")
    return int(digits)


def _records(value: Json) -> list[Any]:
    if isinstance(value, list):
        return [
            one for element in value for one in (_records(element) if _is_envelope(element) else [element])
        ]
    if not _is_envelope(value):
        return [value]
    records = _lower(value)["records"]
    if not isinstance(records, list):
        raise ValueError("records")  # noqa: TRY004 - what an unreadable envelope raises here
    return records


def _is_envelope(value: Json) -> bool:
    return isinstance(value, dict) and "records" in _lower(value)


def _lower(value: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): one for key, one in value.items()}


def _record(
    element: Json, enqueued: int, names: frozenset[str]
) -> tuple[str | None, str, str | None, int] | None:
    if isinstance(element, Malformed):
        raise Rejected("malformed_record")
    if not isinstance(element, dict):
        raise Rejected("record_not_an_object")
    outer = _lower(element)
    category = outer.get("category", outer.get("type", "")).strip().lower()
    if category not in names:
        return None
    inner = _properties(outer.get("properties"))
    correlation = _text(_first(outer.get("correlationid"), inner.get("correlationid")))
    event = _first(inner.get("eventname"), outer.get("eventname"))
    resource = _first(outer.get("resourceid"), outer.get("_resourceid"))
    instant = _instant(_text(_first(outer.get("time"), outer.get("timegenerated"))))
    if not enqueued - WEEK <= instant <= enqueued + HOUR:
        raise Rejected("implausible_time")
    return _canonical(resource), correlation, _as_text(event), instant


def _properties(value: Json) -> dict[str, Any]:
    """Return the properties with keys in lower case; none if they are not an object."""
    if isinstance(value, str):
        try:
            value = _json(value)
        except ValueError:
            return {}
    return _lower(value) if isinstance(value, dict) else {}


def _first(*values: Json) -> Json:
    """Return the first value that is neither null nor blank, or the first one."""
    return next((value for value in values if value is not None and str(value).strip()), values[0])


def _as_text(value: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _canonical(resource: Json) -> str | None:
    """Return a resource id in lower case, with a leading slash and no trailing slash."""
    found = (_as_text(resource) or "").lower().strip("/ \t\r\n")
    return f"/{found}" if found else None


def _text(value: Json) -> str:
    if value is None or value == "":
        raise Rejected("missing_required_field")
    if not isinstance(value, str):
        raise Rejected("wrong_type")
    return value


def _instant(text: str) -> int:
    try:
        time = datetime.strptime(text, "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        try:
            time = datetime.fromisoformat(text)  # cuts the digits after the sixth one
        except ValueError:
            raise Rejected("unparseable_time") from None
    return (time - EPOCH) // timedelta(microseconds=1)
