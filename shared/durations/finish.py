"""Absorbs what was committed into the master table, and writes finished connections: the timer's shell."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared import commit, deadline, telemetry
from shared.durations import connections, finishing, head, master, segments
from shared.durations.absorbing import Pass
from shared.durations.head import Absorbed, Head, Totals
from shared.durations.mending import Mending
from shared.errors import Refused
from shared.hub import Hub, State
from shared.lag import Lag
from shared.ledger import Ledger, Segment
from shared.plan import Stamp
from shared.rules import Finishing
from shared.storage import Storage
from shared.telemetry import TimerRun

CHUNK = 250_000
"""Observations that one commit of the head absorbs: this bounds memory."""
SEGMENTS = 5_000
"""Segments that it absorbs: one takes 35 KB, however few observations it has."""
MARGIN = 60 * 1_000_000
"""Microseconds by which the clocks of hub and app may differ."""
ATTEMPTS = 10
BUDGET = 50.0
"""Seconds of the minute between two runs of the timer after which a run begins nothing new."""
SECONDS = 240.0
"""How long a run may take, whatever storage does; after its budget it ends what it has begun."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Summary:
    """What a run did, and how things stand."""

    segments: int = 0
    observations: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    """Connections written with Revision 0, by status."""
    durations: list[tuple[str, float]] = field(default_factory=list)
    """Status and seconds of each of these, where a duration is known."""
    revisions: int = 0
    capped: int = 0
    rows: int = 0
    """In the master table."""
    open: int = 0
    """Of those, connections that are not finished, or are to be revised."""
    unknown_names: int = 0
    """Event names seen that are set neither as opening nor as closing."""
    clock: int = -1
    """µs since 1970 UTC: everything that arrived before is absorbed."""
    lag: dict[str, Lag] = field(default_factory=dict)
    """How far the commits of each source are behind the hub; empty: the hub did not answer."""
    stalled: int = 0
    """Sources that have envelopes to commit and do not go on."""
    healed: int = 0
    swept: int = 0
    alarms: list[str] = field(default_factory=list)
    """What an operator should look at."""
    complete: bool = False
    """All that was committed when the run began is absorbed, and all that was finished is written."""

    def alarm(self, text: str) -> None:
        """Notes it, once."""
        if text not in self.alarms:
            log.error("%s", text)
            self.alarms.append(text)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Segments of a source to be absorbed."""

    ledger: Ledger
    segments: tuple[Segment, ...]
    all: bool
    """Nothing of the ledger is left."""


class Finisher:
    """The timer's work. Two may run at once, in one process or several: what decides is the head."""

    def __init__(
        self,
        storage: Storage,
        hub: Hub,
        rules: Finishing,
        now: Callable[[], int],
        new_id: Callable[[], str],
        seconds: float = SECONDS,
    ) -> None:
        """Takes its clock (µs since 1970 UTC) and its random ids (32 hexadecimal digits) from outside.

        `seconds`: how long a run may take, whatever storage does.
        """
        self._seconds = seconds
        self._storage = storage
        self._hub = hub
        self._rules = rules
        self._now = now
        self._new_id = new_id
        self._mending = Mending(storage, now, new_id)

    def run(self, budget_seconds: float) -> Summary:
        """Absorbs, finishes, publishes, heals and sweeps, in steps, until all is done or the time is used up.

        Raises StorageError or LedgerError: the next run goes on from what was committed.
        """
        with deadline.within(self._seconds):
            return self._run(budget_seconds)

    def _run(self, budget_seconds: float) -> Summary:
        summary = Summary()
        until = self._now() + int(budget_seconds * 1_000_000)
        asked = self._now()
        state = self._hub.ask()
        before, _ = self._load(Stamp(self._new_id(), self._now()))
        summary.healed = self._mending.mend(before, state, summary.alarm)
        refusals = 0
        while not summary.complete and refusals < ATTEMPTS:
            try:
                self._step(asked, state, summary)
            except Refused as refusal:
                refusals += 1
                log.warning("refused (%d): %s", refusals, refusal)
                if refusals == ATTEMPTS:
                    summary.alarm(f"finishing connections stands still: {refusal}")
            if self._now() >= until:
                break
        summary.swept += self._mending.sweep(summary.alarm)
        telemetry.timer_ran(
            TimerRun(
                open=summary.open,
                absorbed_age=(self._now() - summary.clock) / 1_000_000 if summary.clock >= 0 else None,
                finished=summary.finished,
                durations=summary.durations,
                revised=summary.revisions,
                capped=summary.capped,
                unknown_names=summary.unknown_names,
                stalled=summary.stalled,
                alarms=len(summary.alarms),
                lag=summary.lag,
                retention=self._rules.retention.total_seconds(),
            )
        )
        return summary

    # -- one commit of the head --------------------------------------------------------------------

    def _step(self, asked: int, state: State | None, summary: Summary) -> None:
        """Absorbs a chunk, writes what is finished, and commits both in the head."""
        stamp = Stamp(self._new_id(), self._now())
        before, etag = self._load(stamp)
        parts = self._storage.names("master/")
        ledgers = list(self._ledgers(before, etag, summary))
        taken = list(self._take(before, ledgers))
        new = self._read(taken, etag, summary)
        after = _absorbed(before, taken, new, asked, state)
        work = Pass(self._storage, self._rules, after, stamp)
        for part, piece in zip(before.parts or (None,), master.spread(new, before.parts), strict=True):
            work.part(part, piece)
        after = work.head()
        files = tuple(work.files())
        after = after.model_copy(update={"files": tuple(file.listed for file in files)})
        if after != before:
            self._storage.stage(files)
            after = after.written(stamp.commit_id, stamp.now)
            etag = self._storage.write(head.NAME, after.dump(), etag)
            commit.publish(self._storage, head.NAME, after, etag, stamp)
            summary.swept += self._mending.sweep_parts(parts, after)
        summary.finished.update(work.finished)
        summary.durations += work.durations
        _report(summary, before, after, taken, state, stamp.now)
        known = finishing.Vocabulary.of(self._rules)
        summary.unknown_names = sum(name.lower() not in known.opening | known.closing for name in after.names)
        summary.complete = not work.left and all(one.all for one in taken)

    def _load(self, stamp: Stamp) -> tuple[Head, str | None]:
        """The head as it stands, with every file that it lists published."""
        blob = self._storage.read(head.NAME)
        if blob is None:
            return Head(), None
        return commit.publish(self._storage, head.NAME, Head.parse(blob.data), blob.etag, stamp)

    def _ledgers(self, before: Head, etag: str | None, summary: Summary) -> Iterator[Ledger]:
        """All ledgers that can be trusted; the source of another one holds the clock back."""
        ledgers = {name: ledger for name, ledger, _ in self._mending.ledgers(summary.alarm)}
        for name, ledger in ledgers.items():
            if before.rolled_back(ledger):
                summary.alarm(
                    f"{name}: is older than what was seen, or another one: restore it, or adopt it as it is"
                )
            elif before.behind(ledger):
                current = self._storage.read(head.NAME)
                if (current.etag if current else None) != etag:
                    raise Refused(f"{name}: another instance has absorbed its segments")
                summary.alarm(
                    f"{head.NAME}: is gone or older than {name}, which dropped what was absorbed: "
                    "restore it, or adopt the ledger"
                )
            else:
                yield ledger
        for source, absorbed in before.sources.items():
            if absorbed.ledger_id and f"ledgers/{source}.json" not in ledgers:
                summary.alarm(
                    f"ledgers/{source}.json: was there, and cannot be read: restore it, or adopt its loss"
                )

    def _take(self, before: Head, ledgers: Sequence[Ledger]) -> Iterator[_Taken]:
        """What one commit absorbs: the oldest segments of each source, first of that furthest behind."""
        room, number = CHUNK, SEGMENTS
        for ledger in sorted(ledgers, key=lambda one: before.sources.get(one.source, Absorbed()).progress):
            chosen = segments.waiting(self._storage, ledger, before.watermark(ledger), room, number)
            if chosen is None:
                raise Refused(f"{ledger.source}: another instance has absorbed its segments")
            room -= sum(one.observations for one in chosen)
            number -= len(chosen)
            reached = chosen[-1].ordinal if chosen else before.watermark(ledger)
            newest = ledger.segments[-1].ordinal if ledger.segments else 0
            yield _Taken(ledger, tuple(chosen), all=reached >= newest)

    def _read(self, taken: Sequence[_Taken], etag: str | None, summary: Summary) -> pa.Table:
        """The observations of these segments, one for each connection, as rows of the master table."""
        names = [segment.name for one in taken for segment in one.segments]
        blobs = self._storage.read_all(names)
        missing = [name for name, blob in zip(names, blobs, strict=True) if blob is None]
        if missing:
            current = self._storage.read(head.NAME)
            if (current.etag if current else None) != etag:
                raise Refused("another instance has absorbed the segments")
            for name in missing:
                summary.alarm(f"{name}: was deleted before it was absorbed: its connections miss records")
        return master.keyed([connections.load(blob.data) for blob in blobs if blob])


def _absorbed(before: Head, taken: Sequence[_Taken], new: pa.Table, asked: int, state: State | None) -> Head:
    """The head with these segments absorbed, as far as that alone says it."""
    sources = dict(before.sources)
    positions = {str(source): position for source, position in state.positions.items()} if state else {}
    for name, at in positions.items():
        if at.empty and not sources.get(name, Absorbed()).ledger_id:
            sources[name] = Absorbed(progress=asked - MARGIN)
    for one in taken:
        ledger, known = one.ledger, sources.get(one.ledger.source, Absorbed())
        reached = [segment.ordinal for segment in one.segments] + [ledger.ordinal] * one.all
        ordinal = max(before.watermark(ledger), *reached, 0)
        progress = max([known.progress, *(segment.newest for segment in one.segments)])
        if one.all:
            progress = max(progress, ledger.incarnation.newest)
            position = positions.get(ledger.source)
            if position and position.drained(ledger.incarnation):
                progress = max(progress, asked - MARGIN)
        sources[ledger.source] = known.model_copy(
            update={
                "ledger_id": ledger.ledger_id,
                "ordinal": ordinal,
                "seen": ledger.ordinal,
                "progress": progress,
            }
        )
    observations = sum(segment.observations for one in taken for segment in one.segments)
    arriving = tuple(sorted(name for name in sources if "~" not in name))  # a replay has no end to wait for
    return before.model_copy(
        update={
            "sources": sources,
            "hub": tuple(sorted(positions)) or before.hub or arriving,
            "names": before.counting(finishing.newest(new)),
            "totals": before.totals.plus(Totals(observations=observations)),
        }
    )


def _report(
    summary: Summary, before: Head, after: Head, taken: Sequence[_Taken], state: State | None, now: int
) -> None:
    """Adds a commit to the summary, and says what stalls."""
    done, was = after.totals, before.totals
    summary.segments += sum(len(one.segments) for one in taken)
    summary.observations += done.observations - was.observations
    summary.revisions += done.revisions - was.revisions
    summary.capped += done.capped - was.capped
    summary.rows = sum(part.rows for part in after.parts)
    summary.open = sum(part.open for part in after.parts)
    summary.clock = after.clock
    if done.capped > was.capped:
        summary.alarm("too many connections: some were let go early; are CorrelationIds made up by somebody?")
    ledgers = {one.ledger.source: one.ledger for one in taken}
    summary.stalled = 0
    for source, position in (state.positions if state else {}).items():
        lag = summary.lag[str(source)] = position.lag(ledgers.get(str(source)), now)
        if lag.stalled:
            # No alarm: one event that waits after quiet hours looks the same. Its age and count have gauges.
            summary.stalled += 1
            log.warning(
                "%s: has at least %d envelopes to commit, and holds finishing back", source, lag.envelopes
            )
