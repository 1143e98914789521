"""Collects the rows of one table, with the shapes that they came in."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from shared.input.columns import Columns
from shared.input.shapes import Keys, Shape
from shared.tables.column import Table


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one shape that lie together."""

    start: int
    keys: Keys
    inner_keys: Keys | None
    """Of the properties; None: they have none."""


class TableRows:
    """Rows of one table: values as they came."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rest = len(table.input)
        """The column behind those of the table: what none of them claimed, as a JSON object."""
        self.columns = Columns(self.rest + 1)
        self.numbers = array("i")
        """Of the records among those of the batch."""
        self.runs: list[Run] = []

    def begin(self, shape: Shape, where: Sequence[int]) -> None:
        """Notes the shape and the numbers of the next rows."""
        self.runs.append(Run(len(self.numbers), shape.keys, shape.inner_keys))
        self.numbers.extend(where)
