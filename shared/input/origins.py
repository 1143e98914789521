"""Tracks which envelope each record in a batch came from, and collects the envelopes' problems."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from shared.arrays import run_starts
from shared.input.envelope import Envelope
from shared.input.rejections import Reason, Rejected, RejectionDetail, Rejections


class Origins:
    """The envelopes of a batch; its records are numbered from 0, in order of envelopes."""

    def __init__(self) -> None:
        self._envelopes: list[Envelope] = []
        self._counts: list[int] = []
        self._rejections: dict[int, Rejections] = {}
        self.records = 0

    def add(self, envelopes: Sequence[Envelope], counts: Sequence[int], problems: Mapping[int, str]) -> None:
        """Numbers the records of the next envelopes, and rejects envelopes that have problems as a whole.

        Args:
            envelopes: the next envelopes.
            counts: the number of records in each envelope.
            problems: why some envelopes are unreadable, by position in `envelopes`.
        """
        for at, message in problems.items():
            self._rejections[len(self._envelopes) + at] = rejections = Rejections(envelopes[at])
            rejections.refuse(message)
        self._envelopes += envelopes
        self._counts += counts
        self.records += sum(counts)

    def reject(
        self, reason: Reason, numbers: Sequence[int] | np.ndarray, describe: Callable[[int], RejectionDetail]
    ) -> None:
        """Rejects records by number, ascending; `describe` makes the message for a position in `numbers`."""
        if not len(numbers):
            return
        of, indexes = self.positions(np.asarray(numbers))
        for start, end in pairwise([*run_starts(of).tolist(), len(of)]):

            def describe_one(position: int, start: int = start) -> RejectionDetail:
                return describe(start + position)

            self._of(int(of[start])).add(reason, indexes[start:end].tolist(), describe_one)

    def envelope(self, number: int) -> tuple[Envelope, int]:
        """Returns the envelope of a record, and the record's position in it."""
        of, index = self.positions(np.array([number]))
        return self._envelopes[int(of[0])], int(index[0])

    def positions(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns for each record its envelope's position in the batch, and its position in the envelope."""
        counts = np.array(self._counts, np.int32)
        ends = np.cumsum(counts, dtype=np.int32)
        of = np.searchsorted(ends, numbers, "right")
        return of, numbers - (ends - counts)[of]

    def lineage(self, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the sequence numbers and enqueued times of envelopes by position."""
        sequences = np.array([envelope.sequence for envelope in self._envelopes], np.int64)
        enqueued = np.array([envelope.enqueued for envelope in self._envelopes], np.int64)
        return sequences[of], enqueued[of]

    def rejected(self) -> Iterator[Rejected]:
        """Yields the rejections of the envelopes, in their order."""
        for _, rejections in sorted(self._rejections.items()):
            rejected = rejections.rejected()
            if rejected:
                yield rejected

    def _of(self, position: int) -> Rejections:
        if position not in self._rejections:
            self._rejections[position] = Rejections(self._envelopes[position])
        return self._rejections[position]
