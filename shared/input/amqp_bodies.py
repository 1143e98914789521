"""Converts an AMQP value or sequence body, which the Functions host cannot bind, to JSON. Pure."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any

import orjson


def as_json(
    kind: str, body: object, properties: Mapping[Any, Any] | None, annotations: Mapping[Any, Any] | None
) -> bytes:
    """Returns the event as a JSON object: `amqp_body_type`, `body`, `application_properties`, `annotations`.

    UTF-8 bytes become text, other bytes `{"base64": …}`; values that JSON cannot represent become text.
    """
    parts = {
        "amqp_body_type": kind,
        "body": _plain(body),
        "application_properties": _plain(properties or {}),
        "annotations": _plain(annotations or {}),
    }
    return orjson.dumps(parts)


def _plain(value: object) -> Any:  # noqa: PLR0911 - one for each kind
    match value:
        case None | bool() | float():
            return value
        case int():
            return value if -(1 << 63) <= value < 1 << 64 else str(value)
        case bytes() | bytearray() | memoryview():
            data = bytes(value)
            try:
                return data.decode()
            except UnicodeDecodeError:
                return {"base64": b64encode(data).decode()}
        case Mapping():
            return {str(_plain(key)): _plain(item) for key, item in value.items()}
        case str():
            return value.encode("utf-8", "replace").decode()
        case Iterable():
            return [_plain(item) for item in value]
    return str(value)
