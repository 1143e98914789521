"""Accumulates columns of raw values, packing them into Arrow arrays along the way."""

from collections.abc import Iterable
from itertools import chain, repeat
from typing import Any

import pyarrow as pa

_WAITING = 512
"""Maximum rows that wait to be packed; few enough that their values stay in the processor's cache."""

type Values = pa.StringArray | list[Any]
"""The values of one column: Arrow text, or a list if some are not text."""


class Columns:
    """Columns to which rows are added in groups; a missing value is None."""

    def __init__(self, number: int) -> None:
        self._waiting: list[list[Any]] = [[] for _ in range(number)]
        self._packed: list[list[Values]] = [[] for _ in range(number)]
        self._lengths = [0] * number
        """The number of packed rows of each column; if it is below `_done`, the others are null."""
        self._done = 0
        """Rows that were ended and packed."""
        self._rows = 0
        """Rows that were ended since then."""

    def extend(self, at: int, values: Iterable[Any]) -> None:
        """Adds the values of a column in the next rows; `end` says how many rows there are."""
        waiting = self._waiting[at]
        if len(waiting) < self._rows:
            waiting.extend(repeat(None, self._rows - len(waiting)))
        waiting.extend(values)

    def end(self, rows: int) -> None:
        """Completes this many rows."""
        self._rows += rows
        if self._rows >= _WAITING:
            self._pack()

    def column(self, at: int) -> Values:
        """Returns all values of a column."""
        if self._rows:
            self._pack()
        self._fill(at)
        blocks = self._packed[at]
        if all(isinstance(block, pa.Array) for block in blocks):
            return pa.concat_arrays(blocks) if len(blocks) > 1 else blocks[0]
        return list(
            chain.from_iterable(
                block.to_pylist() if isinstance(block, pa.Array) else block for block in blocks
            )
        )

    def _pack(self) -> None:
        for at, waiting in enumerate(self._waiting):
            if waiting:
                self._fill(at)
                self._packed[at].append(_packed(waiting, self._rows))
                self._lengths[at] += self._rows
                self._waiting[at] = []
        self._done += self._rows
        self._rows = 0

    def _fill(self, at: int) -> None:
        lacks = self._done - self._lengths[at]
        if lacks:
            self._packed[at].append(pa.nulls(lacks, pa.string()))
            self._lengths[at] = self._done


def _packed(values: list[Any], rows: int) -> Values:
    values.extend(repeat(None, rows - len(values)))
    if type(values[0]) is bytes and None not in values:  # JSON that we wrote: no need to validate it
        return pa.array(values, pa.binary()).view(pa.string())
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return values
