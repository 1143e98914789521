"""Reads ledgers and files like any other reader, and reports for each partition what they prove."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from shared.audit import delta_logs
from shared.audit.chain import Tail
from shared.audit.compacted_files import CompactedFiles, state
from shared.audit.evidence import Commit, Finding, Level, refuted, worst_first
from shared.audit.listing import Listing, Progress, late, read
from shared.audit.proof import prove, prove_connections
from shared.connections import manifest
from shared.connections.manifest import Manifest
from shared.errors import DeltaLogError, LedgerError
from shared.input.hub_partition import ARCHIVE, is_archive
from shared.protocol import stored_documents
from shared.protocol.commit_metadata import CONNECTIONS
from shared.protocol.ledger import Counts, Ledger
from shared.protocol.nested_storage import NestedStorage
from shared.protocol.storage import LogStorage, Storage
from shared.wording import counted

OK, WRONG, UNKNOWN = 0, 1, 2
"""Exit statuses: proven, refuted, undecided."""


@dataclass(slots=True)
class Audited:
    """The findings on one partition, or on files that belong to none."""

    partition: str
    ledger: Ledger | None = None
    files: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status: 0 proven, 1 refuted, 2 undecided."""
        levels = {one.level for one in self.findings}
        return WRONG if Level.REFUTED in levels else UNKNOWN if Level.UNCLEAR in levels else OK

    @property
    def counts(self) -> Counts:
        """The counts in its ledger."""
        return self.ledger.counts if self.ledger else Counts()


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an audit."""

    partitions: tuple[Audited, ...]
    staged: int
    """Files that were staged but never committed, by failed attempts. Azure deletes them after a week."""
    unread: tuple[str, ...] = ()
    """What this audit did not examine: its verdict does not cover it."""

    @property
    def status(self) -> int:
        """The exit status: 0 proven, 1 refuted, 2 undecided."""
        each = {one.status for one in self.partitions}
        judged = any(one.ledger for one in self.partitions)
        return WRONG if WRONG in each else UNKNOWN if UNKNOWN in each or not judged else OK


def audit(storage: LogStorage, since: int, *, deep: bool, progress: Progress) -> Report:
    """Audits everything committed at `since` (µs since 1970 UTC; 0: the beginning) or later. Writes nothing.

    The exporter may keep running: the audit ignores commits made after it began. With `deep`, it also reads
    the partition, sequence number and index of every row; otherwise it reads only the footers of Parquet
    files.
    """
    archive = NestedStorage(storage)
    seen, seen_archive = manifest.load(storage), manifest.load(archive)
    before, problems = _all_ledgers(storage, archive)
    listing = Listing()
    compacted = CompactedFiles(storage, listing, since, state(storage))
    _list(storage, listing, since, progress)
    compacted.run(deep=deep, progress=progress)
    after, _ = _all_ledgers(
        storage, archive
    )  # after the listing, so no listed file belongs to a later commit
    for ledger in before.values():
        late(storage, ledger.files, listing, since)
    late(storage, (*seen.files, *seen_archive.files), listing, since)
    found = read(storage, listing, deep=deep, progress=progress)
    audited = []
    shown = {one.metadata.partition for one in listing.commits.values()} - {CONNECTIONS}
    for partition in sorted({*before, *seen.partitions, *seen_archive.partitions, *shown}):
        one = Audited(partition, before.get(partition))
        commits = found.get(partition, [])
        for commit, findings in commits:
            one.files += commit.files
            one.rows += sum(commit.rows.values())
            one.findings += findings
        one.findings += _judge(
            partition,
            before,
            after,
            seen_archive if is_archive(partition) else seen,
            [commit for commit, _ in commits],
            listing,
            since,
        )
        one.findings = list(worst_first(one.findings))
        if one.ledger or one.findings:
            audited.append(one)
    of_archive = {seen_archive.manifest_id, manifest.load(archive).manifest_id} - {""}
    finished = found.get(CONNECTIONS, [])
    live = [one for one in finished if one[0].metadata.ledger_id not in of_archive]
    others = [one for one in finished if one[0].metadata.ledger_id in of_archive]
    both = (
        _connections(CONNECTIONS, storage, seen, live, listing, since),
        _connections(f"{ARCHIVE}: {CONNECTIONS}", archive, seen_archive, others, listing, since),
    )
    audited += [connections for connections in both if connections.files or connections.findings]
    audited += [
        Audited(name, findings=[Finding(Level.UNCLEAR, "unreadable", text)]) for name, text in problems
    ]
    audited += _delta(storage, compacted)
    strange = listing.foreign + compacted.findings
    if strange:
        audited.append(Audited("files", findings=list(worst_first(strange))))
    if not compacted.settled:
        for one in audited:
            one.findings = [
                replace(found, level=Level.UNCLEAR) if found.level is Level.REFUTED else found
                for found in one.findings
            ]
    listed = {file.name for ledger in (*before.values(), *after.values()) for file in ledger.files}
    return Report(tuple(audited), len(listing.staged - listed), tuple(_unread(listing, since, deep=deep)))


def _delta(storage: LogStorage, compacted: CompactedFiles) -> Iterator[Audited]:
    """Audits the newest snapshot of each Delta log."""
    for delta_log in delta_logs.logs(storage, compacted.known):
        one = Audited(f"{delta_log.folder}_delta_log")
        try:
            snapshot, findings = delta_logs.prove(delta_log, storage, compacted.known, compacted.replaced)
            one.findings = list(worst_first(findings))
            one.files = snapshot.files
            one.rows = sum(file.rows for files in snapshot.live.values() for file in files.values())
        except DeltaLogError as error:
            one.findings = [refuted("delta_unreadable", str(error))]
        yield one


def _unread(listing: Listing, since: int, *, deep: bool) -> Iterator[str]:
    """Describes what the audit did not examine."""
    if since > 0:
        yield "files that were committed before --since"
    if deep:
        return
    exported = [file for commit in listing.commits.values() for file in commit.files]
    parquet = [file for file in (*exported, *listing.compacted) if file.name.endswith(".parquet")]
    if parquet:
        total = sum(file.size for file in parquet)
        yield f"values in {counted(len(parquet), 'Parquet file')} ({total:,} bytes): only footers are read"
    yield "partition, sequence number and index of each row, and the rejections in dead letters"


def _list(storage: Storage, listing: Listing, since: int, progress: Progress) -> None:
    for number, file in enumerate(storage.outputs("")):
        listing.take(file, since)
        if number % 1000 == 0:
            progress("list", number, 0)


def _all_ledgers(*storages: Storage) -> tuple[dict[str, Ledger], list[tuple[str, str]]]:
    """Returns all ledgers by partition, and the name and the problem of each one that cannot be read."""
    problems: list[tuple[str, str]] = []

    def unreadable(name: str, error: LedgerError) -> None:
        problems.append((name, str(error)))

    ledgers = {
        ledger.partition: ledger
        for storage in storages
        for _, ledger, _ in stored_documents.read_ledgers(storage, unreadable)
    }
    return ledgers, problems


def _judge(
    partition: str,
    before: dict[str, Ledger],
    after: dict[str, Ledger],
    seen: Manifest,
    commits: Sequence[Commit],
    listing: Listing,
    since: int,
) -> Iterator[Finding]:
    """Audits a partition, given its ledger before and after its files were listed."""
    ledger, now = before.get(partition), after.get(partition)
    if now is None:
        if ledger or commits or seen.partitions[partition].ledger_id:
            yield refuted(
                "no_ledger",
                "its ledger is missing: restore it, or accept its loss (python -m shared accept-ledger)",
            )
        return
    replaced = ledger and (ledger.ledger_id != now.ledger_id or ledger.ordinal > now.ordinal)
    if replaced or seen.rolled_back(now):
        yield refuted(
            "rolled_back", "its ledger is older than the one that the timer has seen, or a different one"
        )
    if ledger is None:
        return
    others = [commit for commit in commits if commit.metadata.ledger_id != ledger.ledger_id]
    if others:
        rows = sum(sum(commit.rows.values()) for commit in others)
        yield refuted(
            "other_ledger",
            f"{counted(len(others), 'commit belongs', 'commits belong')} to an earlier ledger, which was "
            f"replaced ({counted(rows, 'row')}): rows may be duplicated; limit the audit with --since",
        )
    own = [commit for commit in commits if commit.metadata.ledger_id == ledger.ledger_id]
    above = [commit.metadata.ordinal for commit in own if commit.metadata.ordinal > now.ordinal]
    if above:
        yield refuted(
            "rolled_back",
            f"files of {counted(len(above), 'commit')} up to ordinal {max(above)} exist, "
            f"but its ledger is at {now.ordinal}: it was rolled back; restore it",
        )
    for commit in own:
        listed = {
            file.name for file in ledger.files if file.metadata["commit_id"] == commit.metadata.commit_id
        }
        commit.unpublished = len(listed & listing.staged)
    known = [commit for commit in own if commit.metadata.ordinal <= ledger.ordinal]
    yield from prove(ledger, known, listing.anchors.get((partition, ledger.ledger_id)), since)


def _connections(
    name: str,
    storage: Storage,
    seen: Manifest,
    found: Sequence[tuple[Commit, list[Finding]]],
    listing: Listing,
    since: int,
) -> Audited:
    """Audits the files of finished connections, given the manifest before they were listed."""
    one = Audited(name)
    for commit, findings in found:
        one.files += commit.files
        one.rows += sum(commit.rows.values())
        one.findings += findings
    now = manifest.load(storage)
    own = [commit for commit, _ in found if commit.metadata.ledger_id == now.manifest_id]
    others = len(found) - len(own)
    if others:
        one.findings.append(
            refuted(
                "other_ledger",
                f"{counted(others, 'commit belongs', 'commits belong')} to an earlier state table, which "
                "was replaced: rows may be duplicated; limit the audit with --since",
            )
        )
    above = [commit.metadata.ordinal for commit in own if commit.metadata.ordinal > now.ordinal]
    if above or now.ordinal < seen.ordinal:
        one.findings.append(
            refuted(
                "rolled_back", f"{manifest.NAME} is at ordinal {now.ordinal}: it was rolled back; restore it"
            )
        )
    if now.manifest_id == seen.manifest_id:
        for commit in own:
            listed = {
                file.name for file in seen.files if file.metadata["commit_id"] == commit.metadata.commit_id
            }
            commit.unpublished = len(listed & listing.staged)
        tail = Tail(
            f"{manifest.NAME}, ordinal {seen.ordinal}",
            seen.written_files,
            len(seen.lost),
            seen.committed_at,
            seen.chain,
        )
        known = [commit for commit in own if commit.metadata.ordinal <= seen.ordinal]
        one.findings += prove_connections(
            tail, known, listing.anchors.get((CONNECTIONS, seen.manifest_id)), since
        )
    one.findings = list(worst_first(one.findings))
    return one
