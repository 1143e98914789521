"""Replaces files that hold matching rows with files without them. The imperative shell."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from shared.compaction import erasures
from shared.compaction.compaction_state import CompactionState
from shared.compaction.compactor import Compactor
from shared.compaction.delta_tables import DeltaTables
from shared.compaction.own_files import is_own
from shared.compaction.summary import CompactionSummary
from shared.delta.log import DeltaLog
from shared.erasure import files
from shared.erasure.selection import Selection, tables
from shared.errors import DamagedFile, DeltaLogError, PreconditionFailed, StorageError
from shared.output.formats import FORMATS
from shared.output.layout import hour_of
from shared.policies import CompactionPolicy
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.stamp import Clock, NewId, Stamp
from shared.protocol.storage import DEAD_LETTERS, BlobInfo, LogStorage
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import table_of
from shared.timeunits import HOUR, microseconds

ATTEMPTS = 20
"""Maximum number of attempts in a folder that compaction keeps changing."""
TOO_RECENT = "is younger than COMPACT_QUIET"
"""The reason for leaving a file that can be replaced once it is old enough."""

type Progress = Callable[[str, int, int], None]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Erased:
    """The result of a search or an erasure."""

    rows: Counter[str] = field(default_factory=Counter)
    """Matching rows by format and table (`parquet/…`), and matching dead letters."""
    files: Counter[str] = field(default_factory=Counter)
    left: dict[str, str] = field(default_factory=dict)
    """Matching files that cannot be replaced now, each with the reason."""
    until: int = 0
    """When the last of the files that are too recent may be replaced (µs since 1970 UTC)."""
    kept: int = 0
    """Replaced files with matching rows that are kept for readers of older Delta snapshots."""
    kept_until: int = 0
    """When the last of the kept files is deleted (µs since 1970 UTC)."""
    unreadable: list[str] = field(default_factory=list)
    """Files that could not be searched, with the reason."""
    alarms: list[str] = field(default_factory=list)


class Eraser(Compactor):
    """Replaces files by means of compaction swaps. Safe while exporters, timers and compactors run."""

    def __init__(
        self,
        storage: LogStorage,
        policy: CompactionPolicy,
        selection: Selection,
        now: Clock,
        new_id: NewId,
    ) -> None:
        """Takes the arguments of `Compactor`, and the rows to erase."""
        super().__init__(storage, policy, now, new_id)
        self._selection = selection
        self._logs: DeltaTables | None = None

    def find(self, progress: Progress) -> Erased:
        """Returns what a run would erase. Writes nothing."""
        found, kept = Erased(), self._kept()
        for number, (_, listed) in enumerate(self._folders()):
            progress("search", number, 0)
            for file, rows in self._matching(listed, found):
                self._judge(file, rows, kept, set(), found)
        return found

    def erase(self, progress: Progress) -> Erased:
        """Replaces every matching file that may be replaced now.

        Files that appear after their folder was searched are not covered. Raises StorageError: what was
        replaced until then stays so.
        """
        done = Erased()
        for number, (folder, listed) in enumerate(self._folders()):
            progress("erase", number, 0)
            searched = Erased()
            if list(self._matching(listed, searched)):
                self._folder(folder, done)
            else:
                done.unreadable += searched.unreadable
        erasures.gather(self._storage, self._new_id())
        return done

    # -- folders -----------------------------------------------------------------------------------

    def _folders(self) -> Iterator[tuple[str, list[BlobInfo]]]:
        """Yields folders that may hold matching rows, with their files."""
        prefixes = [
            f"{format_}/{table.name}/date=" for format_ in FORMATS for table in tables(self._selection.column)
        ]
        for prefix in (*prefixes, f"{DEAD_LETTERS}/"):
            listing = self._storage.outputs(prefix)
            for folder, group in groupby(listing, lambda file: file.name[: file.name.rindex("/") + 1]):
                begins = hour_of(folder)
                # A later revision of a connection stays in the folder of the first one.
                revised = table_of(folder) is CONNECTIONS
                if revised or begins is None or begins + HOUR > self._selection.since:
                    yield folder, list(group)

    def _matching(self, listed: Sequence[BlobInfo], found: Erased) -> Iterator[tuple[BlobInfo, int]]:
        """Yields the matching files of this program, each with the number of matches."""
        for file in listed:
            if not file.visible or not _is_ours(file):
                continue
            try:
                rows = files.matches(self._storage, self._selection, file)
            except DamagedFile as error:
                found.unreadable.append(str(error))
                continue
            except PreconditionFailed as error:  # for example, the blob is in the archive tier
                found.unreadable.append(f"{file.name}: {error}")
                continue
            except StorageError:
                if self._storage.exists(file.name):
                    raise
                continue  # compaction or a lifecycle rule was faster
            if rows:
                yield file, rows

    def _folder(self, folder: str, done: Erased) -> None:
        """Replaces the files of a folder one at a time, starting from the newest state of compaction."""
        summary = CompactionSummary()
        for attempt in range(1, ATTEMPTS + 1):
            found = Erased()
            try:
                self._attempt(folder, found, done, summary)
                break
            except PreconditionFailed as refusal:
                log.warning("%s: refused (%d): %s", folder, attempt, refusal)
                if attempt == ATTEMPTS:
                    raise
        done.alarms += [alarm for alarm in summary.alarms if alarm not in done.alarms]

    def _attempt(self, folder: str, found: Erased, done: Erased, summary: CompactionSummary) -> None:
        state, etag = self._load()
        self._tables = DeltaTables(self._storage, self._policy, self._now, self._new_id, summary.alarm)
        if state.swap:
            state, etag = self._finish(state, etag, summary)
        self._logs = None
        if folder.startswith("parquet/"):
            state, etag = self._tables.open(state, etag)
            self._logs = self._tables
        # List after reading the state: while nobody else writes the state, no file of the folder is replaced.
        listed = list(self._storage.outputs(folder))
        kept = self._kept()
        matching = list(self._matching(listed, found))
        pending = self._listed([file for file, _ in matching]) if matching else set()
        for file, rows in matching:
            if not self._judge(file, rows, kept, pending, found):
                continue
            summary.pending_since = None
            replaced = False
            try:
                state, etag = self._replace(state, etag, file, summary)
                replaced = True
            except DamagedFile as error:
                found.unreadable.append(str(error))
            finally:
                # Once it is committed, somebody else may end the swap.
                if replaced or summary.pending_since is not None:
                    done.rows[_group(file)] += rows
                    done.files[_group(file)] += 1
        done.left |= found.left
        done.until = max(done.until, found.until)
        done.kept += found.kept
        done.kept_until = max(done.kept_until, found.kept_until)
        done.unreadable += found.unreadable

    def _replace(
        self, state: CompactionState, etag: str | None, file: BlobInfo, summary: CompactionSummary
    ) -> tuple[CompactionState, str]:
        self._check_erased([file])
        folder = file.name[: file.name.rindex("/") + 1]
        stamp = Stamp(self._new_id(), self._now())
        parquet, letters = file.name.endswith(".parquet"), folder.startswith(f"{DEAD_LETTERS}/")
        extension = "compact.parquet" if parquet else "jsonl.gz" if letters else "part.jsonl.gz"
        name = f"{folder}compacted-{state.ordinal + 1:012d}-{stamp.commit_id}.{extension}"
        output = files.without(self._storage, self._selection, file, name, stamp, self._policy.compression)
        return self._commit(state, etag, [file], output, summary, erases=True)

    # -- what may be replaced ------------------------------------------------------------------------

    def _judge(
        self, file: BlobInfo, rows: int, kept: dict[str, int], pending: set[str], found: Erased
    ) -> bool:
        """Returns whether a file may be replaced now; records its matches, or why it must be left."""
        quiet = microseconds(self._policy.quiet)
        committed = int(file.metadata["committed_at"])
        if file.name in kept:
            found.kept += 1
            found.kept_until = max(found.kept_until, kept[file.name])
            return False
        found.rows[_group(file)] += rows
        found.files[_group(file)] += 1
        if committed > self._now() - quiet:
            # A file that was committed recently could be brought back by a call that its sender abandoned.
            found.left[file.name] = TOO_RECENT
            found.until = max(found.until, committed + quiet)
        elif file.leased:
            found.left[file.name] = "has a lease"
        elif file.name in pending:
            found.left[file.name] = "is listed in a ledger until the timer has run"
        elif self._logs and not (self._logs.allows(file.name) and self._logs.live([file])):
            found.left[file.name] = "is not in the Delta log: compact_logs has to run first"
        return file.name not in found.left

    def _kept(self) -> dict[str, int]:
        """Returns the files that compaction replaced but kept, and when each is deleted."""
        state, _ = self._load()
        kept: dict[str, int] = {}
        for name in state.delta:
            table = table_of(f"parquet/{name}/")
            delta_log = DeltaLog(self._storage, table, self._now) if table else None
            try:
                snapshot = delta_log.load() if delta_log else None
            except DeltaLogError:
                continue  # no file of this table is replaced
            if delta_log and snapshot:
                keep = microseconds(self._policy.keep) + 2 * HOUR  # when a checkpoint is written
                tombstones = snapshot.tombstones.items()
                kept |= {delta_log.folder + path: one.at + keep for path, one in tombstones if one.kept}
        return kept


def _is_ours(file: BlobInfo) -> bool:
    if "compacted" in file.metadata or file.name.endswith(".parquet"):
        return is_own(file)
    of_connections = table_of(file.name) is CONNECTIONS
    read = CommitMetadata.of_connections if of_connections else CommitMetadata.of
    return read(file.metadata) is not None and {"bytes", "folder", "sha256", "rows"} <= file.metadata.keys()


def _group(file: BlobInfo) -> str:
    return "/".join(file.name.split("/")[: 1 if file.name.startswith(f"{DEAD_LETTERS}/") else 2])
