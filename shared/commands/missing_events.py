"""Exports events that the hub still has but the output lacks: gaps, and lost or missing files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.audit.listing import Progress
from shared.commands.documents import RedeliverPartition
from shared.commands.missing_files import Exported, exported
from shared.errors import HubError, LedgerError, PreconditionFailed
from shared.export.exporter import Exporter
from shared.input.hub_partition import HubPartition
from shared.intervals import Interval, common, difference, merged, total
from shared.protocol.hub import Fetched, HubReader, Position
from shared.protocol.ledger import Ledger, Lost
from shared.protocol.output_changes import with_exported, with_gone
from shared.protocol.selection import Verdict, verdict_on
from shared.protocol.storage import Storage
from shared.protocol.stored_documents import read_ledger

ATTEMPTS = 20
"""Maximum attempts to change a ledger that the app keeps writing."""


def redeliver(
    storage: Storage,
    hub: HubReader,
    exporter: Exporter,
    wanted: Callable[[str], bool],
    *,
    dry_run: bool,
    missing_files: bool = False,
    progress: Progress,
) -> list[RedeliverPartition]:
    """Exports the missing events of these partitions, or reports what could be exported.

    All writes follow the exporter's protocol, so the app can keep running. Each event is exported once, even
    if this runs repeatedly or concurrently, or is interrupted. With `missing_files`, it also searches for
    missing files. Raises HubError, StorageError or LedgerError.
    """
    state = hub.state()
    done = []
    for partition, position in state.positions.items():
        ledger = read_ledger(storage, partition)
        if ledger is None or not wanted(str(partition)):
            continue
        one = RedeliverPartition(partition=str(partition))
        done.append(one)
        work = _Work(storage, hub, exporter, partition, position, one, progress)
        if ledger.incarnation.created != state.created:
            one.missing = total(work.missing(ledger)) + work.older(ledger)
            one.problems.append(
                "the hub may have been re-created; wait until finish_connections has run, then try again"
            )
            continue
        if ledger.incarnation.gaps or missing_files:
            ledger = work.compare(ledger, dry_run=dry_run, missing_files=missing_files)
        missing = work.missing(ledger)
        readable = work.readable(missing)
        one.missing = total(missing) + work.older(ledger)
        one.events = total(readable)
        one.gone = one.missing - one.events
        if not dry_run:
            work.export(readable)
    return done


@dataclass(frozen=True, slots=True)
class _Work:
    """Redelivery of one partition."""

    storage: Storage
    hub: HubReader
    exporter: Exporter
    partition: HubPartition
    position: Position
    one: RedeliverPartition
    progress: Progress

    @property
    def _recreated(self) -> str:
        return f"{self.partition}: the hub was re-created in the meantime; try again in a few minutes"

    def missing(self, ledger: Ledger) -> tuple[Interval, ...]:
        """Returns the gaps of the current incarnation, and the sequence numbers of its lost files."""
        number = ledger.incarnation.number
        lost = (span for one in ledger.lost if one.incarnation == number for span in one.sequences)
        return merged([*ledger.incarnation.gaps, *lost])

    def older(self, ledger: Ledger) -> int:
        """Counts the missing events of hubs that were deleted."""
        return sum(total(life.gaps) for life in ledger.past)

    def readable(self, missing: Sequence[Interval]) -> tuple[Interval, ...]:
        """Returns the sequence numbers that the partition still holds."""
        held = (self.position.first, self.position.last)
        return () if self.position.empty else common(missing, [held])

    def compare(self, ledger: Ledger, *, dry_run: bool, missing_files: bool) -> Ledger:
        """Compares a ledger with the output, which may be older or newer, and returns the updated ledger."""
        found = exported(self.storage, ledger)
        # Unless the ledger was restored, it has every commit in the listing, because it is read afterwards.
        now = (read_ledger(self.storage, self.partition) or ledger).incarnation
        unknown = difference([(0, self.position.last)], difference([(0, (now.next or 0) - 1)], now.gaps))
        complete, partial = common(unknown, found.complete), common(unknown, found.partial)
        present = merged([*complete, *partial]) if missing_files else complete
        self.one.present = total(present)
        self.one.partial = total(difference(partial, present))
        after = with_exported(ledger, present, self.position.enqueued) if present else ledger
        lost: list[Lost] = []
        if missing_files:
            lacking = found.lacking(after)
            self.one.without_files = total(lacking)
            for span in self.readable(lacking):
                lost += self._lost(after, found, span)
        if dry_run:
            return with_gone(after, lost)
        return self._note(ledger, present, lost) if present or lost else ledger

    def _lost(self, ledger: Ledger, found: Exported, span: Interval) -> Iterator[Lost]:
        """Yields the lost parts of an interval of committed sequence numbers."""
        for fetched in self._fetch(span):
            envelopes = [each.envelope for each in fetched]
            if any(verdict_on(ledger, each) is Verdict.RECREATED for each in envelopes):
                raise HubError(self._recreated)
            yield from found.lost(self.partition, ledger.incarnation.number, envelopes, self.exporter.policy)

    def _note(self, before: Ledger, present: Sequence[Interval], lost: Sequence[Lost]) -> Ledger:
        """Records in the ledger what the output has and lacks, unless another search has done so."""
        for _ in range(ATTEMPTS):
            name = Ledger.name(self.partition)
            blob = self.storage.read(name)
            now = Ledger.parse(blob.data, name) if blob else None
            if (
                blob is None
                or now is None
                or (now.searches, now.ledger_id, now.incarnation.number)
                != (before.searches, before.ledger_id, before.incarnation.number)
            ):
                raise LedgerError(
                    f"{name} was replaced, or searched by another command, in the meantime; try again"
                )
            after = with_exported(now, present, self.position.enqueued) if present else now
            after = with_gone(after, lost).written(self.exporter.stamp().commit_id, now.committed_at)
            try:
                self.storage.write(name, after.dump(), blob.etag)
            except PreconditionFailed:
                continue  # the app has committed something
            return after
        raise LedgerError(f"{self.partition}: the app commits too often; stop it, and try again")

    def export(self, readable: Sequence[Interval]) -> None:
        """Exports the events of these intervals of sequence numbers."""
        one, one.events = self.one, 0
        for number, span in enumerate(readable):
            self.progress(str(self.partition), number, len(readable))
            for fetched in self._fetch(span):
                ledger = read_ledger(self.storage, self.partition)
                envelopes = [each.envelope for each in fetched]
                # Events of a hub other than that of the gap would begin an incarnation.
                if ledger is None or any(verdict_on(ledger, each) is Verdict.RECREATED for each in envelopes):
                    raise HubError(self._recreated)
                one.events += len(envelopes)
                for commit in self.exporter.run(self.partition, envelopes):
                    one.commits += 1
                    one.rows += commit.counts.rows
                    for reason, count in commit.counts.rejected.items():
                        one.rejected[reason] += count

    def _fetch(self, span: Interval) -> Iterator[list[Fetched]]:
        """Yields the events of an interval in chunks."""
        first, last = span
        while first <= last and (fetched := self.hub.fetch(self.partition, first, last)):
            yield fetched
            first = fetched[-1].envelope.sequence + 1
