"""Describes tables and their columns: types, meanings and the origin of values. Pure data."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import pyarrow as pa

from shared.timeunits import MINUTE

VERSION = 1
"""Grows with every change; changes only ever add nullable columns."""
TIME = pa.timestamp("us", "UTC")
TEXT = pa.string()


class Role(StrEnum):
    """Where a column's values come from."""

    INPUT = "input"
    """The record itself."""
    DERIVED = "derived"
    """The state of its connection."""
    LINEAGE = "lineage"
    """The envelope that contained it."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: Any
    """Its Arrow type."""
    meaning: str
    role: Role = Role.INPUT
    required: bool = False
    """Never null: a record without it is rejected, unless there is a default."""
    resource_log: tuple[str, ...] = ()
    """Keys that hold it in the resource-log form; the first one present counts, letter case is ignored."""
    table_form: str | None = None
    """The key that holds it in the table's own form."""
    default: str | None = None
    more_keys: tuple[str, ...] = ()
    """Keys that an operator adds; they are tried last, in both forms."""

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that may hold it, in either form."""
        return tuple(filter(None, (*self.resource_log, self.table_form, *self.more_keys)))

    @property
    def field(self) -> pa.Field:
        """The column as an Arrow field, with its meaning as `description` in the metadata."""
        return pa.field(
            self.name, self.type, nullable=not self.required, metadata={"description": self.meaning}
        )


def in_properties(name: str, meaning: str, kind: pa.DataType = TEXT) -> Column:
    """Declares a column whose value is in `properties`, under its name with a lower-case first letter."""
    key = f"properties.{name[0].lower()}{name[1:]}"
    return Column(name, kind, meaning, resource_log=(key,), table_form=name)


@dataclass(frozen=True, slots=True)
class Newest:
    """How to select the newest revision of a row."""

    view: str
    """Name of the view of the newest revisions."""
    identity: tuple[str, ...]
    """Columns that all revisions of a row share. The revisions are also in one folder."""
    revision: str
    """The column whose highest value is the newest revision."""


@dataclass(frozen=True, slots=True)
class Join:
    """A view of another table's rows, each with columns of the row of this table that has the same identity.

    If several rows of this table match, the view uses the earliest one.
    """

    view: str
    """Name of the view."""
    left: "Table"
    """The other table. Its rows that have no counterpart are in the view, too."""
    identity: tuple[str, ...]
    """Columns of both tables that are equal in rows that belong together. Null never matches."""
    begin: str
    """A time column of the other table: this table's time is at most `JOIN_MARGIN` earlier than its value."""
    end: str
    """A time column of the other table: this table's time is at most `JOIN_MARGIN` later than its value."""
    time_name: str
    """The name of this table's time in the view; it is null if there is no such row."""
    columns: tuple[str, ...]
    """The columns of this table that the view shows. The other table has none of these names."""


JOIN_MARGIN = 5 * MINUTE
"""How far outside the times of the other row the time of a matching row may be (µs)."""


@dataclass(frozen=True, eq=False)
class Table:
    """An exported table. Validation, export, audit, compaction and schemas follow this declaration."""

    name: str
    columns: tuple[Column, ...]
    """The columns in order; a table of a category also has those of role LINEAGE."""
    time_column: str
    """The time whose hour names a row's folder; never null."""
    sort_key: tuple[str, ...]
    """The sort key of compacted files: columns that are never null. First the column that people search by,
    then the time; the others make the order independent of the order of the files."""
    category: str | None = None
    """The category of its records in the resource-log form; None if its rows are not records."""
    derive: str | None = None
    """The name of the function that fills its derived columns (see `shared.export.plan`), or None."""
    newest: Newest | None = None
    """None if its rows are never revised."""
    join: Join | None = None
    """None if no view adds its columns to those of another table."""

    @cached_property
    def input(self) -> tuple[Column, ...]:
        """The columns that keys of a record fill, in order."""
        return tuple(
            column
            for column in self.of(Role.INPUT)
            if column.name != "Type" and (column.resource_log or column.table_form)
        )

    @cached_property
    def arrow(self) -> pa.Schema:
        """The table as an Arrow schema, with `table` and `schema_version` in the metadata."""
        return pa.schema(
            [column.field for column in self.columns],
            metadata={"table": self.name, "schema_version": str(VERSION)},
        )

    def of(self, role: Role) -> tuple[Column, ...]:
        """Returns the columns of one role, in order."""
        return tuple(column for column in self.columns if column.role is role)
