"""Maps each record shape (its keys plus its properties' keys) to the positions of its columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.tables.table import Table

type Keys = tuple[str, ...]

_INNER = "properties."
_CACHED = 1024
_CACHED_LETTERS = 4096
_cached_keys: dict[Keys, "RecordKeys"] = {}
_shapes: dict[tuple[Table, Keys, Keys | None], "Shape"] = {}


@dataclass(frozen=True, slots=True)
class RecordKeys:
    """Facts that depend only on the keys of a record."""

    category: str | None
    """The key of its category."""
    table: str | None
    """The key of its table's name, if it has no category."""
    properties: str | None
    foreign: bool
    """Whether the record is a platform metric, which has no category."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The key of each column, by index into the table's `input`."""

    table: Table
    keys: Keys
    inner_keys: Keys | None
    outer: tuple[tuple[int, str], ...]
    inner: tuple[tuple[int, str], ...]
    """The keys of columns that are inside the properties."""
    others: tuple[tuple[bool, str, bool, str], ...]
    """For columns with several keys: whether the first is inside the properties, its key, and the same for
    another one, whose value counts if the first is null or empty."""
    absent: tuple[int, ...]
    missing: int | None
    """The first required column that is missing."""
    rest: Keys
    """The keys that belong to no column."""
    rest_inner: Keys
    """The keys inside the properties that belong to no column."""
    properties: str | None

    def pointer(self, column: int) -> str:
        """Returns the JSON pointer to a column's value; empty if it is absent."""
        for at, key in self.outer:
            if at == column:
                return f"/{key}"
        return next((f"/{self.properties}/{key}" for at, key in self.inner if at == column), "")


def record_keys(keys: Keys) -> RecordKeys:
    """Returns the facts that depend only on these keys of a record."""
    found = _cached_keys.get(keys)
    if found is None:
        found = _record_keys(keys)
        _keep(_cached_keys, keys, found, keys)
    return found


def shape(table: Table, keys: Keys, inner: Keys | None) -> Shape:
    """Maps a table's columns to the keys of a record and of its properties (None: it has none).

    Letter case is ignored, but a key that matches exactly wins. All other keys go to AdditionalProperties.
    """
    found = _shapes.get((table, keys, inner))
    if found is None:
        found = _shape(table, keys, inner)
        _keep(_shapes, (table, keys, inner), found, keys + (inner or ()))
    return found


def _keep[K, V](cache: dict[K, V], key: K, value: V, letters: Keys) -> None:
    """Caches small values only, because a sender must not decide how much memory this takes."""
    if len(cache) >= _CACHED:
        cache.clear()
    if sum(map(len, letters)) + len(letters) <= _CACHED_LETTERS:
        cache[key] = value


def paths(table: Table, column: int) -> str:
    """Lists the keys that may hold a column, for a message."""
    return ", ".join(table.input[column].keys)


def _record_keys(keys: Keys) -> RecordKeys:
    find = _finder(keys)
    category, table = find("category"), find("Type")
    return RecordKeys(
        category=category,
        table=None if category else table,
        properties=find("properties"),
        foreign=category is None and table is None and find("metricName") is not None,
    )


def _shape(table: Table, keys: Keys, inner: Keys | None) -> Shape:
    known = record_keys(keys)
    find_outer, find_inner = _finder(keys), _finder(inner or ())
    outer: dict[str, int] = {}
    within: dict[str, int] = {}
    absent = []
    found: list[tuple[int, bool, str]] = []
    for at, column in enumerate(table.input):
        # Columns that only the table form has: in a resource log, `tenantId` means something else.
        table_form = (column.table_form,) if column.table_form else ()
        paths = column.resource_log + (table_form if column.resource_log or not known.category else ())
        paths += column.more_keys
        keys_of = []
        for place in paths:
            is_inner = place.startswith(_INNER)
            key = find_inner(place.removeprefix(_INNER)) if is_inner else find_outer(place)
            if key is not None and (is_inner, key) not in keys_of:
                keys_of.append((is_inner, key))
        if keys_of:
            is_inner, key = keys_of[0]
            (within if is_inner else outer)[key] = at
            found += [(at, *other) for other in keys_of[1:]]
        else:
            absent.append(at)
    taken = {known.category, known.table, known.properties, *outer}
    return Shape(
        table=table,
        keys=keys,
        inner_keys=inner,
        outer=tuple((at, key) for key, at in outer.items()),
        inner=tuple((at, key) for key, at in within.items()),
        others=_others(outer, within, found),
        absent=tuple(absent),
        missing=next(
            (at for at in absent if table.input[at].required and table.input[at].default is None), None
        ),
        rest=tuple(key for key in keys if key not in taken),
        rest_inner=tuple(key for key in inner or () if key not in within),
        properties=known.properties,
    )


def _others(
    outer: Mapping[str, int], within: Mapping[str, int], found: list[tuple[int, bool, str]]
) -> tuple[tuple[bool, str, bool, str], ...]:
    first = {at: (False, key) for key, at in outer.items()} | {at: (True, key) for key, at in within.items()}
    return tuple(
        (*first[at], is_inner, key)
        for at, is_inner, key in found
        if at in first and key not in (within if is_inner else outer)
    )


def empty(value: object) -> bool:
    """Whether a value is empty, so that another key of its column counts."""
    return value is None or (type(value) is str and not value.strip())


def lacks(record: Mapping[str, Any], key: str, tables: tuple[Table, ...]) -> bool:
    """Whether a key would fill a column or the category for which a record has no value."""
    known = record_keys(tuple(record))
    name = key.lower()
    if name in {"category", "type"}:
        return known.category is None and known.table is None
    inner = record.get(known.properties) if known.properties else None
    filled = {each.lower() for each, value in record.items() if not empty(value)}
    if type(inner) is dict:
        filled |= {_INNER + each.lower() for each, value in inner.items() if not empty(value)}
    if name == "properties":
        return known.properties is None
    return any(name in paths and not filled & paths for paths in _places(tables))


@lru_cache(4)
def _places(tables: tuple[Table, ...]) -> list[set[str]]:
    """Returns the keys of each column of these tables, in lower case."""
    return [{key.lower() for key in column.keys} for table in tables for column in table.input]


def _finder(keys: Keys) -> Callable[[str], str | None]:
    """Looks up a name among the keys: the key itself, or else the first that differs only in letter case."""
    exact = set(keys)
    lowered: dict[str, str] = {}
    for key in keys:
        lowered.setdefault(key.lower(), key)
    return lambda name: name if name in exact else lowered.get(name.lower())


def fill(shape: Shape, members: list[dict[str, Any]], inner: list[Any]) -> None:
    """Swaps values if the first key of a column is null or empty, and another one is not."""
    for first_inner, first, other_inner, other in shape.others:
        for one, another in zip(
            inner if first_inner else members, inner if other_inner else members, strict=True
        ):
            if empty(one[first]) and not empty(another[other]):
                one[first], another[other] = another[other], one[first]
