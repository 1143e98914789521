"""Adds the keys of the setting COLUMN_KEYS to the columns of tables, and finds invalid ones. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from shared.tables.table import Table

type ColumnKeys = tuple[tuple[str, tuple[str, ...]], ...]
"""Columns (`EventName`, or `Table.EventName` for one table) with additional keys that may hold them."""

RESERVED = {"category", "type", "properties", "records", "metricname"}
"""Keys that identify the kind of a record, in lower case."""
EXAMPLE = "EventName=properties.event|operation;TimeGenerated=timeStamp"


def parse(text: str) -> ColumnKeys:
    """Parses the setting's value, such as `EXAMPLE`. Raises ValueError with the malformed part."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for part in filter(None, map(str.strip, text.split(";"))):
        name, _, places = part.partition("=")
        keys = tuple(key.strip() for key in places.split("|"))
        if not name.strip() or not all(keys) or "properties." in keys:
            raise ValueError(part)
        found.append((name.strip(), keys))
    return tuple(found)


def problems(tables: Sequence[Table], column_keys: ColumnKeys) -> Iterator[str]:
    """Yields one sentence for each problem: an unknown column, or a key with another meaning."""
    names = {column.name for table in tables for column in table.input}
    known = names | {f"{table.name}.{column.name}" for table in tables for column in table.input}
    for name, keys in column_keys:
        if name not in known:
            yield f"{name!r} is not a column that records fill; allowed are {', '.join(sorted(names))}"
        for key in keys:
            if key.lower() in RESERVED:
                yield f"{key!r} cannot be a key of {name}: it identifies a record's kind"
    for table in tables:
        yield from _claimed_twice(table, column_keys)


def _claimed_twice(table: Table, column_keys: ColumnKeys) -> Iterator[str]:
    owner = {key.lower(): column.name for column in table.input for key in column.keys}
    for name, keys in _of(table, column_keys):
        for key in keys:
            other = owner.setdefault(key.lower(), name)
            if other != name:
                yield f"{key!r} cannot be a key of {name}: {other} is read from it"


@lru_cache(64)
def extended(table: Table, column_keys: ColumnKeys) -> Table:
    """Returns the table with these keys; always the same object for the same keys."""
    more: dict[str, tuple[str, ...]] = {}
    for name, keys in _of(table, column_keys):
        more[name] = (*more.get(name, ()), *keys)
    if not more:
        return table
    columns = tuple(
        replace(column, more_keys=more[column.name]) if column.name in more else column
        for column in table.columns
    )
    return replace(table, columns=columns)


def _of(table: Table, column_keys: ColumnKeys) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields the keys for this table, by column name."""
    for name, keys in column_keys:
        prefix, dot, column = name.rpartition(".")
        if not dot or prefix == table.name:
            yield column, keys
