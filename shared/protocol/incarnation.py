"""An incarnation: the progress of one partition in one lifetime of its hub. Pure data."""

from collections.abc import Iterable
from typing import NamedTuple

from shared.input.envelope import Envelope
from shared.intervals import Interval, removed, within
from shared.protocol.documents import Data
from shared.protocol.packed_intervals import Intervals

TOLERANCE = 10_000_000
"""Microseconds by which the clocks of a hub's nodes may differ. Re-creating a hub takes longer."""
PAUSE = 1_000_000
"""A pause of this many microseconds may hide that the hub was deleted and created again."""
MAX_RUNS = 512
"""Maximum committed runs that an incarnation keeps until the timer has confirmed their hub."""
NEVER = 1 << 62


class CommittedRun(NamedTuple):
    """Consecutive sequence numbers that were committed, without a pause or a jump back in time."""

    first: int
    last: int
    earliest: int
    """When the first event was enqueued or committed, whichever is earlier: a hub's clock may be ahead.

    Microseconds since 1970 UTC.
    """
    latest: int
    """The same for the last event."""
    before: int
    """The incarnation's `newest` before this run."""


class Incarnation(Data):
    """The progress in one lifetime of a hub. Its sequence numbers start over when it is created again."""

    number: int = 0
    began: int | None = None
    """The enqueued time of its first envelope, or the hub's creation time; microseconds since 1970 UTC."""
    created: int | None = None
    """When the hub was created, as it reported to the timer; None if not known yet."""
    next: int | None = None
    """The sequence number after the highest committed one."""
    newest: int = -1
    """The highest enqueued time committed, regardless of the envelope's content."""
    gaps: Intervals = ()
    """Sequence numbers below `next` that never arrived."""
    recent: tuple[CommittedRun, ...] = ()
    """Runs that may belong to a newer hub, because the timer has not read `created` since their commit."""
    earlier: tuple[Interval, ...] = ()
    """Sequence numbers that were committed under the previous number, because `created` was not known yet."""

    @property
    def since(self) -> int | None:
        """Events enqueued before this time belong to an older hub; None if the time is unknown."""
        if self.created is not None:
            return self.created
        return None if self.began is None else self.began - TOLERANCE

    def has(self, envelope: Envelope) -> bool:
        """Whether the envelope was committed, if it belongs to this incarnation."""
        return (
            self.next is not None
            and envelope.sequence < self.next
            and not within(self.gaps, envelope.sequence)
        )

    def take(self, envelopes: Iterable[Envelope], now: int = NEVER) -> "Incarnation":
        """Returns the progress after these envelopes, which must be new; `now`: when they are committed."""
        progress = Progress(self, now)
        for envelope in envelopes:
            progress.take(envelope)
        return progress.incarnation()

    def confirmed(self, created: int, until: int) -> "Incarnation":
        """Removes the runs that are known to belong to this hub, because it still existed at `until`."""
        if self.created != created or not self.recent:
            return self
        left = tuple(run for run in self.recent if run.latest >= until)
        return self if len(left) == len(self.recent) else self.model_copy(update={"recent": left})


class Progress:
    """The progress of an incarnation while envelopes are being added to it."""

    def __init__(self, start: Incarnation, now: int = NEVER) -> None:
        """`now`: when the envelopes are committed, microseconds since 1970 UTC."""
        self._start = start
        self._now = now
        self.next, self.newest, self.began = start.next, start.newest, start.began
        self.gaps = list(start.gaps)
        self._recent = list(start.recent)
        self._run: list[int] | None = None

    @property
    def since(self) -> int | None:
        """See Incarnation."""
        if self._start.created is not None or self.began is None:
            return self._start.created
        return self.began - TOLERANCE

    def take(self, envelope: Envelope) -> None:
        """Adds an envelope that is not committed yet."""
        sequence, enqueued, next_ = envelope.sequence, envelope.enqueued, self.next
        if next_ is None or sequence >= next_:
            if sequence > (next_ or 0):
                self.gaps.append((next_ or 0, sequence - 1))
            self.next = sequence + 1
        else:
            removed(self.gaps, sequence)
        time, run = min(enqueued, self._now), self._run
        if run is None and self._recent:
            run = self._run = list(self._recent.pop())
        if run and run[1] + 1 == sequence and run[2] - PAUSE <= time <= run[3] + PAUSE:
            run[1] = sequence
            run[2] = min(run[2], time)
            run[3] = max(run[3], time)
        else:
            if run:
                self._recent.append(CommittedRun(*run))
            self._run = [sequence, sequence, time, time, self.newest]
        self.newest = max(self.newest, enqueued)
        if self.began is None:
            self.began = enqueued

    def incarnation(self) -> Incarnation:
        """Returns the progress so far."""
        recent = [*self._recent, CommittedRun(*self._run)] if self._run else self._recent
        while len(recent) > MAX_RUNS:
            _join_shortest_pause(recent)
        return self._start.model_copy(
            update={
                "next": self.next,
                "newest": self.newest,
                "gaps": tuple(self.gaps),
                "began": self.began,
                "recent": tuple(recent),
            }
        )


def _join_shortest_pause(runs: list[CommittedRun]) -> None:
    """Joins the two runs with the shortest pause, because re-creating a hub takes longer than most pauses."""

    def pause(at: int) -> int:
        # The second run is the earlier one if an owner of the deleted hub committed last.
        one, two = runs[at], runs[at + 1]
        return max(two.earliest - one.latest, one.earliest - two.latest)

    at = min(range(len(runs) - 1), key=pause)
    one, two = runs[at], runs[at + 1]
    runs[at : at + 2] = [
        CommittedRun(
            min(one.first, two.first),
            max(one.last, two.last),
            min(one.earliest, two.earliest),
            max(one.latest, two.latest),
            one.before,
        )
    ]
