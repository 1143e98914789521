"""Collects the rows of one table, together with their shapes."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from shared.input.columns import Columns
from shared.input.shapes import Keys, Shape
from shared.tables.table import Table


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive rows of one shape."""

    start: int
    keys: Keys
    inner_keys: Keys | None
    """The keys of the properties; None if there are none."""


class TableRows:
    """The rows of one table, as raw values."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rest = len(table.input)
        """The column after those of the table: additional properties as a JSON object."""
        self.columns = Columns(self.rest + 1)
        self.numbers = array("i")
        """The numbers of the records in the batch."""
        self.runs: list[Run] = []

    def begin(self, shape: Shape, where: Sequence[int]) -> None:
        """Records the shape and the numbers of the next rows."""
        self.runs.append(Run(len(self.numbers), shape.keys, shape.inner_keys))
        self.numbers.extend(where)
