"""Compacts an hour's small files into larger ones with a crash-safe swap: the imperative shell."""

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby
from time import perf_counter

from shared import deadline, metrics, telemetry
from shared.compaction import compaction_state, erasures, grouping, own_files, rewriting
from shared.compaction.compaction_state import CompactionState, Swap
from shared.compaction.delta_tables import DeltaTables
from shared.compaction.erasures import ErasedFile
from shared.compaction.summary import CompactionSummary, Swapped
from shared.connections import manifest
from shared.connections.manifest import Manifest
from shared.errors import (
    DamagedFile,
    DeadlineExceeded,
    DeltaLogError,
    LedgerError,
    PreconditionFailed,
    StorageError,
)
from shared.policies import CompactionPolicy
from shared.protocol.ledger import Ledger, PendingFile
from shared.protocol.nested_storage import NestedStorage
from shared.protocol.stamp import Clock, NewId, Stamp
from shared.protocol.storage import BlobInfo, LogStorage, Publication, Storage
from shared.tables.registry import table_of
from shared.tables.table import Table
from shared.timeunits import SECOND

ATTEMPTS = 5
BUDGET = 240.0
"""Seconds after which a run starts nothing new; runs are ten minutes apart."""
SECONDS = 480.0
"""Maximum duration of a run in seconds; after its budget, it only finishes what it has started."""
STUCK = 300
"""Seconds after which an unfinished swap raises an alarm."""

log = logging.getLogger(__name__)


class Compactor:
    """Does the work of the timer `compact_logs`. If two run at once, the state blob decides which wins."""

    def __init__(
        self,
        storage: LogStorage,
        policy: CompactionPolicy,
        now: Clock,
        new_id: NewId,
        seconds: float = SECONDS,
    ) -> None:
        """`seconds`: the maximum duration of a run."""
        self._seconds = seconds
        self._target = policy.target
        self._storage = storage
        self._policy = policy
        self._now = now
        self._new_id = new_id

    def run(self, budget_seconds: float) -> CompactionSummary:
        """Finishes a swap in progress, then compacts until everything is done or the time is used up.

        Raises StorageError. The next run continues from what was committed.
        """
        with deadline.within(self._seconds):
            return self._run(budget_seconds)

    def _run(self, budget_seconds: float) -> CompactionSummary:
        summary = CompactionSummary()
        until = self._now() + int(budget_seconds * SECOND)
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._pass(until, summary)
                    self._target = min(self._policy.target, 2 * self._target)
                    break
                except PreconditionFailed as refusal:
                    # Another instance has made progress, or something prevents a deletion.
                    log.warning("conflict (%d): %s", attempt, refusal)
                    if attempt == ATTEMPTS:
                        self._stuck(summary, refusal)
        except (LedgerError, DeltaLogError) as error:
            summary.alarm(f"nothing is compacted: {error}")
        except StorageError as error:
            self._stuck(summary, error)
            raise
        finally:
            metrics.SWAP_AGE.record(summary.pending(self._now()), {})
            telemetry.alarmed("compact_logs", len(summary.alarms))
        return summary

    def _stuck(self, summary: CompactionSummary, error: StorageError) -> None:
        if summary.pending(self._now()) > STUCK:
            summary.alarm(f"a swap cannot be finished, so readers see its rows twice: {error}")

    def _pass(self, until: int, summary: CompactionSummary) -> None:
        """Lists the container once, and swaps the groups of files that it finds."""
        summary.pending_since = None
        state, etag = self._load()
        self._tables = DeltaTables(self._storage, self._policy, self._now, self._new_id, summary.alarm)
        if state.swap:
            summary.pending_since = state.swap.began
            state, etag = self._finish(state, etag, summary)
            summary.finished += 1
            summary.pending_since = None
        state, etag = self._tables.open(state, etag)
        self._tables.sweep()
        if not self._policy.enabled and not self._tables.versions:
            return
        # Hour by hour, because a day of a busy hub has more files than memory should hold.
        for folder, files in self._mergeable():
            if summary.left or not any(grouping.groups(files, self._target)):
                continue
            # This follows the listing of folders: a ledger lists a file before it becomes visible, and never
            # again after removing it. So visible files that are not listed now belong to complete commits.
            listed = self._listed(files)
            free = [file for file in files if file.name not in listed]
            for group in grouping.groups(free, self._target):
                if self._now() >= until:
                    summary.left = True
                    break
                try:
                    state, etag = self._swap(state, etag, folder, group, summary)
                except DamagedFile as error:
                    # Another instance may be swapping them: one of these files then has the rows of others.
                    self._check_unchanged(etag)
                    summary.alarm(f"{folder} is not compacted: {error}")
                    break
            if summary.left and not self._tables.versions:
                return
        self._tables.tidy()

    def _load(self) -> tuple[CompactionState, str | None]:
        blob = self._storage.read(compaction_state.NAME)
        return (CompactionState.parse(blob.data), blob.etag) if blob else (CompactionState(), None)

    def _check_unchanged(self, etag: str | None) -> None:
        """Raises PreconditionFailed if another instance has written the state since it had this ETag."""
        if self._load()[1] != etag:
            raise PreconditionFailed(f"{compaction_state.NAME}: another instance was faster")

    def _mergeable(self) -> Iterator[tuple[str, list[BlobInfo]]]:
        """Yields folders of past, quiet hours with their files. Updates the Delta logs after each listing."""
        now, quiet = self._now(), int(self._policy.quiet.total_seconds() * SECOND)
        others = [
            table
            for table in grouping.not_exported(now, self._policy)
            if next(self._storage.outputs(f"parquet/{table.name}/date="), None)
        ]
        for prefix in grouping.days(now, self._policy, others):
            day = self._tables.begin(prefix)
            for folder, group in groupby(
                self._storage.outputs(prefix), lambda one: one.name[: one.name.rindex("/") + 1]
            ):
                files = list(group)
                self._tables.take(day, files)
                if self._policy.enabled and self._tables.allows(folder):
                    mergeable = self._tables.live(grouping.mergeable(folder, files, now, quiet))
                    if len(mergeable) > 1:
                        yield folder, mergeable
            self._tables.end(prefix, day)

    def _listed(self, files: Sequence[BlobInfo]) -> set[str]:
        """Returns the files that any ledger or the manifest lists.

        Raises LedgerError if one of them cannot be read, or a partition of these files has no ledger.
        """
        ledgers, now = self._state(self._storage)
        manifests = [now]
        # The archive's ledgers are read only if a file may belong to one: most apps have no archive.
        if any(own_files.may_be_of_archive(file, now.manifest_id) for file in files):
            more, other = self._state(NestedStorage(self._storage))
            ledgers, manifests = ledgers + more, [now, other]
        here = {ledger.partition for ledger in ledgers}
        for file in files:
            partition = file.metadata.get("partition")
            if partition is not None and partition not in here:
                # Two apps with different states that compact the same files would keep every row twice.
                raise LedgerError(
                    f"{file.name}: {partition} has no ledger in the state container: it is lost "
                    "(restore it), or an app with another state container exports to this output "
                    "(give it another output container)"
                )
        lists = [*(one.files for one in ledgers), *(one.files for one in manifests)]
        return {file.name for files in lists for file in files}

    @staticmethod
    def _state(storage: Storage) -> tuple[list[Ledger], Manifest]:
        """Returns all ledgers of a state, and its manifest."""
        names = storage.names("ledgers/")
        *blobs, last = storage.read_all([*names, manifest.NAME])
        ledgers = [Ledger.parse(blob.data, name) for name, blob in zip(names, blobs, strict=True) if blob]
        return ledgers, Manifest.parse(last.data) if last else Manifest()

    # -- one swap ----------------------------------------------------------------------------------

    def _swap(
        self,
        state: CompactionState,
        etag: str | None,
        folder: str,
        group: Sequence[BlobInfo],
        summary: CompactionSummary,
    ) -> tuple[CompactionState, str]:
        """Merges and stages the files, commits the swap, publishes the output, and deletes the inputs.

        If it raises DamagedFile, nothing has changed.
        """
        began, table = perf_counter(), table_of(folder)
        assert table
        self._check_erased(group)
        stamp = Stamp(self._new_id(), self._now())
        name = f"{folder}compacted-{state.ordinal + 1:012d}-{stamp.commit_id}.compact.parquet"
        output, size = self._rewrite(table, group, name, stamp)
        shown = perf_counter()
        state, etag = self._commit(state, etag, group, output, summary)
        done = perf_counter()
        before, rows = sum(file.size for file in group), int(output.metadata["rows"])
        swapped = Swapped(table.name, len(group), before, size, rows, done - began, done - shown)
        swapped.report()
        summary.swaps.append(swapped)
        return state, etag

    def _check_erased(self, group: Sequence[BlobInfo]) -> None:
        """Raises DamagedFile if these files lack rows and no erasure is recorded for that."""
        if erasures.any_erased(group):
            known = erasures.known(self._storage)
            for file in group:
                if erasures.any_erased([file]) and not erasures.matches_record(file, known):
                    raise DamagedFile(f"{file.name} lacks rows that were not erased; run the audit")

    def _commit(
        self,
        state: CompactionState,
        etag: str | None,
        group: Sequence[BlobInfo],
        output: PendingFile,
        summary: CompactionSummary,
        *,
        erases: bool = False,
    ) -> tuple[CompactionState, str]:
        """Commits the swap that replaces files of one folder with a staged output, and finishes it."""
        if "erased" in output.metadata or erases:
            erased, letters = (int(output.metadata.get(name, "0")) for name in ("erased", "letters"))
            noted = ErasedFile(
                name=output.name, sha256=output.metadata["sha256"], erased=erased, letters=letters
            )
            erasures.note(self._storage, noted, output.metadata["commit_id"])
        folder = output.metadata["folder"]
        inputs = tuple(one.name.removeprefix(folder) for one in group)
        swap = Swap(folder=folder, inputs=inputs, output=output, began=self._now(), erases=erases)
        state = state.with_versions(self._tables.versions).beginning(swap)
        etag = self._storage.write(compaction_state.NAME, state.dump(), etag)
        summary.pending_since = swap.began
        state, etag = self._finish(state, etag, summary)
        summary.pending_since = None
        return state, etag

    def _rewrite(
        self, table: Table, group: Sequence[BlobInfo], name: str, stamp: Stamp
    ) -> tuple[PendingFile, int]:
        """Stages the merged file. If time runs out, the next attempt merges half as much."""
        try:
            return rewriting.rewrite(self._storage, table, group, name, stamp, self._policy.compression)
        except StorageError as error:
            if isinstance(error, DeadlineExceeded) or deadline.left() <= 0:
                self._target = sum(file.size for file in group) // 2
            raise

    def _finish(
        self, state: CompactionState, etag: str | None, summary: CompactionSummary
    ) -> tuple[CompactionState, str]:
        """Publishes the output, logs it, and deletes the inputs; the swap ends once they are gone.

        That may take several runs if storage is slow; each deletes the remaining inputs.

        A swap whose output is neither staged nor visible is abandoned: its blocks expired, or somebody
        deleted it. The remaining inputs then stay.
        """
        swap = state.swap
        assert swap
        assert etag
        name = swap.output.name
        (outcome,) = self._storage.publish([swap.output])
        if outcome is Publication.BLOCKS_GONE and not self._storage.exists(name):
            self._check_unchanged(etag)
            self._tables.log_given_up(swap, state)
            summary.alarm(f"{name}: neither visible nor staged: its blocks expired, or it was deleted")
        elif not self._tables.log_swap(swap, state, etag):
            left = {file.name for file in self._storage.outputs(swap.folder)}
            self._storage.remove([name for name in swap.names if name in left])
        state = state.with_versions(self._tables.versions).ended()
        return state, self._storage.write(compaction_state.NAME, state.dump(), etag)
