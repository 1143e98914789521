"""Lists the files of the container by commit, and reads what they hold."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import batched, groupby

import numpy as np

from shared import contents, schema
from shared.contents import Array
from shared.envelope import Source
from shared.errors import DamagedFile
from shared.evidence import Commit, Finding, Said, refuted
from shared.intervals import intervals
from shared.ledger import Ledger
from shared.storage import Storage, Stored

PARALLEL = 8
CHUNK = 64
"""Commits that are read between two reports of progress."""
RECORDS = f"/{schema.RECORDS.name}/"
CONNECTIONS = f"/{schema.CONNECTIONS.name}/"
DEAD_LETTERS = "_dead_letters"

type Progress = Callable[[str, int, int], None]
"""Takes what is being done, how much of it is done, and of how much (0: nobody knows)."""


@dataclass(slots=True)
class Files:
    """The files of one commit, and what they say of it."""

    said: Said
    files: list[Stored] = field(default_factory=list)


@dataclass(slots=True)
class Listing:
    """The container, sorted by commit."""

    commits: dict[str, Files] = field(default_factory=dict)
    anchors: dict[tuple[str, str], Said] = field(default_factory=dict)
    """The last commit before `since`, by source and ledger id."""
    staged: set[str] = field(default_factory=set)
    connections: list[Stored] = field(default_factory=list)
    foreign: list[Finding] = field(default_factory=list)

    def take(self, file: Stored, since: int) -> None:
        """Notes a file. Memory goes by the number of files: what all files of a commit say is kept once."""
        if not file.visible:
            self.staged.add(file.name)
            return
        if CONNECTIONS in f"/{file.name}":
            self.connections.append(file)
            return
        said = Said.of(file.metadata)
        if said is None or said.commit_id not in file.name or "rows" not in file.metadata:
            if RECORDS in f"/{file.name}" or file.name.startswith(f"{DEAD_LETTERS}/"):
                self.foreign.append(
                    refuted(
                        "foreign_file",
                        f"{file.name}: is of no commit, but readers take its rows; move it away",
                    )
                )
            return
        if said.committed_at < since:
            last = self.anchors.setdefault((said.source, said.ledger_id), said)
            if said.committed_at > last.committed_at:
                self.anchors[said.source, said.ledger_id] = said
            return
        files = self.commits.setdefault(said.commit_id, Files(said))
        if files.said != said:
            self.foreign.append(refuted("altered", f"{file.name}: its metadata is not that of its commit"))
        files.files.append(Stored(file.name, file.size, {"rows": file.metadata["rows"]}))


def late(storage: Storage, ledger: Ledger, listing: Listing, since: int) -> None:
    """Takes what the ledger listed and was published after it was looked for."""
    for file in ledger.files:
        if file.name in listing.staged and storage.exists(file.name):
            listing.staged.discard(file.name)
            for stored in storage.outputs(file.name):
                listing.take(stored, since)
        said = Said.of(file.metadata)
        if file.name in listing.staged and said and said.committed_at >= since:
            listing.commits.setdefault(said.commit_id, Files(said))


def read(
    storage: Storage, listing: Listing, *, deep: bool, progress: Progress
) -> dict[str, list[tuple[Commit, list[Finding]]]]:
    """Every commit with what its files hold, by source."""
    found: dict[str, list[tuple[Commit, list[Finding]]]] = {}
    total, done = sum(len(one.files) for one in listing.commits.values()), 0
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="audit") as pool:
        for some in batched(listing.commits.values(), CHUNK, strict=False):
            for commit, findings in pool.map(lambda one: _commit(storage, one, deep=deep), some):
                found.setdefault(commit.said.source, []).append((commit, findings))
                done += commit.files
            progress("read", done, total)
    return found


def _commit(storage: Storage, files: Files, *, deep: bool) -> tuple[Commit, list[Finding]]:
    """A commit, and what is wrong with its files."""
    commit, findings = Commit(files.said, len(files.files), rejected=0 if deep else None), []
    for format_, group in groupby(
        sorted(files.files, key=lambda one: one.name), lambda one: one.name.partition("/")[0]
    ):
        keys: list[Array] = []
        for file in group:
            try:
                rows = contents.count(storage, file)
                if deep and format_ == DEAD_LETTERS:
                    commit.rejected = (commit.rejected or 0) + _rejected(storage, file, commit.said)
                elif deep:
                    keys.append(_keys(storage, file, commit.said))
            except DamagedFile as error:
                findings.append(refuted("damaged", str(error)))
                commit.whole = False
                continue
            if rows != int(file.metadata["rows"]):
                findings.append(
                    refuted(
                        "rows_differ",
                        f"{file.name}: has {rows} rows, was written with {file.metadata['rows']}",
                    )
                )
            commit.lines += rows
            if format_ != DEAD_LETTERS:
                commit.rows[format_] = commit.rows.get(format_, 0) + rows
        twice = sum(map(len, keys)) - len(np.unique(np.concatenate(keys), axis=0)) if keys else 0
        if twice:
            findings.append(
                refuted(
                    "duplicates",
                    f"commit {commit.said.commit_id}: {twice} rows are twice in its {format_} files",
                )
            )
    return commit, findings


def _keys(storage: Storage, file: Stored, said: Said) -> Array:
    """Sequence number and index of each row. Raises DamagedFile if one is not of this commit."""
    spans, found = intervals(said.sequences), []
    origin = str(Source(*said.source.rsplit("/", 2)).origin)
    starts, ends = np.array([first for first, _ in spans]), np.array([last for _, last in spans])
    for sources, sequences, indexes in contents.keys(storage, file):
        if sources - {origin}:
            raise DamagedFile(f"{file.name}: holds rows of {min(sources - {origin})!r}, is of {said.source}")
        at = np.searchsorted(starts, sequences, "right") - 1
        strange = sequences[(at < 0) | (sequences > ends[at])]
        if len(strange):
            raise DamagedFile(f"{file.name}: holds sequence {strange[0]}, is of {said.sequences}")
        found.append(np.column_stack([sequences, indexes]))
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def _rejected(storage: Storage, file: Stored, said: Said) -> int:
    """How many rejections its dead letters count. Raises DamagedFile if one is not of this commit."""
    number = 0
    for line in contents.lines(storage, file):
        if line.get("source") != said.source:
            raise DamagedFile(
                f"{file.name}: holds a dead letter of {line.get('source')!r}, is of {said.source}"
            )
        number += sum(line["counts"].values())
    return number
