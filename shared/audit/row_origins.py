"""Compares the rows of a compacted file with the files that it replaced. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from shared.arrays import Array
from shared.audit.contents import Lineage
from shared.audit.evidence import Finding, refuted
from shared.compaction import erasures
from shared.compaction.replaced_files import ReplacedFile
from shared.input.hub_partition import HubPartition
from shared.intervals import intervals
from shared.protocol.storage import BlobInfo
from shared.wording import counted


def strange(file: BlobInfo, lineage: Lineage, origins: Sequence[ReplacedFile]) -> Iterator[Finding]:
    """Finds rows that none of the replaced files had, and rows that are missing or occur twice."""
    places = {partition: _FileSpans(partition, origins) for partition in set(lineage.partitions)}
    held: Counter[int] = Counter()
    for code, partition in enumerate(lineage.partitions):
        sequences = lineage.sequences[lineage.codes == code]
        found = places[partition].of(sequences)
        if (found < 0).any():
            yield refuted(
                "damaged",
                f"{file.name} holds sequence {sequences[found < 0][0]} of {partition}, which none of the "
                "files that it replaced had",
            )
        held.update(dict(zip(*map(np.ndarray.tolist, np.unique(found, return_counts=True)), strict=True)))
    expected: Counter[int] = Counter()
    for number, origin in enumerate(origins):
        root = places[_partition(origin)].roots[number] if _partition(origin) in places else number
        expected[root] += origin.rows
    erased = erasures.erased(file)  # the record does not say from which files
    for root, rows in expected.items():
        if held[root] != rows and not (erased and held[root] < rows):
            yield refuted(
                "rows_differ",
                f"{file.name} has {counted(held[root], 'row')} of {origins[root].name}, which had {rows:,}",
            )
    if lineage.duplicates:
        yield refuted(
            "duplicates",
            f"{file.name} has {counted(lineage.duplicates, 'row that occurs', 'rows that occur')} twice",
        )


def _partition(origin: ReplacedFile) -> str:
    return str(HubPartition.parse(origin.metadata["partition"]).origin)


class _FileSpans:
    """Finds which of these files held a sequence number of one partition; the first one if several did.

    Files overlap if a hub was re-created or if dead letters were replayed.
    """

    def __init__(self, partition: str, origins: Sequence[ReplacedFile]) -> None:
        spans = sorted(
            (first, last, number)
            for number, origin in enumerate(origins)
            if _partition(origin) == partition
            for first, last in intervals(origin.metadata["sequences"])
        )
        self.roots = {number: number for _, _, number in spans}
        joined: list[tuple[int, int, int]] = []
        for first, last, number in spans:
            if joined and first <= joined[-1][1]:
                begin, end, other = joined.pop()
                self.roots[max(self._root(other), self._root(number))] = min(
                    self._root(other), self._root(number)
                )
                first, last, number = begin, max(end, last), other  # noqa: PLW2901 - the joined span
            joined.append((first, last, number))
        for number in self.roots:
            self.roots[number] = self._root(number)
        self._starts = np.array([first for first, _, _ in joined], np.int64)
        self._ends = np.array([last for _, last, _ in joined], np.int64)
        self._numbers = np.array([self.roots[number] for _, _, number in joined], np.int64)

    def _root(self, number: int) -> int:
        while self.roots[number] != number:
            number = self.roots[number]
        return number

    def of(self, sequences: Array) -> Array:
        """Returns the index of the file for each sequence number; -1 means none."""
        if not len(self._starts):
            return np.full(len(sequences), -1)
        at = np.searchsorted(self._starts, sequences, "right") - 1
        return np.where((at >= 0) & (sequences <= self._ends[at]), self._numbers[at], -1)
