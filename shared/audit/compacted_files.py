"""Resolves compacted files back to the files they replaced, for the audit; safe while compaction runs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from shared.arrays import Array
from shared.audit import contents, delta_logs
from shared.audit.contents import Lineage
from shared.audit.evidence import Finding, Level, refuted
from shared.audit.listing import CONNECTIONS, PARALLEL, Listing, Progress, attempt, content
from shared.compaction import swaps
from shared.compaction.replaced_files import ReplacedFile
from shared.compaction.swaps import CompactionState
from shared.errors import DamagedFile, StorageError
from shared.input.envelope import HubPartition
from shared.intervals import intervals
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.storage import BlobInfo, LogStorage, Storage

TRIES = 5


def state(storage: Storage) -> CompactionState:
    """Loads the state of compaction. Raises LedgerError."""
    blob = storage.read(swaps.NAME)
    return CompactionState.parse(blob.data) if blob else CompactionState()


@dataclass(frozen=True, slots=True)
class Replaced:
    """The files that a compacted file replaced."""

    rows: int
    """Of all of them."""
    origins: list[ReplacedFile]
    """Those committed at `since` or later: memory does not grow with what was committed before."""


@dataclass(slots=True)
class CompactedFiles:
    """Lists folders again where compaction changed something, until the listing is consistent."""

    storage: LogStorage
    listing: Listing
    since: int
    known: CompactionState
    """The state of compaction before the listing."""
    findings: list[Finding] = field(default_factory=list)
    settled: bool = True
    """Whether the listing is consistent. If not, a file may be missing although its rows always existed."""
    _replaced: dict[str, Replaced] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)

    def run(self, *, deep: bool, progress: Progress) -> None:
        """Adds the files that compacted files replaced to the listing; problems go to `findings`."""
        for _ in range(TRIES):
            if self._settled() and self._read(progress):
                break
        else:
            self.settled = False
            self._unclear("compaction goes on all the time: audit again later")
        if self.known.swap:
            self._under_way()
        self._drop_kept()
        for file in self.listing.compacted:
            if file.name in self._damaged:
                self.findings.append(refuted("damaged", self._damaged[file.name]))
            for origin in self._origins(file):
                self.listing.take(BlobInfo(origin.name, 0, origin.metadata), self.since, merged=True)
        self.findings += self._rows()
        if deep:
            self.findings += list(self._deep(progress))

    def _settled(self) -> bool:
        """Lists the changed folders again. Returns whether nothing changed in the meantime."""
        now = state(self.storage)
        folders = now.touched_since(self.known.ordinal)
        if folders is None:
            self.settled = False
            self._unclear("compaction has done too much meanwhile: audit again")
            folders = set()
        if self.known.swap:
            folders.add(self.known.swap.folder)
        self.known = now
        if not folders:
            return True
        self.listing.forget(folders)
        for folder in sorted(folders):
            for file in self.storage.outputs(folder):
                self.listing.take(file, self.since)
        return state(self.storage).ordinal == now.ordinal

    def _origins(self, file: BlobInfo) -> Sequence[ReplacedFile]:
        replaced = self._replaced.get(file.name)
        return replaced.origins if replaced else ()

    def _read(self, progress: Progress) -> bool:
        """Reads the record of each compacted file. Returns False if one no longer exists."""
        new = [one for one in self.listing.compacted if one.name not in self._replaced.keys() | self._damaged]

        def read(file: BlobInfo) -> bool:
            try:
                origins = contents.files_replaced(self.storage, file)
                rows = sum(one.rows for one in origins)
                self._replaced[file.name] = Replaced(rows, _asked_for(file, origins, self.since))
            except DamagedFile as error:
                self._damaged[file.name] = str(error)
            except StorageError:
                if self.storage.exists(file.name):
                    raise
                return False
            return True

        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="audit") as pool:
            there = []
            for number, found in enumerate(pool.map(read, new)):
                progress("compacted", number, len(new))
                there.append(found)
        return all(there)

    def _under_way(self) -> None:
        """Handles a committed swap: once its output exists, its remaining inputs do not count."""
        swap = self.known.swap
        assert swap
        name = swap.output.name
        self.listing.staged.discard(name)
        if not self.listing.has(name) and self.storage.exists(name):
            # Published while its folder was listed, so some of its inputs may be gone already.
            for file in self.storage.outputs(name):
                self.listing.take(file, self.since)
            self._read(lambda *_: None)
        if self.listing.has(name):
            left = self.listing.drop(set(swap.names))
            if left:
                self._unclear(
                    f"{name}: readers see its rows twice: {left} of the files that it replaces are not "
                    "deleted yet; the timer does that within minutes: audit again then"
                )

    @property
    def replaced(self) -> dict[str, list[str]]:
        """For each compacted file that is listed, the names of the files that it stands for."""
        return {file.name: [origin.name for origin in self._origins(file)] for file in self.listing.compacted}

    def _drop_kept(self) -> None:
        """What compaction replaced and left for readers of older snapshots: another file has its rows."""
        kept = delta_logs.kept_files(self.storage, self.known) if self.known.delta else set()
        if not kept:
            return
        elsewhere = {
            origin for name, origins in self.replaced.items() if name not in kept for origin in origins
        }
        of_compacted = {
            name
            for name, origins in self.replaced.items()
            if name in kept and origins and elsewhere.issuperset(origins)
        }
        self.listing.drop((kept & elsewhere) | of_compacted)

    def _rows(self) -> Iterator[Finding]:
        """Checks that each has the rows it was written with, those of replaced files in the same folder."""
        for file in self.listing.compacted:
            metadata, replaced = file.metadata["rows"], self._replaced.get(file.name)
            strangers = {one.metadata["folder"] for one in self._origins(file)} - {file.metadata["folder"]}
            if strangers:
                yield refuted("moved", f"{file.name}: replaced files of {min(strangers)}: move it back there")
            if replaced and metadata != str(replaced.rows):
                yield refuted(
                    "rows_differ",
                    f"{file.name}: was written with {metadata} rows, replaced files of {replaced.rows}",
                )

    def _deep(self, progress: Progress) -> Iterator[Finding]:
        """Checks the bytes of each file, and that each row comes from a replaced file and occurs once.

        Checks only files with rows of commits at `since` or later.
        """
        files = [
            one
            for one in self.listing.compacted
            if any(int(origin.metadata["committed_at"]) >= self.since for origin in self._origins(one))
        ]
        for number, file in enumerate(files):
            progress("rows", number, len(files))
            yield from attempt(self.storage, file, self.findings, partial(content, self.storage, file)) or ()
            if CONNECTIONS in f"/{file.name}":
                continue
            lineage = attempt(
                self.storage, file, self.findings, partial(contents.lineage, self.storage, file)
            )
            if lineage:
                yield from _strange(file, lineage, self._origins(file))

    def _unclear(self, message: str) -> None:
        self.findings.append(Finding(Level.UNCLEAR, "compaction", message))


def _asked_for(file: BlobInfo, origins: list[ReplacedFile], since: int) -> list[ReplacedFile]:
    """Returns all of them or, if all were committed earlier, the last one of each ledger."""
    last: dict[tuple[str, str], tuple[int, ReplacedFile]] = {}
    for origin in origins:
        of_connections = CONNECTIONS in f"/{file.name}"
        metadata = (
            CommitMetadata.of_connections(origin.metadata)
            if of_connections
            else CommitMetadata.of(origin.metadata)
        )
        if metadata is None or metadata.committed_at >= since:
            return origins
        known = last.get((metadata.partition, metadata.ledger_id))
        if known is None or metadata.committed_at > known[0]:
            last[metadata.partition, metadata.ledger_id] = metadata.committed_at, origin
    return [origin for _, origin in last.values()]


def _strange(file: BlobInfo, lineage: Lineage, origins: Sequence[ReplacedFile]) -> Iterator[Finding]:
    places = {partition: _FileSpans(partition, origins) for partition in set(lineage.partitions)}
    counted: Counter[int] = Counter()
    for code, partition in enumerate(lineage.partitions):
        sequences = lineage.sequences[lineage.codes == code]
        found = places[partition].of(sequences)
        if (found < 0).any():
            yield refuted(
                "damaged",
                f"{file.name}: holds sequence {sequences[found < 0][0]} of {partition}, which none of the "
                "files that it replaced had",
            )
        counted.update(dict(zip(*map(np.ndarray.tolist, np.unique(found, return_counts=True)), strict=True)))
    expected: Counter[int] = Counter()
    for number, origin in enumerate(origins):
        root = places[_partition(origin)].roots[number] if _partition(origin) in places else number
        expected[root] += origin.rows
    for root, rows in expected.items():
        if counted[root] != rows:
            yield refuted(
                "rows_differ",
                f"{file.name}: has {counted[root]} rows of {origins[root].name}, which had {rows}",
            )
    if lineage.duplicates:
        yield refuted("duplicates", f"{file.name}: {lineage.duplicates} rows are twice in it")


def _partition(origin: ReplacedFile) -> str:
    return str(HubPartition.parse(origin.metadata["partition"]).origin)


class _FileSpans:
    """Finds which of these files held a sequence number of one partition; the first one if several did.

    Files overlap if a hub was created again, and if dead letters were replayed.
    """

    def __init__(self, partition: str, origins: Sequence[ReplacedFile]) -> None:
        spans = sorted(
            (first, last, number)
            for number, origin in enumerate(origins)
            if _partition(origin) == partition
            for first, last in intervals(origin.metadata["sequences"])
        )
        self.roots = {number: number for _, _, number in spans}
        joined: list[tuple[int, int, int]] = []
        for first, last, number in spans:
            if joined and first <= joined[-1][1]:
                begin, end, other = joined.pop()
                self.roots[max(self._root(other), self._root(number))] = min(
                    self._root(other), self._root(number)
                )
                first, last, number = begin, max(end, last), other  # noqa: PLW2901 - the joined span
            joined.append((first, last, number))
        for number in self.roots:
            self.roots[number] = self._root(number)
        self._starts = np.array([first for first, _, _ in joined], np.int64)
        self._ends = np.array([last for _, last, _ in joined], np.int64)
        self._numbers = np.array([self.roots[number] for _, _, number in joined], np.int64)

    def _root(self, number: int) -> int:
        while self.roots[number] != number:
            number = self.roots[number]
        return number

    def of(self, sequences: Array) -> Array:
        """Returns the number of the file for each; -1 means none."""
        if not len(self._starts):
            return np.full(len(sequences), -1)
        at = np.searchsorted(self._starts, sequences, "right") - 1
        return np.where((at >= 0) & (sequences <= self._ends[at]), self._numbers[at], -1)
