"""Knows which envelope each record of a batch came from, and gathers what is wrong with the envelopes."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np

from shared.envelope import Envelope, Reason, Rejected
from shared.records.findings import Findings, Told


class Origins:
    """The envelopes of a batch; its records are numbered from 0 on, in order of envelopes."""

    def __init__(self) -> None:
        self._envelopes: list[Envelope] = []
        self._starts: list[int] = []
        self._findings: dict[int, Findings] = {}
        self.records = 0

    def add(self, envelope: Envelope, records: int) -> None:
        """Numbers the records of the next envelope."""
        self._envelopes.append(envelope)
        self._starts.append(self.records)
        self.records += records

    def refuse(self, envelope: Envelope, message: str) -> None:
        """Rejects the next envelope as a whole."""
        self.add(envelope, 0)
        self._of(len(self._envelopes) - 1).refuse(message)

    def reject(
        self, reason: Reason, numbers: Sequence[int] | np.ndarray, tell: Callable[[int], Told]
    ) -> None:
        """Rejects records by number, ascending; `tell` makes the message for a position in `numbers`."""
        if not len(numbers):
            return
        of, indexes = self.places(np.asarray(numbers))
        cuts = np.flatnonzero(np.diff(of)) + 1
        for start, end in pairwise([0, *cuts.tolist(), len(of)]):

            def told(position: int, start: int = start) -> Told:
                return tell(start + position)

            self._of(int(of[start])).add(reason, indexes[start:end].tolist(), told)

    def places(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each record its envelope's position in the batch, and its own in the envelope."""
        starts = np.array(self._starts, np.int32)
        of = np.searchsorted(starts, numbers, "right") - 1
        return of, numbers - starts[of]

    def lineage(self, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sequence numbers and enqueued times of envelopes by position."""
        sequences = np.array([envelope.sequence for envelope in self._envelopes], np.int64)
        enqueued = np.array([envelope.enqueued for envelope in self._envelopes], np.int64)
        return sequences[of], enqueued[of]

    def rejected(self) -> Iterator[Rejected]:
        """What of the envelopes was rejected, in their order."""
        for _, findings in sorted(self._findings.items()):
            rejected = findings.rejected()
            if rejected:
                yield rejected

    def _of(self, position: int) -> Findings:
        if position not in self._findings:
            self._findings[position] = Findings(self._envelopes[position])
        return self._findings[position]
