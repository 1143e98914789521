"""Exports the hours of an archive that precede the live output, and finishes their connections."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from shared.backfill.archive import ArchiveHour, envelopes, hour_of
from shared.backfill.documents import BOUNDARY, FORMAT, Boundary, DoneBlobs
from shared.backfill.outcome import BackfillDocument
from shared.connections import manifest
from shared.connections.finishing import UNCLOSED_KEPT
from shared.connections.manifest import MARGIN
from shared.connections.timer import Finisher
from shared.errors import BackfillError, PreconditionFailed
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.output import layout
from shared.output.formats import FORMATS
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.archive import Archive
from shared.protocol.documents import dump, parse
from shared.protocol.hub import HubState, Position
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Ledger
from shared.protocol.nested_storage import NestedStorage
from shared.protocol.publishing import repair_ledger
from shared.protocol.stamp import Clock, NewId, Stamp
from shared.protocol.storage import Storage
from shared.tables.registry import of_categories
from shared.timeunits import DAY, HOUR, microseconds

CLOSED = HOUR
"""How long ago an hour must have ended for its blob to count as complete (µs)."""
BATCH = 20_000
"""Maximum number of messages in one commit."""
SILENT = DAY + HOUR
"""After this much time without records (µs), the clock may advance in a step of any size."""
ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice of hours to export."""

    since: int = 0
    """Only hours that began at this time or later (µs since 1970 UTC)."""
    until: int = 1 << 62
    """Only hours that ended by this time."""


class Backfill:
    """One run. Interrupted, repeated and concurrent runs export each record once."""

    def __init__(
        self,
        storage: Storage,
        archive: Archive,
        policy: ExportPolicy,
        finishing: FinishPolicy,
        memory: int,
        now: Clock,
        new_id: NewId,
    ) -> None:
        """`memory`: maximum bytes of messages that are processed at the same time."""
        self._live = storage
        self._storage = NestedStorage(storage)
        self._archive = archive
        self._policy = policy
        self._finishing = finishing
        self._now = now
        self._new_id = new_id
        self._begun: set[HubPartition] = set()
        self._ended: list[int] = []
        """End times of the hours that earlier runs exported."""
        self._time = 0
        """The archive's clock, µs since 1970 UTC."""
        self._exporter = Exporter(self._storage, policy, memory, now, new_id)
        self._finisher = Finisher(self._storage, self, finishing, now, new_id, asked=lambda: self._time)

    def run(self, choice: Choice, progress: Callable[[int, int], None], *, dry_run: bool) -> BackfillDocument:
        """Exports the chosen hours, oldest first; with `dry_run`, only reports them.

        Raises BackfillError, StorageError or LedgerError. The next run continues from what was committed.
        """
        done = BackfillDocument(dry_run=dry_run, boundary=self._boundary(write=not dry_run))
        chosen = self._chosen(choice, done)
        if dry_run:
            return done
        read, previous = 0, self._last_done(chosen)
        for _, group in groupby(chosen, lambda hour: hour.began):
            for number, hour in enumerate(group):
                if not number and previous is not None:
                    self._finish(previous, done)
                self._export(hour, done)
                read += hour.size
                progress(read, done.bytes)
                previous = hour.ended
        if previous is not None:
            self._finish(previous, done, merge=True)
        if not done.open and choice.until >= done.boundary:
            kept = max(UNCLOSED_KEPT, self._finishing.late, self._finishing.grace)
            self._finish(done.boundary + microseconds(self._finishing.idle + kept), done)
        self._settle(done)
        return done

    def ask(self) -> HubState:
        """See Hub. Reports each partition as empty: at the archive's clock, all its records are exported."""
        names = self._storage.names("ledgers/")
        partitions = [HubPartition.parse(name[len("ledgers/") : -len(".json")]) for name in names]
        drained = Position(last=-1, enqueued=0, empty=True)
        return HubState(created=0, positions=dict.fromkeys(partitions, drained))

    def _boundary(self, *, write: bool) -> int:
        """Returns the hour of the earliest record that was in the output before the first backfill."""
        blob = self._storage.read(BOUNDARY)
        if blob:
            return parse(Boundary, blob.data, BOUNDARY, FORMAT).before
        before = min(self._first_hours(), default=None)
        if before is None:
            raise BackfillError(
                "the output container has no records yet, so the hours that the hub delivers are unknown: "
                "let the exporter catch up with the hub first"
            )
        if write:
            data = dump(Boundary(before=before), BOUNDARY)
            try:
                self._storage.write(BOUNDARY, data, None)
            except PreconditionFailed:
                return self._boundary(write=False)
        return before

    def _first_hours(self) -> Iterator[int]:
        for table in of_categories(self._policy.categories):
            for format_ in FORMATS:
                files = self._live.outputs(f"{format_}/{table.name}/")
                hours = (layout.hour_of(file.name) for file in files if file.visible)
                yield from (
                    hour for hour in [next((hour for hour in hours if hour is not None), None)] if hour
                )

    def _chosen(self, choice: Choice, done: BackfillDocument) -> list[ArchiveHour]:
        """Returns the hours to export, sorted by time and service; counts all blobs."""
        found: dict[tuple[int, str], ArchiveHour] = {}
        for blob in self._archive.blobs():
            hour = hour_of(blob)
            if hour is None:
                done.others += 1
            elif (other := found.setdefault((hour.began, hour.service), hour)) is not hour:
                raise BackfillError(f"two blobs have the same hour and service: {other.name}, {hour.name}")
        chosen = [hour for hour in sorted(found.values()) if self._is_chosen(hour, choice, done)]
        done.blobs, done.bytes = len(chosen), sum(hour.size for hour in chosen)
        if chosen:
            done.first, done.last = chosen[0].began, chosen[-1].ended
        return chosen

    def _is_chosen(self, hour: ArchiveHour, choice: Choice, done: BackfillDocument) -> bool:
        if hour.ended > done.boundary:
            done.overlapping += 1
            if hour.began <= done.boundary:
                done.at_boundary.append(hour.name)
        elif hour.ended + CLOSED > self._now():
            done.open += 1
        elif hour.began < choice.since or hour.ended > choice.until:
            done.not_chosen += 1
        elif (size := self._done(hour.partition)[0].sizes.get(hour.key)) is not None:
            done.before += 1
            self._ended.append(hour.ended)
            if size != hour.size:
                done.grown.append(hour.name)
        else:
            return True
        return False

    def _last_done(self, chosen: Sequence[ArchiveHour]) -> int | None:
        """Returns when the last hour that was exported before the chosen ones ended."""
        return max((ended for ended in self._ended if not chosen or ended <= chosen[0].began), default=None)

    def _begin(self, partition: HubPartition) -> None:
        """Creates the ledger of a partition if there never was one. Its hub counts as created in 1970."""
        name, merged = Ledger.name(partition), manifest.load(self._storage).partitions.get(str(partition))
        if self._storage.read(name) is None and not (merged and merged.ledger_id):
            life = Incarnation(began=0, created=0)
            ledger = Ledger(ledger_id=self._new_id(), partition=str(partition), incarnation=life)
            with suppress(PreconditionFailed):  # another run was faster
                self._storage.write(name, ledger.dump(), None)

    def _export(self, hour: ArchiveHour, done: BackfillDocument) -> None:
        if hour.partition not in self._begun:
            self._begin(hour.partition)
            self._begun.add(hour.partition)
        for batch in self._batches(hour):
            for commit in self._exporter.run(hour.partition, batch):
                done.records += commit.counts.records
                done.rows += commit.counts.rows
                done.skipped += commit.counts.skipped
                done.rejected.update(commit.counts.rejected)
        self._mark(hour)

    def _batches(self, hour: ArchiveHour) -> Iterator[Sequence[Envelope]]:
        """Yields the messages of a blob in batches, each for one commit."""
        batch: list[Envelope] = []
        size = 0
        for envelope in envelopes(hour, self._archive.chunks(hour.name)):
            batch.append(envelope)
            size += len(envelope.body)
            if size >= self._policy.commit_bytes or len(batch) >= BATCH:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _done(self, partition: HubPartition) -> tuple[DoneBlobs, str | None]:
        name = DoneBlobs.name(str(partition))
        blob = self._storage.read(name)
        return (parse(DoneBlobs, blob.data, name, FORMAT), blob.etag) if blob else (DoneBlobs(), None)

    def _mark(self, hour: ArchiveHour) -> None:
        """Records that a blob is completely exported."""
        for _ in range(ATTEMPTS):
            document, etag = self._done(hour.partition)
            sizes = document.sizes | {hour.key: hour.size}
            name = DoneBlobs.name(str(hour.partition))
            data = dump(document.model_copy(update={"sizes": sizes}), name)
            with suppress(PreconditionFailed):  # another run was faster
                self._storage.write(name, data, etag)
                return
        raise BackfillError(f"{hour.name} is exported, but other runs prevent this one from recording it")

    def _finish(self, until: int, done: BackfillDocument, *, merge: bool = False) -> None:
        """Advances the archive's clock to this time, unless it is already later, and finishes connections.

        `merge`: whether to merge exported records even if the clock need not advance. Like the timer's clock,
        it advances hour by hour through hours without records: if it jumped, closing events would seem to
        have stopped.
        """
        clock = manifest.load(self._storage).clock
        if clock >= until and not merge:
            return
        silent = range(clock + HOUR, min(until, clock + SILENT), HOUR) if clock >= 0 else ()
        for self._time in (*(at + MARGIN for at in silent), max(until, clock) + MARGIN):
            complete = False
            while not complete:
                run = self._finisher.run(0)
                done.connections += run.finished.total()
                done.alarms += [alarm for alarm in run.alarms if alarm not in done.alarms]
                complete = run.complete or bool(run.alarms)

    def _settle(self, done: BackfillDocument) -> None:
        """Empties the lists of files of all ledgers, because the files are visible."""
        for name in self._storage.names("ledgers/"):
            try:
                repair_ledger(self._storage, name, Stamp(self._new_id(), self._now()))
            except PreconditionFailed:
                done.alarms.append(f"another run is exporting to {name}")
