"""Knows which envelope each record of a batch came from, and gathers what is wrong with the envelopes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from shared.arrays import run_starts
from shared.envelope import Envelope, Reason, Rejected
from shared.records.findings import Findings, Told


class Origins:
    """The envelopes of a batch; its records are numbered from 0 on, in order of envelopes."""

    def __init__(self) -> None:
        self._envelopes: list[Envelope] = []
        self._counts: list[int] = []
        self._findings: dict[int, Findings] = {}
        self.records = 0

    def add(self, envelopes: Sequence[Envelope], counts: Sequence[int], problems: Mapping[int, str]) -> None:
        """Numbers the records of the next envelopes, and rejects those as a whole that have problems.

        Args:
            envelopes: The next ones.
            counts: How many records each has.
            problems: Why some are unreadable, by position in `envelopes`.
        """
        for at, message in problems.items():
            self._findings[len(self._envelopes) + at] = findings = Findings(envelopes[at])
            findings.refuse(message)
        self._envelopes += envelopes
        self._counts += counts
        self.records += sum(counts)

    def reject(
        self, reason: Reason, numbers: Sequence[int] | np.ndarray, tell: Callable[[int], Told]
    ) -> None:
        """Rejects records by number, ascending; `tell` makes the message for a position in `numbers`."""
        if not len(numbers):
            return
        of, indexes = self.places(np.asarray(numbers))
        for start, end in pairwise([*run_starts(of).tolist(), len(of)]):

            def told(position: int, start: int = start) -> Told:
                return tell(start + position)

            self._of(int(of[start])).add(reason, indexes[start:end].tolist(), told)

    def places(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each record its envelope's position in the batch, and its own in the envelope."""
        counts = np.array(self._counts, np.int32)
        ends = np.cumsum(counts, dtype=np.int32)
        of = np.searchsorted(ends, numbers, "right")
        return of, numbers - (ends - counts)[of]

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
