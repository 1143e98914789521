"""Turns whole envelopes that must not or cannot be read into dead letters. Pure."""

from shared.errors import PlanningFailed
from shared.input.rejections import Reason, Rejected, Rejection
from shared.input.validation import Validated
from shared.protocol.ledger import Broken
from shared.protocol.selection import Selection, Verdict
from shared.timeunits import HOUR

MAX_BROKEN = 100
"""Maximum number of messages of a partition that are set aside in an hour because they break planning."""


def stale(selection: Selection) -> Validated:
    """Turns envelopes of a deleted hub into dead letters; they are never exported."""
    current = selection.ledger.incarnation.number
    return _dead(
        selection,
        Reason.OLDER_INCARNATION,
        f"belongs to incarnation {selection.incarnation}, but the partition is at incarnation {current}: "
        "the hub was re-created before this was committed; replay it if it belongs in the output",
    )


def broken(selection: Selection, problem: str) -> Validated:
    """Turns envelopes that break this program into dead letters, so that the others can be exported."""
    if selection.verdict is Verdict.LOST:
        raise PlanningFailed(f"its lost part cannot be written again: {problem}")
    return _dead(
        selection,
        Reason.INTERNAL_ERROR,
        f"planning it failed: {problem}; this is a bug in the program: report it, and replay the"
        " message with a version that fixes it",
    )


def counted(before: Broken, letters: int, problem: str, now: int) -> Broken:
    """Returns the count for this hour with these dead letters added; `now` is in µs since 1970 UTC.

    Raises PlanningFailed if it is too high: then the messages are unlikely to be the cause, and a bad release
    must not turn the whole stream into dead letters.
    """
    hour = now // HOUR
    count = letters + (before.letters if before.hour == hour else 0)
    if count > MAX_BROKEN:
        raise PlanningFailed(f"{MAX_BROKEN} messages broke in this hour, so no more are set aside: {problem}")
    return Broken(hour=hour, letters=count)


def _dead(selection: Selection, reason: Reason, message: str) -> Validated:
    rejection = Rejection(reason, message)
    rejected = tuple(Rejected(envelope, (rejection,), (), {reason: 1}) for envelope in selection.envelopes)
    number = len(rejected)
    return Validated(number, {}, rejected, number, 0)
