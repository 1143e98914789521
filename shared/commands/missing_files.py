"""Finds committed events whose files are gone from the output, by the metadata of the files that are there.

An account that was restored, or that failed over to a copy that lags, lacks files that the ledger has
committed. The hub may still have their events.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.audit import contents
from shared.compaction import swaps
from shared.compaction.swaps import CompactionState, is_own
from shared.errors import LedgerError
from shared.export import refilling
from shared.input.envelope import Envelope, HubPartition
from shared.intervals import Interval, common, difference, intervals, merged
from shared.output.formats import FORMATS
from shared.policies import ExportPolicy
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.ledger import Ledger, Lost
from shared.protocol.storage import Storage

EVERYTHING = ((0, 1 << 62),)


@dataclass(slots=True)
class _Commit:
    """The files of a commit that are there."""

    metadata: CommitMetadata
    files: set[tuple[str, str]] = field(default_factory=set)
    """Folder and name. A file that compaction has replaced may still be there, for readers of a snapshot."""

    @property
    def complete(self) -> bool:
        return len(self.files) == self.metadata.commit_files


@dataclass(frozen=True, slots=True)
class Exported:
    """What the output has of one incarnation of a partition, whichever ledger it was committed by."""

    complete: tuple[Interval, ...]
    """Sequence numbers of commits all of whose files are there."""
    partial: tuple[Interval, ...]
    """Those of commits of which some files are there."""
    folders: Mapping[str, tuple[Interval, ...]]
    """The sequence numbers of the files of each folder."""
    formats: Mapping[str, tuple[Interval, ...]]
    """Of `partial`, those that were exported in each format."""

    def lacking(self, ledger: Ledger) -> tuple[Interval, ...]:
        """What the ledger has committed, if a file of it may be gone; or it had nothing to export."""
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
        """What is gone of these events of incarnation `number`, all of which were committed."""
        found = refilling.folders(partition, envelopes, replace(policy, formats=tuple(FORMATS)))
        for folder, had in found.items():
            sequences = had
            format_ = folder.partition("/")[0]
            if format_ in FORMATS:
                # Where nothing is left of a commit, nothing tells in which formats it was exported.
                unknown = EVERYTHING if format_ in policy.formats else ()
                formatted = merged([*difference(unknown, self.partial), *self.formats.get(format_, ())])
                sequences = common(sequences, formatted)
            if gone := difference(sequences, self.folders.get(folder, ())):
                yield Lost(folder=folder, incarnation=number, sequences=gone)


def exported(storage: Storage, ledger: Ledger) -> Exported:
    """What the output has of the current incarnation. Raises LedgerError while compaction moves files."""
    before, created = _compaction(storage), ledger.incarnation.created or 0
    commits: dict[str, _Commit] = {}
    for name, metadata in _files(storage):
        commit = CommitMetadata.of(metadata)
        # What was committed before the hub was created is of an older one, whatever its number.
        if commit is None or commit.partition != ledger.partition or commit.committed_at < created:
            continue
        if commit.verdict != "stale":
            found = commits.setdefault(commit.commit_id, _Commit(commit))
            found.files.add((metadata.get("folder", ""), name.rpartition("/")[2]))
    if _compaction(storage) != before:
        raise LedgerError("the output was compacted meanwhile: try again")
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


def _files(storage: Storage) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Name and metadata of every file, and of those that compaction has replaced."""
    for file in storage.outputs(""):
        if "compacted" in file.metadata and is_own(file):
            yield from ((one.name, one.metadata) for one in contents.files_replaced(storage, file))
        elif file.visible:
            yield file.name, file.metadata


def _compaction(storage: Storage) -> str | None:
    """What the state of compaction is. Raises LedgerError while a swap is in progress."""
    blob = storage.read(swaps.NAME)
    if blob and CompactionState.parse(blob.data).swap:
        raise LedgerError("compaction is moving files: wait for its next run, in ten minutes, and try again")
    return blob.etag if blob else None
