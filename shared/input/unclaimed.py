"""Estimates how many records have each key that no column takes: an operator can add it to a column. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice

import orjson
import pyarrow as pa

from shared.input.shapes import Keys

SAMPLE = 16
"""Rows that are looked at in each check, which is of at most some thousand records."""
_INNER = {"properties": "properties.", "envelope": ""}
"""What holds keys of its own, and how these are written in the setting `COLUMN_KEYS`."""
_NAME = re.compile(r"[A-Za-z0-9_@$][A-Za-z0-9_.@$ -]{0,63}")
"""A key that looks like a name; other ones are not shown, since they may be data."""
_KEYS = 64
"""Keys of a row that count at most: rows must not decide how much time this takes."""
_BYTES = 1 << 14
"""A larger row is not looked into."""
_STEP = 0.6180339887498949
"""The golden ratio: rows in steps of it have no pattern in common with the order of the rows."""


@dataclass(slots=True)
class KeyCounts:
    """How many of these records have each key."""

    records: int = 0
    keys: Counter[str] = field(default_factory=Counter)

    def add(self, records: int, keys: Iterable[str]) -> None:
        """Counts records that have all of these keys."""
        self.records += records
        for key in set(keys):
            self.keys[key] += records

    def sample(self, rest: pa.Array) -> None:
        """Counts the rows of AdditionalProperties, estimated from `SAMPLE` of them.

        Args:
            rest: JSON objects as text, with nulls; of all rows, also of those that failed.
        """
        rows = len(rest)
        if rows <= SAMPLE:
            weights = dict.fromkeys(range(rows), 1)
        else:
            chosen = sorted({int(rows * (number * _STEP % 1)) for number in range(SAMPLE)})
            share, more = divmod(rows, len(chosen))
            weights = {row: share + (at < more) for at, row in enumerate(chosen)}
        found: Counter[frozenset[str]] = Counter()
        for row, weight in weights.items():
            found[_names(rest[row].as_buffer())] += weight
        for names, records in found.items():
            self.add(records, names)


def keys_of(outer: Keys, inner: Keys) -> Iterator[str]:
    """Keys of a record and of its properties as they are written in the setting; those that are names."""
    for key in (*outer, *(f"properties.{key}" for key in inner)):
        if _NAME.fullmatch(key.removeprefix("properties.")):
            yield key


def _names(rest: pa.Buffer | None) -> frozenset[str]:
    if rest is None or rest.size > _BYTES:
        return frozenset()
    try:
        found = orjson.loads(memoryview(rest))
    except orjson.JSONDecodeError:  # more levels than the parser reads
        return frozenset()
    inner = [(name, tuple(found[name])) for name in _INNER if type(found.get(name)) is dict]
    return _written(tuple(found), tuple(inner))


@lru_cache(64)
def _written(keys: Keys, inner: tuple[tuple[str, Keys], ...]) -> frozenset[str]:
    """Keys and keys within some of these as the setting names them."""
    opened = {name for name, _ in inner}
    names = chain(
        (key for key in keys if key not in opened and _NAME.fullmatch(key)),
        (_INNER[name] + key for name, within in inner for key in within if _NAME.fullmatch(key)),
    )
    return frozenset(islice(names, _KEYS))
