"""Uses the metadata of existing files to find committed events whose files are missing in the output.

An account that was restored, or that failed over to a lagging replica, lacks files that the ledger has
committed. The hub may still have their events.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.audit import contents
from shared.compaction import compaction_state
from shared.compaction.compaction_state import CompactionState
from shared.compaction.own_files import is_own
from shared.errors import LedgerError
from shared.export import refilling
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.intervals import Interval, common, difference, intervals, merged
from shared.output.formats import FORMATS
from shared.policies import ExportPolicy
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.ledger import Ledger, Lost
from shared.protocol.storage import Storage

EVERYTHING = ((0, 1 << 62),)


@dataclass(slots=True)
class _Commit:
    """The existing files of a commit."""

    metadata: CommitMetadata
    files: set[tuple[str, str]] = field(default_factory=set)
    """Folder and name. A file that compaction replaced may still exist, for readers of a snapshot."""

    @property
    def complete(self) -> bool:
        return len(self.files) == self.metadata.commit_files


@dataclass(frozen=True, slots=True)
class Exported:
    """The output of one incarnation of a partition, regardless of the ledger that committed it."""

    complete: tuple[Interval, ...]
    """Sequence numbers of commits whose files all exist."""
    partial: tuple[Interval, ...]
    """Sequence numbers of commits of which some files exist."""
    folders: Mapping[str, tuple[Interval, ...]]
    """The sequence numbers of the files of each folder."""
    formats: Mapping[str, tuple[Interval, ...]]
    """The part of `partial` that was exported in each format."""

    def lacking(self, ledger: Ledger) -> tuple[Interval, ...]:
        """Returns committed sequence numbers that may lack files, or had nothing to export."""
        now = ledger.incarnation
        pending = (
            span
            for file in ledger.files
            for span in ledger.numbered(
                int(file.metadata["incarnation"]), intervals(file.metadata["sequences"])
            ).get(now.number, ())
        )
        lost = (span for one in ledger.lost if one.incarnation == now.number for span in one.sequences)
        known = merged([*self.complete, *now.gaps, *pending, *lost])
        return difference([(0, now.next - 1)], known) if now.next else ()

    def lost(
        self, partition: HubPartition, number: int, envelopes: Sequence[Envelope], policy: ExportPolicy
    ) -> Iterator[Lost]:
        """Yields the missing parts of these committed events of incarnation `number`."""
        found = refilling.folders(partition, envelopes, replace(policy, formats=tuple(FORMATS)))
        for folder, had in found.items():
            sequences = had
            format_ = folder.partition("/")[0]
            if format_ in FORMATS:
                # If nothing is left of a commit, the formats in which it was exported are unknown.
                unknown = EVERYTHING if format_ in policy.formats else ()
                formatted = merged([*difference(unknown, self.partial), *self.formats.get(format_, ())])
                sequences = common(sequences, formatted)
            if gone := difference(sequences, self.folders.get(folder, ())):
                yield Lost(folder=folder, incarnation=number, sequences=gone)


def exported(storage: Storage, ledger: Ledger) -> Exported:
    """Returns the output of the current incarnation. Raises LedgerError while compaction moves files."""
    before, created = _compaction(storage), ledger.incarnation.created or 0
    commits: dict[str, _Commit] = {}
    for name, metadata in exported_files(storage):
        commit = CommitMetadata.of(metadata)
        # Commits before the hub's creation belong to an older one, regardless of their number.
        if commit is None or commit.partition != ledger.partition or commit.committed_at < created:
            continue
        if commit.verdict != "stale":
            found = commits.setdefault(commit.commit_id, _Commit(commit))
            found.files.add((metadata.get("folder", ""), name.rpartition("/")[2]))
    if _compaction(storage) != before:
        raise LedgerError("the output was compacted in the meantime; try again")
    complete: list[Interval] = []
    partial: list[Interval] = []
    folders: dict[str, list[Interval]] = {}
    formats: dict[str, list[Interval]] = {}
    for one in commits.values():
        numbered = ledger.numbered(one.metadata.incarnation, intervals(one.metadata.sequences))
        spans = numbered.get(ledger.incarnation.number, ())
        for folder, _ in one.files:
            folders.setdefault(folder, []).extend(spans)
        if one.metadata.verdict == "new":
            (complete if one.complete else partial).extend(spans)
            for format_ in () if one.complete else one.metadata.formats.split(","):
                formats.setdefault(format_, []).extend(spans)
    return Exported(merged(complete), merged(partial), _merged(folders), _merged(formats))


def _merged(spans: Mapping[str, Sequence[Interval]]) -> dict[str, tuple[Interval, ...]]:
    return {name: merged(found) for name, found in spans.items()}


def exported_files(storage: Storage) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yields the name and metadata of every file, including those that compaction has replaced."""
    for file in storage.outputs(""):
        if "compacted" in file.metadata and is_own(file):
            yield from ((one.name, one.metadata) for one in contents.files_replaced(storage, file))
        elif file.visible:
            yield file.name, file.metadata


def _compaction(storage: Storage) -> str | None:
    """Returns the state of compaction. Raises LedgerError while a swap is in progress."""
    blob = storage.read(compaction_state.NAME)
    if blob and CompactionState.parse(blob.data).swap:
        raise LedgerError("compaction is moving files; wait for its next run, in ten minutes, and try again")
    return blob.etag if blob else None
