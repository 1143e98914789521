"""Decides which rows and dead letters are erased, by a column and its values. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from shared.arrays import Array, integers, whole
from shared.connections import text_limits
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES
from shared.tables.table import Role, Table

_LITERAL = re.compile(r'"(?:[^"\\]++|\\.?+)*+"', re.DOTALL)
DEPTH = 4
"""Maximum depth of JSON inside strings of JSON that is searched."""


def columns() -> list[str]:
    """Returns the columns by which rows can be chosen: the text columns of records."""
    return sorted(
        {
            column.name
            for table in TABLES.values()
            for column in table.of(Role.INPUT)
            if pa.types.is_string(column.type)
        }
    )


def tables(column: str) -> list[Table]:
    """Returns the tables that have this column."""
    return [table for table in TABLES.values() if any(one.name == column for one in table.columns)]


@dataclass(frozen=True)
class Selection:
    """Selects the rows that hold one of these values in this column, since a given time."""

    column: str
    values: tuple[str, ...]
    """The values as records contain them. Dead letters are searched for them."""
    hashes: tuple[str, ...] = ()
    """The keyed hashes of the values under HASH_KEY."""
    since: int = 0
    """The earliest time of rows (by time column) and of dead letters (by arrival), in µs since 1970 UTC."""

    @cached_property
    def _held(self) -> frozenset[str]:
        """The values that a row of records may hold."""
        return frozenset((*self.values, *self.hashes))

    @cached_property
    def _cut(self) -> frozenset[str]:
        """The values that a row of connections may hold; long texts are truncated there."""
        return frozenset(text_limits.kept(value, self.column) for value in self._held)

    def _of(self, table: Table) -> frozenset[str]:
        return self._cut if table is CONNECTIONS else self._held

    def rows(self, table: Table, rows: pa.Table) -> pa.Array:
        """Returns for each row of a Parquet table whether it is erased."""
        if self.column not in rows.column_names:
            return pa.repeat(pa.scalar(value=False), rows.num_rows)
        found = self._in(rows[self.column], self._of(table))
        return pa.array(found & (integers(rows[table.time_column]) >= self.since))

    def state(self, rows: pa.Table) -> Array:
        """Like `rows`, for the state table and for observations, by the time of the last record."""
        if self.column not in rows.column_names:
            return np.zeros(rows.num_rows, bool)
        found: Array = self._in(rows[self.column], self._cut) & (np.asarray(rows["last"]) >= self.since)
        return found

    @staticmethod
    def _in(column: pa.ChunkedArray, values: Iterable[str]) -> Array:
        wanted = pa.array(sorted(values), pa.string())
        return np.asarray(pc.is_in(whole(column.cast(pa.string())), value_set=wanted))

    def may_hold(self, table: Table, statistics: Any) -> bool:
        """Whether a row group may hold a value, by the column's statistics (None if it has none)."""
        if statistics is None or not statistics.has_min_max:
            return True
        return any(statistics.min <= value <= statistics.max for value in self._of(table))

    def line(self, table: Table, line: bytes) -> bool:
        """Whether a line of a JSON Lines file is erased."""
        if not any(orjson.dumps(value) in line for value in self._of(table)):
            return False
        row: Mapping[str, Any] = orjson.loads(line)
        return row.get(self.column) in self._of(table) and moment(row[table.time_column]) >= self.since

    # -- dead letters ------------------------------------------------------------------------------

    def letter(self, letter: Mapping[str, Any], body: bytes) -> bool:
        """Whether a dead letter is erased: its body contains a value as a separate word."""
        if moment(letter["enqueued"]) < self.since:
            return False
        texts = [str(one.get(name, "")) for one in letter["rejections"] for name in ("message", "text")]
        try:
            texts.append(body.decode())
        except UnicodeDecodeError:
            texts += (body.decode(encoding, "replace") for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
        return any(self._mentioned(text, DEPTH) for text in texts)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = (
            f"{r'(?<!\w)' if re.match(r'\w', value) else ''}{re.escape(value)}"
            f"{r'(?!\w)' if re.search(r'\w\Z', value) else ''}"
            for value in sorted(self._held)
        )
        return re.compile("|".join(words))

    def _mentioned(self, text: str, depth: int) -> bool:
        if self._pattern.search(text):
            return True
        return depth > 0 and any(self._mentioned(inner, depth - 1) for inner in _escaped(text))


def _escaped(text: str) -> Iterator[str]:
    """Returns the decoded string literals of a text that contain escapes."""
    for found in _LITERAL.finditer(text) if "\\" in text else ():
        if "\\" in found[0]:
            try:
                yield str(json.loads(found[0], strict=False))
            except ValueError:
                continue


def moment(text: str) -> int:
    """Converts a time of JSON Lines to µs since 1970 UTC."""
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))


def without_body(letter: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the rest of an erased dead letter: its origin, and the number of records for each reason."""
    kept = ("partition", "sequence", "enqueued", "incarnation", "rejected_indexes", "counts")
    return {
        **{name: letter[name] for name in kept},
        "erased": True,
        "rejections": [
            {"index": one.get("index"), "reason": one["reason"], "pointer": "", "message": "erased"}
            for one in letter["rejections"]
        ],
    }
