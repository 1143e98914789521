"""Rereads records that have integers beyond 64 bits, which the fast parser turns into floats."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from shared.input import memory_bounds, shapes
from shared.input.bodies import records
from shared.input.envelope import Envelope
from shared.input.exact_json import restored, rounded
from shared.input.gzip_bodies import inflate
from shared.tables.table import Table

_NESTING = {float, dict, list}


def suspects(members: list[dict[str, Any]]) -> Iterable[int]:
    """Yields the indexes of records that may hold a float that was an integer."""
    if _NESTING.isdisjoint(map(type, chain.from_iterable(map(dict.values, members)))):
        return ()
    return (at for at, member in enumerate(members) if rounded(member))


@dataclass(slots=True)
class Rereader:
    """Reads the records of envelopes again, and remembers those of the last one."""

    limit: int
    """Maximum bytes of memory that the records of one body may take."""
    tables: tuple[Table, ...]
    _envelope: Envelope | None = None
    _records: list[Any] = field(default_factory=list)

    def restored(self, rest: dict[str, Any], envelope: Envelope, index: int) -> dict[str, Any]:
        """Returns the additional properties of the record at this index, with exact integers."""
        if envelope is not self._envelope:
            text = inflate(envelope.body, self.limit // memory_bounds.PARSED)
            self._envelope, self._records = envelope, records(text, self.limit, self.tables, exact=True)
        record = self._records[index]
        properties = shapes.record_keys(tuple(record)).properties
        if properties:
            record = record | {"properties": record[properties]}
        try:
            found: dict[str, Any] = restored(rest, record)
        except RecursionError:
            return rest
        return found
