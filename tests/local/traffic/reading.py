"""A second, plain reading of bodies, by which generator and fixtures are checked."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, NoReturn

type Json = Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WEEK, HOUR = 7 * 86_400_000_000, 3_600_000_000
LARGEST = 64 << 20
DEEPEST = 1024


class Read(NamedTuple):
    """What one envelope comes to."""

    rows: list[tuple[int, str | None, str, str, int]]
    """Record index, lower-case resource id, CorrelationId, EventName, time in microseconds."""
    rejections: list[tuple[int | None, str]]
    skipped: int


class Rejected(Exception):
    """A record does not pass; the text is the reason."""


def read(body: bytes, enqueued: int) -> Read:
    try:
        elements = _elements(body)
    except (ValueError, EOFError, OSError, RecursionError):
        return Read([], [(None, "unreadable_envelope")], 0)
    result = Read([], [], 0)
    for index, element in enumerate(elements):
        try:
            found = _record(element, enqueued)
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
    text = body.decode("utf-8-sig").strip()
    try:
        values = [_json(text)]
    except json.JSONDecodeError:
        lines = text.splitlines()
        if len(lines) < 2:
            raise
        values = [_json(line) for line in lines if line.strip()]
    return [element for value in values for element in _records(value)]


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


def _record(element: Json, enqueued: int) -> tuple[str | None, str, str, int] | None:
    if not isinstance(element, dict):
        raise Rejected("record_not_an_object")
    record = _lower(element)
    category = record.get("category", record.get("type", "")).lower()
    if category not in {"websocketconnectionlogs", "apimanagementwebsocketconnectionlogs"}:
        return None
    properties = record.get("properties") or {}
    record |= _lower(json.loads(properties) if isinstance(properties, str) else properties)
    time = _text(record.get("time", record.get("timegenerated")))
    correlation, event = _text(record.get("correlationid")), _text(record.get("eventname"))
    resource = record.get("resourceid", record.get("_resourceid"))
    instant = _instant(time)
    if not enqueued - WEEK <= instant <= enqueued + HOUR:
        raise Rejected("implausible_time")
    return resource and resource.lower(), correlation, event, instant


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
            time = datetime.fromisoformat(text)  # cuts what follows the sixth digit
        except ValueError:
            raise Rejected("unparseable_time") from None
    return (time - EPOCH) // timedelta(microseconds=1)
