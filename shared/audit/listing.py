"""Lists the container's files by commit and reads their contents."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import batched, groupby

import numpy as np

from shared.arrays import Array
from shared.audit import contents
from shared.audit.contents import Parts
from shared.audit.evidence import Commit, Finding, Level, refuted
from shared.compaction.own_files import is_own
from shared.digests import of_file
from shared.errors import DamagedFile, StorageError
from shared.input.hub_partition import HubPartition
from shared.intervals import intervals
from shared.output.layout import is_delta_log
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.ledger import PendingFile
from shared.protocol.storage import DEAD_LETTERS, BlobInfo, Storage
from shared.tables import connection_revisions
from shared.tables.registry import table_of
from shared.wording import counted

PARALLEL = 8
CHUNK = 64
"""Number of commits read between two progress reports."""
CONNECTIONS = f"/{connection_revisions.CONNECTIONS.name}/"
OWN = {"rows", "bytes", "folder", "sha256"}
"""The metadata of one file, beyond what all files of its commit share."""

type Progress = Callable[[str, int, int], None]
"""Receives the current task, the number of items done, and the total (0 if unknown)."""


@dataclass(slots=True)
class Files:
    """The files of one commit, and what their metadata says about it."""

    metadata: CommitMetadata
    files: list[BlobInfo] = field(default_factory=list)
    merged: list[BlobInfo] = field(default_factory=list)
    """Files whose rows are in a compacted file that has the correct number of rows."""


@dataclass(slots=True)
class Listing:
    """The container's files, grouped by commit."""

    commits: dict[str, Files] = field(default_factory=dict)
    anchors: dict[tuple[str, str], CommitMetadata] = field(default_factory=dict)
    """The last commit before `since`, by partition and ledger id."""
    staged: set[str] = field(default_factory=set)
    compacted: list[BlobInfo] = field(default_factory=list)
    """The compacted files of all tables."""
    foreign: list[Finding] = field(default_factory=list)

    def take(self, file: BlobInfo, since: int, *, merged: bool = False) -> None:
        """Adds a file. Memory grows with the number of files; the shared metadata of a commit is kept once.

        `merged`: the file itself was replaced, and a compacted file has its rows.
        """
        if is_delta_log(file.name):
            return
        if not file.visible:
            self.staged.add(file.name)
            return
        if "compacted" in file.metadata and is_own(file):
            self._place(file)
            self.compacted.append(file)
            return
        of_connections = CONNECTIONS in f"/{file.name}"
        metadata = (
            CommitMetadata.of_connections(file.metadata)
            if of_connections
            else CommitMetadata.of(file.metadata)
        )
        if metadata is None or metadata.commit_id not in file.name or not file.metadata.keys() >= OWN:
            if table_of(file.name) or file.name.startswith(f"{DEAD_LETTERS}/"):
                self.foreign.append(
                    refuted(
                        "foreign_file",
                        f"{file.name} belongs to no commit, but readers see its rows; move it elsewhere",
                    )
                )
            return
        if metadata.committed_at < since:
            last = self.anchors.setdefault((metadata.partition, metadata.ledger_id), metadata)
            if metadata.committed_at > last.committed_at:
                self.anchors[metadata.partition, metadata.ledger_id] = metadata
            return
        files = self.commits.setdefault(metadata.commit_id, Files(metadata))
        if files.metadata != metadata:
            self.foreign.append(
                refuted("altered", f"{file.name}: its metadata differs from that of its commit")
            )
        kept = {name: file.metadata[name] for name in OWN}
        if not merged:
            self._place(file)
        # A moved file is treated as if it were in its original folder, so that it gives only one finding.
        written = BlobInfo(file.metadata["folder"] + file.name.rpartition("/")[2], 0, file.metadata)
        kept["digest"] = of_file(written).hex()
        (files.merged if merged else files.files).append(BlobInfo(file.name, file.size, kept))

    def _place(self, file: BlobInfo) -> None:
        """Adds findings if a listing shows that a file differs from what was written."""
        folder = file.metadata["folder"]
        if file.name.rpartition("/")[0] + "/" != folder:
            self.foreign.append(refuted("moved", f"{file.name} was written to {folder}; move it back"))
        if file.metadata["bytes"] != str(file.size):
            self.foreign.append(
                refuted(
                    "content_differs",
                    f"{file.name} has {counted(file.size, 'byte')}, but was written with "
                    f"{file.metadata['bytes']}",
                )
            )

    def has(self, name: str) -> bool:
        """Whether this compacted file was added."""
        return any(file.name == name for file in self.compacted)

    def drop(self, names: set[str]) -> int:
        """Removes these files, and returns how many of them were listed."""
        return self._keep(lambda name: name not in names)

    def forget(self, folders: set[str]) -> None:
        """Removes all files in these folders, which are about to be listed again."""
        self._keep(lambda name: name[: name.rindex("/") + 1] not in folders)
        self.foreign = [one for one in self.foreign if not one.message.startswith(tuple(sorted(folders)))]
        self.staged = {name for name in self.staged if name[: name.rfind("/") + 1] not in folders}

    def _keep(self, wanted: Callable[[str], bool]) -> int:
        lists = [self.compacted, *(files.files for files in self.commits.values())]
        before = sum(map(len, lists))
        for files in lists:
            files[:] = [file for file in files if wanted(file.name)]
        return before - sum(map(len, lists))


def late(storage: Storage, files: Iterable[PendingFile], listing: Listing, since: int) -> None:
    """Adds files that a ledger or the manifest listed and that were published after the listing."""
    for file in files:
        if file.name in listing.staged and storage.exists(file.name):
            listing.staged.discard(file.name)
            for stored in storage.outputs(file.name):
                listing.take(stored, since)
        of_connections = CONNECTIONS in f"/{file.name}"
        metadata = (
            CommitMetadata.of_connections(file.metadata)
            if of_connections
            else CommitMetadata.of(file.metadata)
        )
        if file.name in listing.staged and metadata and metadata.committed_at >= since:
            listing.commits.setdefault(metadata.commit_id, Files(metadata))


def read(
    storage: Storage, listing: Listing, *, deep: bool, progress: Progress
) -> dict[str, list[tuple[Commit, list[Finding]]]]:
    """Returns every commit with the contents of its files, by partition."""
    found: dict[str, list[tuple[Commit, list[Finding]]]] = {}
    total, done = sum(len(one.files) + len(one.merged) for one in listing.commits.values()), 0
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="audit") as pool:
        for some in batched(listing.commits.values(), CHUNK, strict=False):
            for commit, findings in pool.map(lambda one: _commit(storage, one, deep=deep), some):
                found.setdefault(commit.metadata.partition, []).append((commit, findings))
                done += commit.files
            progress("read", done, total)
    return found


def _commit(storage: Storage, files: Files, *, deep: bool) -> tuple[Commit, list[Finding]]:
    """Reads the files of a commit, and returns it with the problems that were found."""
    number = len(files.files) + len(files.merged)
    commit = Commit(files.metadata, number, rejected=0 if deep else None)
    findings: list[Finding] = []
    commit.digests = [bytes.fromhex(file.metadata["digest"]) for file in (*files.merged, *files.files)]
    for file in files.merged:
        rows, format_ = int(file.metadata["rows"]), file.name.partition("/")[0]
        if format_ == DEAD_LETTERS:  # the recorded erasure proves the remaining part
            commit.rejected = None
        commit.lines += rows
        commit.rows[format_] = commit.rows.get(format_, 0) + rows
    for format_, group in groupby(
        sorted(files.files, key=lambda one: one.name), lambda one: one.name.partition("/")[0]
    ):
        found: list[Array] = []
        for file in group:
            held = attempt(storage, file, findings, partial(_held, storage, file, commit.metadata, deep=deep))
            if held is None:
                commit.whole = False
                continue
            rows = held.rows
            findings += held.findings
            if commit.rejected is not None:
                commit.rejected += held.rejected
            found += held.keys
            if rows != int(file.metadata["rows"]):
                findings.append(
                    refuted(
                        "rows_differ",
                        f"{file.name} has {counted(rows, 'row')}, but was written with "
                        f"{file.metadata['rows']}",
                    )
                )
            commit.lines += rows
            if format_ != DEAD_LETTERS:
                commit.rows[format_] = commit.rows.get(format_, 0) + rows
        twice = sum(map(len, found)) - len(np.unique(np.concatenate(found), axis=0)) if found else 0
        if twice:
            findings.append(
                refuted(
                    "duplicates",
                    f"commit {commit.metadata.commit_id}: its {format_} files contain "
                    f"{counted(twice, 'row')} twice",
                )
            )
    return commit, findings


def attempt[T](
    storage: Storage, file: BlobInfo, findings: list[Finding], reading: Callable[[], T]
) -> T | None:
    """Returns the result of reading a file, or None and a finding if it is damaged or was deleted."""
    try:
        return reading()
    except DamagedFile as error:
        findings.append(refuted("damaged", str(error)))
    except StorageError:
        if storage.exists(file.name):
            raise
        gone = f"{file.name} was deleted or compacted during the audit; run the audit again"
        findings.append(Finding(Level.UNCLEAR, "deleted", gone))
    return None


@dataclass(frozen=True, slots=True)
class _Held:
    """The content of a file."""

    rows: int
    rejected: int = 0
    keys: tuple[Array, ...] = ()
    findings: tuple[Finding, ...] = ()


def _held(storage: Storage, file: BlobInfo, metadata: CommitMetadata, *, deep: bool) -> _Held:
    if not deep and file.name.endswith(".parquet"):
        return _Held(contents.count(storage, file))
    fetched = contents.Fetched(storage, file)
    findings = tuple(content(fetched, file))
    rows = contents.count(fetched, file)
    if not deep or CONNECTIONS in f"/{file.name}":
        return _Held(rows, findings=findings)
    if file.name.startswith(DEAD_LETTERS):
        return _Held(rows, rejected=_rejected(fetched, file, metadata), findings=findings)
    return _Held(rows, keys=(keys(fetched, file, metadata),), findings=findings)


def content(parts: Parts, file: BlobInfo) -> list[Finding]:
    """Reads all bytes of a file, and checks that they are the bytes that were written."""
    if contents.sha256(parts, file) == file.metadata["sha256"]:
        return []
    return [refuted("content_differs", f"{file.name}: its bytes differ from those that were committed")]


def keys(storage: Parts, file: BlobInfo, metadata: CommitMetadata) -> Array:
    """Reads the sequence number and index of each row. Raises DamagedFile for rows of other commits."""
    spans, found = intervals(metadata.sequences), []
    origin = str(HubPartition.parse(metadata.partition).origin)
    starts, ends = np.array([first for first, _ in spans]), np.array([last for _, last in spans])
    for partitions, sequences, indexes in contents.keys(storage, file):
        if partitions - {origin}:
            raise DamagedFile(
                f"{file.name} holds rows of {min(partitions - {origin})!r}, not of {metadata.partition}"
            )
        at = np.searchsorted(starts, sequences, "right") - 1
        strange = sequences[(at < 0) | (sequences > ends[at])]
        if len(strange):
            raise DamagedFile(f"{file.name} holds sequence {strange[0]}, but belongs to {metadata.sequences}")
        found.append(np.column_stack([sequences, indexes]))
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def _rejected(storage: Parts, file: BlobInfo, metadata: CommitMetadata) -> int:
    """Counts the rejections in its dead letters. Raises DamagedFile for dead letters of other commits."""
    number = 0
    for line in contents.lines(storage, file):
        if line.get("partition") != metadata.partition:
            raise DamagedFile(
                f"{file.name} holds a dead letter of {line.get('partition')!r}, not of {metadata.partition}"
            )
        number += sum(line["counts"].values())
    return number
