"""Absorbs what was committed into the table of connections, and writes those that are finished: the timer's shell."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared import (
    __version__,
    commit,
    connections,
    finishing,
    formats,
    head,
    layout,
    master,
    schema,
    segments,
)
from shared.absorbing import Pass
from shared.errors import LedgerError, Refused
from shared.head import HOUR, Absorbed, Head, Totals
from shared.hub import Hub, State
from shared.ledger import Incarnation, Ledger, Listed, Segment
from shared.plan import File, Stamp
from shared.settings import Finishing
from shared.storage import Storage

CHUNK = 250_000
"""Observations that one commit of the head absorbs: this bounds memory."""
MARGIN = 60 * 1_000_000
"""Microseconds by which the clocks of hub and app may differ."""
PENDING = 2 * 60 * 1_000_000
"""A list of files younger than this is still being published by its exporter."""
KEPT = 10 * 60 * 1_000_000
"""Microseconds for which parts of the master table live on, for those that are reading them."""
STALLED = 30 * 60 * 1_000_000
"""Microseconds that a source with envelopes to commit may lie behind."""
SWEPT = 5_000
"""State blobs that one run deletes at most."""
ATTEMPTS = 10

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Summary:
    """What a run did, and how things stand."""

    segments: int = 0
    observations: int = 0
    connections: int = 0
    """Written with Revision 0."""
    revisions: int = 0
    capped: int = 0
    rows: int = 0
    """In the master table."""
    clock: int = -1
    """µs since 1970 UTC: everything that arrived before is absorbed."""
    lag: dict[str, int] = field(default_factory=dict)
    """Of each source, how many envelopes the hub has that were not committed."""
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
        self, storage: Storage, hub: Hub, rules: Finishing, now: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        """Takes its clock (µs since 1970 UTC) and its random ids (32 hexadecimal digits) from outside."""
        self._storage = storage
        self._hub = hub
        self._rules = rules
        self._now = now
        self._new_id = new_id

    def run(self, budget_seconds: float) -> Summary:
        """Absorbs, finishes, publishes, heals and sweeps, in steps, until all is done or the time is used up.

        Raises StorageError or LedgerError: the next run goes on from what was committed.
        """
        summary = Summary()
        until = self._now() + int(budget_seconds * 1_000_000)
        asked = self._now()
        state = self._hub.ask()
        garbage = self._storage.names("segments/")
        self._mend(state, summary)
        refusals = 0
        while not summary.complete and refusals < ATTEMPTS:
            try:
                self._step(asked, state, summary)
            except Refused as refusal:
                refusals += 1
                log.warning("refused (%d): %s", refusals, refusal)
            if self._now() >= until:
                break
        self._sweep_segments(garbage, summary)
        return summary

    # -- one commit of the head --------------------------------------------------------------------

    def _step(self, asked: int, state: State | None, summary: Summary) -> None:
        """Absorbs a chunk, writes what is finished, and commits both in the head."""
        stamp = Stamp(self._new_id(), self._now())
        before, etag = self._load(stamp)
        garbage = self._storage.names("master/")
        ledgers = list(self._ledgers(before, summary))
        taken = list(self._take(before, ledgers))
        new = self._read(taken, etag, summary)
        after = _absorbed(before, taken, new, asked, state)
        work = Pass(self._storage, self._rules, after, stamp)
        for part, piece in zip(before.parts or (None,), master.spread(new, before.parts), strict=True):
            work.part(part, piece)
        after = work.head()
        files = tuple(_files(work.written, after, self._rules, stamp))
        after = after.model_copy(update={"files": tuple(file.listed for file in files)})
        if after != before:
            self._storage.stage(files)
            after = after.written(stamp.commit_id, stamp.now)
            etag = self._storage.write(head.NAME, after.dump(), etag)
            commit.publish(self._storage, head.NAME, after, etag, stamp)
            self._sweep_parts(garbage, after, summary)
        _report(summary, before, after, taken, state, stamp.now)
        summary.complete = not work.left and all(one.all for one in taken)

    def _load(self, stamp: Stamp) -> tuple[Head, str | None]:
        """The head as it stands, with every file that it lists published."""
        blob = self._storage.read(head.NAME)
        if blob is None:
            return Head(), None
        return commit.publish(self._storage, head.NAME, Head.parse(blob.data), blob.etag, stamp)

    def _ledgers(self, before: Head, summary: Summary) -> Iterator[Ledger]:
        """All ledgers that can be trusted; the source of another one holds the clock back."""
        names = self._storage.names("ledgers/")
        for name, blob in zip(names, self._storage.read_all(names), strict=True):
            if blob is None:
                continue
            try:
                ledger = Ledger.parse(blob.data, name)
            except LedgerError as error:
                summary.alarm(str(error))
                continue
            if before.rolled_back(ledger):
                summary.alarm(
                    f"{name}: is not the ledger that was seen, or older: nothing of it is absorbed until it is adopted"
                )
            else:
                yield ledger
        for source in before.sources:
            if f"ledgers/{source}.json" not in names:
                summary.alarm(
                    f"ledgers/{source}.json: was there and is gone: restore it, or adopt that it is gone"
                )

    def _take(self, before: Head, ledgers: Sequence[Ledger]) -> Iterator[_Taken]:
        """What one commit absorbs: the oldest segments of each source, first of that furthest behind."""
        room = CHUNK
        for ledger in sorted(ledgers, key=lambda one: before.sources.get(one.source, Absorbed()).progress):
            chosen = segments.waiting(self._storage, ledger, before.watermark(ledger), room)
            if chosen is None:
                raise Refused(f"{ledger.source}: another instance has absorbed its segments")
            room -= sum(one.observations for one in chosen)
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

    # -- the rest -----------------------------------------------------------------------------------

    def _mend(self, state: State | None, summary: Summary) -> None:
        """Publishes what exporters left unpublished, and opens new incarnations."""
        names = self._storage.names("ledgers/")
        for name, blob in zip(names, self._storage.read_all(names), strict=True):
            stamp = Stamp(self._new_id(), self._now())
            try:
                ledger = Ledger.parse(blob.data, name) if blob else None
                if not blob or not ledger:
                    continue
                age = stamp.now - ledger.committed_at
                if ledger.files and age > HOUR:
                    summary.alarm(f"{name}: its files were not published for {age // 60_000_000} minutes")
                if ledger.files and age > PENDING:
                    summary.healed += commit.heal(self._storage, name, stamp)
                elif state and _source(ledger, state) and state.recreated(ledger.incarnation):
                    ledger = ledger.reborn(state.created).written(stamp.commit_id, stamp.now)
                    self._storage.write(name, ledger.dump(), blob.etag)
            except Refused:
                continue
            except LedgerError as error:
                summary.alarm(str(error))

    def _sweep_segments(self, names: Sequence[str], summary: Summary) -> None:
        """Deletes segments that were absorbed and dropped from the list, or belong to attempts that failed.

        A ledger write with an ordinal that the ledger has passed cannot succeed any more.
        """
        found = self._storage.names("ledgers/")
        ledgers = {}
        for name, blob in zip(found, self._storage.read_all(found), strict=True):
            try:
                if blob:
                    ledger = Ledger.parse(blob.data, name)
                    ledgers[f"{ledger.source}/{ledger.ledger_id}"] = ledger
            except LedgerError as error:
                summary.alarm(str(error))
        listed = {one.name for ledger in ledgers.values() for one in (*ledger.segments, *ledger.indexes)}
        gone = []
        for name in names:
            folder, _, file = name.removeprefix("segments/").rpartition("/")
            owner, ordinal = ledgers.get(folder), int(file.partition("-")[0])
            if not owner or name in listed or ordinal > owner.ordinal:
                continue
            in_index = owner.indexes and owner.trimmed < ordinal <= owner.indexes[-1].last
            if not in_index:
                gone.append(name)
        self._storage.delete(gone[:SWEPT])
        summary.swept += len(gone[:SWEPT])

    def _sweep_parts(self, names: Sequence[str], current: Head, summary: Summary) -> None:
        """Deletes parts that were there before this head was written, and are not of it: nobody can name them again."""
        kept = {part.name for part in current.parts}
        gone = [name for name in names if name not in kept and _stamped(name) < current.committed_at - KEPT][
            :SWEPT
        ]
        self._storage.delete(gone)
        summary.swept += len(gone)


def _absorbed(before: Head, taken: Sequence[_Taken], new: pa.Table, asked: int, state: State | None) -> Head:
    """The head with these segments absorbed, as far as that alone says it."""
    sources = dict(before.sources)
    positions = {str(source): position for source, position in state.positions.items()} if state else {}
    for name, position in positions.items():
        if name not in sources and position.empty:
            sources[name] = Absorbed()
        if name in sources and not sources[name].ledger_id and position.empty:
            sources[name] = Absorbed(progress=asked - MARGIN)
    for one in taken:
        ledger, known = one.ledger, sources.get(one.ledger.source, Absorbed())
        ordinal = ledger.ordinal if one.all else before.watermark(ledger)
        ordinal = max([ordinal, *(segment.ordinal for segment in one.segments)])
        progress = max([known.progress, *(segment.newest for segment in one.segments)])
        if one.all:
            progress = max(progress, ledger.incarnation.newest)
            position = positions.get(ledger.source)
            if position and position.drained(ledger.incarnation):
                progress = max(progress, asked - MARGIN)
        sources[ledger.source] = Absorbed(
            ledger_id=ledger.ledger_id, ordinal=ordinal, seen=ledger.ordinal, progress=progress
        )
    observations = sum(segment.observations for one in taken for segment in one.segments)
    return before.model_copy(
        update={
            "sources": sources,
            "hub": tuple(sorted(positions)) or before.hub or tuple(sorted(sources)),
            "names": before.counting(finishing.newest(new)),
            "totals": before.totals.plus(Totals(observations=observations)),
        }
    )


def _files(written: Sequence[pa.Table], after: Head, rules: Finishing, stamp: Stamp) -> Iterator[File]:
    """The files of finished connections, in the folders of their Revision 0."""
    table = pa.concat_tables([finishing.WRITTEN.empty_table(), *written])
    for partition in layout.split(table, "folder"):
        rows = partition.table.drop_columns(["folder"]).cast(schema.CONNECTIONS.arrow)
        for format_ in rules.formats:
            encoded = (
                formats.parquet(rows, {"program_version": __version__})
                if format_ == "parquet"
                else formats.json_lines(rows)
            )
            part = "" if partition.part is None else f"-{partition.part:05d}"
            yield File(
                Listed(
                    name=layout.folder(format_, schema.CONNECTIONS.name, partition.date, partition.hour)
                    + f"connections-{after.ordinal + 1:012d}-{stamp.commit_id}{part}.{encoded.extension}",
                    block_ids=(f"{stamp.commit_id}-00000",),
                    content_type=encoded.content_type,
                    content_encoding=encoded.content_encoding,
                    metadata={
                        "ordinal": str(after.ordinal + 1),
                        "commit_id": stamp.commit_id,
                        "rows": str(rows.num_rows),
                        "schema_version": str(schema.VERSION),
                        "program_version": __version__,
                    },
                    staged_at=stamp.now,
                ),
                encoded.data,
            )


def _report(
    summary: Summary, before: Head, after: Head, taken: Sequence[_Taken], state: State | None, now: int
) -> None:
    """Adds a commit to the summary, and says what stalls."""
    done, was = after.totals, before.totals
    summary.segments += sum(len(one.segments) for one in taken)
    summary.observations += done.observations - was.observations
    summary.connections += done.connections - was.connections
    summary.revisions += done.revisions - was.revisions
    summary.capped += done.capped - was.capped
    summary.rows = sum(part.rows for part in after.parts)
    summary.clock = after.clock
    if done.capped > was.capped:
        summary.alarm("too many connections: some were let go early; are CorrelationIds made up by somebody?")
    ledgers = {one.ledger.source: one.ledger for one in taken}
    for source, position in (state.positions if state else {}).items():
        ledger = ledgers.get(str(source))
        behind = position.behind(ledger.incarnation if ledger else Incarnation())
        summary.lag[str(source)] = behind
        progress = after.sources.get(str(source), Absorbed()).progress
        if behind and now - progress > STALLED:
            summary.alarm(f"{source}: stalled: it has at least {behind} envelopes, and holds finishing back")


def _stamped(name: str) -> int:
    """When a part was stored, µs since 1970 UTC."""
    return int(name.removeprefix("master/").partition("-")[0])


def _source(ledger: Ledger, state: State) -> bool:
    """Whether the ledger is of a source of this hub."""
    return any(str(source) == ledger.source for source in state.positions)
