"""Exports events that the hub still has and the ledger lacks: gaps and lost files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from shared.audit import contents
from shared.audit.listing import Progress
from shared.compaction.swaps import is_own
from shared.errors import HubError
from shared.export.exporter import Exporter
from shared.input.envelope import HubPartition
from shared.intervals import Interval, common, difference, intervals, merged, total
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.hub import Fetched, HubState, Position
from shared.protocol.ledger import Ledger
from shared.protocol.selection import Verdict, verdict_on
from shared.protocol.storage import Storage


class HubReader(Protocol):
    """The hub, read in a separate consumer group, because the host's group admits no second reader."""

    def state(self) -> HubState:
        """How it stands now. Raises HubError."""

    def fetch(self, partition: HubPartition, first: int, last: int) -> list[Fetched]:
        """The events from one sequence number to another, or the first of them. Raises HubError."""


@dataclass(slots=True)
class Redelivered:
    """The outcome for the missing sequence numbers of a partition."""

    partition: str
    missing: int = 0
    """Sequence numbers that the ledger lacks: gaps and lost files."""
    gone: int = 0
    """Those that the hub has deleted, or that are of a deleted hub."""
    present: int = 0
    """Those that are in the output through commits that the ledger does not know, because it was restored."""
    events: int = 0
    """Those that were read from the hub (in a dry run, those that can be read)."""
    commits: int = 0
    rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def redeliver(
    storage: Storage,
    hub: HubReader,
    exporter: Exporter,
    wanted: Callable[[str], bool],
    *,
    dry_run: bool,
    progress: Progress,
) -> list[Redelivered]:
    """Exports what is missing of these partitions, or reports what could be exported.

    Everything goes through the exporter's protocol, beside the running app. Each event is exported once
    even if this runs repeatedly, several times at once, or is interrupted. Raises HubError, StorageError or
    LedgerError.
    """
    state = hub.state()
    done = []
    for partition, position in state.positions.items():
        ledger = _ledger(storage, partition)
        if ledger is None or not wanted(str(partition)):
            continue
        one = Redelivered(str(partition))
        done.append(one)
        missing, lost = ledger.incarnation.gaps, _lost(ledger)
        older = sum(total(life.gaps) for life in ledger.past)
        one.missing = total(merged([*missing, *lost])) + older
        one.gone = older
        if ledger.incarnation.created != state.created:
            one.problems.append(
                "the hub may have been re-created: wait until finish_connections has run, then try again"
            )
            continue
        present = common(missing, exported(storage, ledger)) if missing else ()
        one.present = total(present)
        readable = _readable(merged([*difference(missing, present), *lost]), position)
        one.gone += one.missing - older - one.present - total(readable)
        one.events = total(readable)
        if not dry_run:
            one.events = 0
            for number, (first, last) in enumerate(readable):
                progress(str(partition), number, len(readable))
                _export(storage, hub, exporter, partition, (first, last), one)
    return done


def _export(
    storage: Storage,
    hub: HubReader,
    exporter: Exporter,
    partition: HubPartition,
    span: Interval,
    one: Redelivered,
) -> None:
    """Exports the events of an interval of sequence numbers."""
    first, last = span
    while first <= last and (fetched := hub.fetch(partition, first, last)):
        ledger = _ledger(storage, partition)
        envelopes = [each.envelope for each in fetched]
        # Events of another hub than the gap would open an incarnation.
        if ledger is None or any(verdict_on(ledger, each) is Verdict.RECREATED for each in envelopes):
            raise HubError(f"{partition}: the hub was re-created in the meantime: try again in a few minutes")
        one.events += len(envelopes)
        for commit in exporter.run(partition, envelopes):
            one.commits += 1
            one.rows += commit.counts.rows
            for reason, number in commit.counts.rejected.items():
                one.rejected[reason] = one.rejected.get(reason, 0) + number
        first = envelopes[-1].sequence + 1


def exported(storage: Storage, ledger: Ledger) -> tuple[Interval, ...]:
    """Returns the sequence numbers of the current incarnation that exist in files, whoever committed them."""
    spans: list[Interval] = []
    for commit in _commits(storage):
        if commit.partition == ledger.partition and commit.verdict == "new":
            numbered = ledger.numbered(commit.incarnation, intervals(commit.sequences))
            spans += numbered.get(ledger.incarnation.number, ())
    return merged(spans)


def _commits(storage: Storage) -> Iterator[CommitMetadata]:
    """Yields the commit metadata of every file, including files that compaction has replaced."""
    for file in storage.outputs(""):
        if "compacted" in file.metadata and is_own(file):
            found = [CommitMetadata.of(origin.metadata) for origin in contents.files_replaced(storage, file)]
        else:
            found = [CommitMetadata.of(file.metadata)]
        yield from (commit for commit in found if commit)


def _lost(ledger: Ledger) -> tuple[Interval, ...]:
    number = ledger.incarnation.number
    return merged(span for one in ledger.lost if one.incarnation == number for span in one.sequences)


def _readable(missing: tuple[Interval, ...], position: Position) -> tuple[Interval, ...]:
    """Returns the missing sequence numbers that the partition still holds."""
    return () if position.empty else common(missing, [(position.first, position.last)])


def _ledger(storage: Storage, partition: HubPartition) -> Ledger | None:
    name = Ledger.name(partition)
    blob = storage.read(name)
    return Ledger.parse(blob.data, name) if blob else None
