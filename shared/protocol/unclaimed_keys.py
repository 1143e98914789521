"""Remembers which keys of recent records belong to no column, so that `status` can list them. Pure."""

from collections.abc import Mapping

from pydantic import Field

from shared.protocol.documents import Data

KEPT = 32
"""Maximum keys with a count; a key of most records is always among them."""
RECENT = 100_000
"""All counts are halved after this many records, so that they reflect recent records."""


class UnclaimedKeys(Data):
    """The counts of one table; older records count less and less."""

    records: int = 0
    """The number of records behind the counts."""
    counts: dict[str, int] = Field(default_factory=dict)
    """The estimated number of these records that have each key."""

    def plus(self, records: int, counts: Mapping[str, int]) -> "UnclaimedKeys":
        """Adds records; only the most frequent keys are kept."""
        total = self.records + records
        found = {
            key: self.counts.get(key, 0) + counts.get(key, 0) for key in self.counts.keys() | counts.keys()
        }
        if total > RECENT:
            total, found = total // 2, {key: count // 2 for key, count in found.items() if count > 1}
        kept = sorted(found.items(), key=lambda each: (-each[1], each[0]))[:KEPT]
        return UnclaimedKeys(records=total, counts=dict(kept))

    def most(self, number: int) -> list[tuple[str, int]]:
        """Returns the most frequent keys that more than half of the records have, with their counts."""
        frequent = [(key, count) for key, count in self.counts.items() if 2 * count > self.records]
        return sorted(frequent, key=lambda each: (-each[1], each[0]))[:number]


def added(
    known: Mapping[str, UnclaimedKeys], found: Mapping[str, tuple[int, Mapping[str, int]]]
) -> dict[str, UnclaimedKeys]:
    """Adds the records found, and the counts of their keys, to the known ones, by table."""
    return dict(known) | {
        table: known.get(table, UnclaimedKeys()).plus(*counted) for table, counted in found.items()
    }
