"""Groups records by key, picks them by position, and serializes them. Pure."""

from collections.abc import Sequence
from typing import Any

import orjson

from shared.input.exact_json import dumps


def dumped(members: list[dict[str, Any]]) -> list[bytes]:
    """Serializes records, including those that orjson cannot serialize."""
    try:
        return list(map(orjson.dumps, members))
    except orjson.JSONEncodeError:
        return list(map(dumps, members))


def groups[K](keys: list[K]) -> list[tuple[K, Sequence[int] | None]]:
    """Returns each distinct key with its positions (None: all), in order of appearance."""
    if keys and keys.count(keys[0]) == len(keys):
        return [(keys[0], None)]
    groups: dict[K, list[int]] = {}
    for at, key in enumerate(keys):
        if key in groups:
            groups[key].append(at)
        else:
            groups[key] = [at]
    return list(groups.items())


def pick[S: Sequence[Any]](values: S, at: Sequence[int] | None) -> S:
    """Returns the values at these positions (None: all)."""
    return values if at is None else [values[each] for each in at]  # type: ignore[return-value]
