"""Resolves compacted files to the files that they replaced, for the audit; safe while compaction runs."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from shared.audit import contents, delta_logs
from shared.audit.evidence import Finding, Level, refuted
from shared.audit.listing import CONNECTIONS, PARALLEL, Listing, Progress, attempt, content, keys
from shared.audit.row_origins import strange
from shared.compaction import compaction_state, erasures
from shared.compaction.compaction_state import CompactionState
from shared.compaction.erasures import ErasedFile
from shared.compaction.replaced_files import ReplacedFile
from shared.errors import DamagedFile, StorageError
from shared.protocol import stored_documents
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.storage import DEAD_LETTERS, BlobInfo, LogStorage, Storage
from shared.wording import counted

TRIES = 5


def state(storage: Storage) -> CompactionState:
    """Loads the state of compaction. Raises LedgerError."""
    return stored_documents.read(storage, compaction_state.NAME, CompactionState.parse) or CompactionState()


@dataclass(frozen=True, slots=True)
class Replaced:
    """The files that a compacted file replaced."""

    rows: int
    """The total number of rows of all these files."""
    origins: list[ReplacedFile]
    """The replaced files that were committed at `since` or later; memory does not grow with older ones."""


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
    _erasures: Mapping[str, ErasedFile] = field(default_factory=dict)
    _replaced: dict[str, Replaced] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)

    def run(self, *, deep: bool, progress: Progress) -> None:
        """Adds the files that compacted files replaced to the listing; problems go to `findings`."""
        for _ in range(TRIES):
            if self._settled() and self._read(progress):
                break
        else:
            self.settled = False
            self._unclear("compaction keeps changing folders; run the audit again later")
        if self.known.swap:
            self._under_way()
        self._drop_kept()
        for file in self.listing.compacted:
            if file.name in self._damaged:
                self.findings.append(refuted("damaged", self._damaged[file.name]))
            for origin in self._origins(file):
                self.listing.take(BlobInfo(origin.name, 0, origin.metadata), self.since, merged=True)
        # An erasure is recorded before its file appears.
        if any(_needs_note(file) for file in self.listing.compacted):
            self._erasures = erasures.known(self.storage)
        self.findings += self._rows()
        self.findings += self._texts(deep=deep)
        if deep:
            self.findings += list(self._deep(progress))

    def _settled(self) -> bool:
        """Lists the changed folders again. Returns whether nothing changed in the meantime."""
        now = state(self.storage)
        folders = now.touched_since(self.known.ordinal)
        if folders is None:
            self.settled = False
            self._unclear("compaction has changed too many folders in the meantime; run the audit again")
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
            # It was published while its folder was listed, so some of its inputs may already be deleted.
            for file in self.storage.outputs(name):
                self.listing.take(file, self.since)
            self._read(lambda *_: None)
        if self.listing.has(name):
            left = self.listing.drop(set(swap.names))
            if left:
                self._unclear(
                    f"{name}: readers see its rows twice until the timer deletes {counted(left, 'file')} "
                    "that it replaces, within minutes; run the audit again then"
                )

    @property
    def replaced(self) -> dict[str, list[str]]:
        """Returns for each listed compacted file the names of the files that it replaces."""
        return {file.name: [origin.name for origin in self._origins(file)] for file in self.listing.compacted}

    def _drop_kept(self) -> None:
        """Drops files that were replaced but kept for older snapshots: another file has their rows."""
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
        """Checks that each compacted file has the rows of the files that it replaced, except erased rows."""
        gone = letters = files = 0
        for file in self.listing.compacted:
            replaced = self._replaced.get(file.name)
            strangers = {one.metadata["folder"] for one in self._origins(file)} - {file.metadata["folder"]}
            if strangers:
                yield refuted("moved", f"{file.name} replaced files in {min(strangers)}; move it back there")
            if _needs_note(file) and not erasures.matches_record(file, self._erasures):
                yield refuted(
                    "not_erased",
                    f"{file.name} lacks rows of the files that it replaced, and no erasure is recorded",
                )
                continue
            if replaced and int(file.metadata["rows"]) + erasures.erased(file) != replaced.rows:
                erased = f", of which {erasures.erased(file):,} were erased" if erasures.erased(file) else ""
                yield refuted(
                    "rows_differ",
                    f"{file.name} was written with {counted(int(file.metadata['rows']), 'row')}, "
                    f"but replaced files with {replaced.rows:,}{erased}",
                )
            gone += erasures.erased(file)
            letters += int(file.metadata.get("letters", "0"))
            files += _needs_note(file)
        if files:
            more = f" and the bodies of {counted(letters, 'dead letter')}" if letters else ""
            yield Finding(
                Level.NOTE,
                "erased",
                f"erasures removed {counted(gone, 'row')}{more} from {counted(files, 'file')}",
            )

    def _texts(self, *, deep: bool) -> Iterator[Finding]:
        """Checks the bytes of files with erased rows that are not Parquet, and of their replaced files."""
        for file in self.listing.compacted:
            if file.name.endswith(".parquet"):
                continue
            fetched = contents.Fetched(self.storage, file)
            yield from attempt(self.storage, file, self.findings, partial(content, fetched, file)) or ()
            if not deep or CONNECTIONS in f"/{file.name}" or file.name.startswith(DEAD_LETTERS):
                continue
            for origin in self._origins(file):
                metadata = CommitMetadata.of(origin.metadata)
                if metadata is None:
                    continue
                found = attempt(self.storage, file, self.findings, partial(keys, fetched, file, metadata))
                if found is not None and len(np.unique(found, axis=0)) != len(found):
                    yield refuted("duplicates", f"{file.name} has rows that occur twice")

    def _deep(self, progress: Progress) -> Iterator[Finding]:
        """Checks the bytes of each file, and that each row comes from a replaced file and occurs once.

        Checks only files with rows of commits at `since` or later.
        """
        files = [
            one
            for one in self.listing.compacted
            if one.name.endswith(".parquet")
            and any(int(origin.metadata["committed_at"]) >= self.since for origin in self._origins(one))
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
                yield from strange(file, lineage, self._origins(file))

    def _unclear(self, message: str) -> None:
        self.findings.append(Finding(Level.UNCLEAR, "compaction", message))


def _needs_note(file: BlobInfo) -> bool:
    """Whether rows were erased from a file. Only for that reason can a non-Parquet file replace others."""
    return "erased" in file.metadata or not file.name.endswith(".parquet")


def _asked_for(file: BlobInfo, origins: list[ReplacedFile], since: int) -> list[ReplacedFile]:
    """Returns all replaced files, or only the last one of each ledger if all of them precede `since`."""
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
