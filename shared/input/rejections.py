"""Declares rejections, and collects those of one envelope in bounded memory. Pure."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from shared.input.envelope import Envelope
from shared.intervals import runs

MESSAGES = 100
"""Maximum number of rejections of an envelope that are described individually."""

type RejectionDetail = tuple[str, str] | tuple[str, str, str]
"""A message, a JSON pointer, and the text of a record that is not JSON."""


class Unreadable(Exception):
    """A body from which no records can be read; the exception's text is the rejection's message."""


class Reason(StrEnum):
    """Why a record or a whole envelope did not pass."""

    UNREADABLE_ENVELOPE = "unreadable_envelope"
    MALFORMED_RECORD = "malformed_record"
    RECORD_NOT_AN_OBJECT = "record_not_an_object"
    MISSING_REQUIRED_FIELD = "missing_required_field"
    WRONG_TYPE = "wrong_type"
    UNPARSEABLE_TIME = "unparseable_time"
    IMPLAUSIBLE_TIME = "implausible_time"
    OLDER_INCARNATION = "older_incarnation"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one record, or a whole envelope, did not pass."""

    reason: Reason
    message: str
    """What was expected and what was found, with a short, escaped part of the value."""
    index: int | None = None
    """The record's position in its envelope; None: the whole envelope."""
    pointer: str = ""
    """JSON pointer (RFC 6901) to the offending value inside the record."""
    text: str = ""
    """At most 8 KB of the record's text, if it is not JSON."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The rejections of one envelope."""

    envelope: Envelope
    rejections: tuple[Rejection, ...]
    """The first 100, by index."""
    indexes: tuple[tuple[int, int], ...]
    """All rejected record indexes as closed intervals; empty: the whole envelope."""
    counts: Mapping[Reason, int]
    """The number of all rejections, by reason."""


class Rejections:
    """The rejections of one envelope; memory is bounded, no matter how many records are rejected."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self._whole: Rejection | None = None
        self._first: list[Rejection] = []
        self._indexes: array[int] = array("i")
        self._counts: dict[Reason, int] = {}

    def refuse(self, message: str) -> None:
        """Rejects the envelope as a whole."""
        self._whole = Rejection(Reason.UNREADABLE_ENVELOPE, message)

    def add(self, reason: Reason, indexes: Sequence[int], describe: Callable[[int], RejectionDetail]) -> None:
        """Rejects records by index, ascending.

        Args:
            reason: why they are rejected.
            indexes: positions of records in the envelope.
            describe: returns the message for a position in `indexes`; called only for the first few.
        """
        if not len(indexes):
            return
        self._counts[reason] = self._counts.get(reason, 0) + len(indexes)
        self._indexes.extend(indexes)
        for position, index in enumerate(indexes[:MESSAGES]):
            message, pointer, *text = describe(position)
            self._first.append(Rejection(reason, message, index, pointer, *text))
        if len(self._first) > 10 * MESSAGES:
            self._keep_first()

    def rejected(self) -> Rejected | None:
        """Returns all rejections, or None if there are none."""
        if self._whole:
            return Rejected(self.envelope, (self._whole,), (), {self._whole.reason: 1})
        if not self._indexes:
            return None
        self._keep_first()
        indexes = memoryview(np.sort(np.frombuffer(self._indexes, np.int32)))
        return Rejected(self.envelope, tuple(self._first), tuple(runs(indexes)), self._counts)

    def _keep_first(self) -> None:
        self._first = sorted(self._first, key=lambda rejection: rejection.index or 0)[:MESSAGES]
