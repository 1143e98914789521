"""Estimates how many records have each key that belongs to no column, so that users can assign it. Pure."""

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
"""Rows that are sampled in each check of at most a few thousand records."""
_INNER = {"properties": "properties.", "envelope": ""}
"""Objects whose keys are counted, and the prefix of these keys in the setting `COLUMN_KEYS`."""
_NAME = re.compile(r"[A-Za-z0-9_@$][A-Za-z0-9_.@$ -]{0,63}")
"""A key that looks like a name; other keys are not shown, because they may be data."""
_KEYS = 64
"""Maximum keys of a row that count, because a sender must not decide how much time this takes."""
_BYTES = 1 << 14
"""Larger rows are not examined."""
_STEP = 0.6180339887498949
"""The golden ratio: steps of this size share no pattern with the order of the rows."""


@dataclass(slots=True)
class KeyCounts:
    """Counts the records that have each key."""

    records: int = 0
    keys: Counter[str] = field(default_factory=Counter)

    def add(self, records: int, keys: Iterable[str]) -> None:
        """Counts records that have all of these keys."""
        self.records += records
        for key in set(keys):
            self.keys[key] += records

    def sample(self, rest: pa.Array) -> None:
        """Counts the keys of AdditionalProperties, estimated from `SAMPLE` rows.

        Args:
            rest: JSON objects as text, with nulls; of all rows, including those that failed.
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
    """Yields those keys of a record and of its properties that are names, as written in the setting."""
    for key in (*outer, *(f"properties.{key}" for key in inner)):
        if _NAME.fullmatch(key.removeprefix("properties.")):
            yield key


def _names(rest: pa.Buffer | None) -> frozenset[str]:
    if rest is None or rest.size > _BYTES:
        return frozenset()
    try:
        found = orjson.loads(memoryview(rest))
    except orjson.JSONDecodeError:  # more levels than the parser supports
        return frozenset()
    inner = [(name, tuple(found[name])) for name in _INNER if type(found.get(name)) is dict]
    return _written(tuple(found), tuple(inner))


@lru_cache(64)
def _written(keys: Keys, inner: tuple[tuple[str, Keys], ...]) -> frozenset[str]:
    """Returns keys, and keys inside some of them, as written in the setting."""
    opened = {name for name, _ in inner}
    names = chain(
        (key for key in keys if key not in opened and _NAME.fullmatch(key)),
        (_INNER[name] + key for name, within in inner for key in within if _NAME.fullmatch(key)),
    )
    return frozenset(islice(names, _KEYS))
