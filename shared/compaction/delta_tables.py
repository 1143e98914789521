"""Keeps the Delta logs of all tables in line with their folders, as part of a run of compaction."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

from shared.compaction import compaction_state
from shared.compaction.compaction_state import NEW, CompactionState, Swap
from shared.compaction.own_files import is_own
from shared.delta import reconciliation, table_metadata
from shared.delta.log import DeltaLog
from shared.delta.reconciliation import ListedDay
from shared.delta.snapshot import Action, LoggedFile, Snapshot, Swept, day_of
from shared.errors import DeltaLogError, PreconditionFailed
from shared.policies import CompactionPolicy
from shared.protocol import stored_documents
from shared.protocol.stamp import Clock, NewId
from shared.protocol.storage import BlobInfo, LogStorage
from shared.tables.registry import TABLES, table_of
from shared.timeunits import DAY, microseconds

MARGIN = DAY
"""The log drops a file this long (µs) before lifecycle rules delete it."""

log = logging.getLogger(__name__)


class DeltaTables:
    """The Delta logs in one pass of a run. A table without a log is left alone."""

    def __init__(
        self,
        storage: LogStorage,
        policy: CompactionPolicy,
        now: Clock,
        new_id: NewId,
        alarm: Callable[[str], None],
    ) -> None:
        """`alarm` receives problems for an operator."""
        self._storage = storage
        self._policy = policy
        self._now = now
        self._new_id = new_id
        self._alarm = alarm
        self._logs: dict[str, DeltaLog] = {}
        self._stopped: set[str] = set()

    def open(self, state: CompactionState, etag: str | None) -> tuple[CompactionState, str | None]:
        """Loads the logs, and creates missing ones. No swap may be in progress."""
        for table in TABLES.values():
            if not self._policy.delta and table.name not in state.delta:
                continue
            delta_log = DeltaLog(self._storage, table, self._now)
            try:
                snapshot = delta_log.load()
                known = state.delta.get(table.name)
                if snapshot is None and known is None and not self._has_files(delta_log):
                    continue
                if snapshot is None:
                    state, etag = self._create(delta_log, table.name, state, etag)
                elif known is None:
                    # The state of compaction was lost. After this write, an older program begins no swap.
                    state, etag = self._note(table.name, snapshot.version, state, etag)
                elif snapshot.version < known:
                    self._cut_off(delta_log, known)
                self._logs[table.name] = delta_log
                delta_log.append(partial(table_metadata.extended, table), "ADD COLUMNS")
            except DeltaLogError as error:
                self._stop(table.name, error)
        return state, etag

    def _has_files(self, delta_log: DeltaLog) -> bool:
        """Whether the table has any file: a table whose category is not exported needs no log."""
        return next(iter(self._storage.outputs(f"{delta_log.folder}date=")), None) is not None

    def _create(
        self, delta_log: DeltaLog, table: str, state: CompactionState, etag: str | None
    ) -> tuple[CompactionState, str | None]:
        if state.delta.get(table, NEW) != NEW and self._policy.keep:
            raise DeltaLogError(
                f"{delta_log.folder}_delta_log is missing, and with it the list of replaced files that "
                "are kept: run `python -m shared delta --rebuild`"
            )
        # This precedes version 0, so that an older program, which logs no swap, begins none.
        state, etag = self._note(table, NEW, state, etag)
        try:
            delta_log.create(self._new_id())
        except PreconditionFailed:
            if delta_log.load() is None:
                raise
        return state, etag

    def _note(
        self, table: str, version: int, state: CompactionState, etag: str | None
    ) -> tuple[CompactionState, str]:
        state = state.with_delta(table, version)
        return state, self._storage.write(compaction_state.NAME, state.dump(), etag)

    def _cut_off(self, delta_log: DeltaLog, known: int) -> None:
        found = delta_log.snapshot.version
        if self._policy.keep:
            raise DeltaLogError(
                f"{delta_log.folder}_delta_log ends at version {found}, but was at {known}: it may lack "
                "replaced files that are kept: run `python -m shared delta --rebuild`"
            )
        log.warning("%s_delta_log ends at version %d, but was at %d", delta_log.folder, found, known)
        delta_log.snapshot.swept_at = 0  # compares all days now

    @property
    def versions(self) -> dict[str, int]:
        """Returns the newest version of each table's log."""
        return {name: delta_log.snapshot.version for name, delta_log in self._logs.items()}

    def allows(self, folder: str) -> bool:
        """Whether files of this folder may be compacted: not if its table's log cannot be trusted."""
        table = table_of(folder)
        return table is not None and table.name not in self._stopped

    def live(self, files: Sequence[BlobInfo]) -> list[BlobInfo]:
        """Returns the files of one table that may be replaced: all, or only those that its log lists."""
        delta_log = self._log_of(files[0].name) if files else None
        if delta_log is None:
            return list(files)
        return [
            file for file in files if delta_log.snapshot.is_live(file.name.removeprefix(delta_log.folder))
        ]

    # -- reconciling -------------------------------------------------------------------------------

    def begin(self, prefix: str) -> ListedDay | None:
        """Reads the log before a day's folders (`parquet/<table>/date=…/`) are listed; None without a log."""
        delta_log = self._log_of(prefix)
        if delta_log is None:
            return None
        try:
            delta_log.follow()
        except DeltaLogError as error:
            self._stop(delta_log.table, error)
            return None
        return ListedDay(day_of(prefix.removeprefix(delta_log.folder)), delta_log.snapshot.version)

    def take(self, listed: ListedDay | None, files: Sequence[BlobInfo]) -> None:
        """Adds files to the listing that `begin` started."""
        for file in files if listed else ():
            assert listed
            listed.take(file.name.split("/", 2)[2], file, own=is_own(file))

    def end(self, prefix: str, listed: ListedDay | None) -> None:
        """Brings the log in line with the listing, which is complete."""
        delta_log = self._log_of(prefix)
        if delta_log and listed:
            try:
                self._reconcile(delta_log, listed)
            except DeltaLogError as error:
                self._stop(delta_log.table, error)

    def _reconcile(self, delta_log: DeltaLog, listed: ListedDay) -> None:
        if not self._decide(delta_log.snapshot, listed, None):
            return
        pending = self._pending_output(delta_log)
        delta_log.append(lambda snapshot: self._decide(snapshot, listed, pending), "RECONCILE")

    def _decide(self, snapshot: Snapshot, listed: ListedDay, pending: str | None) -> Sequence[Action]:
        return reconciliation.reconcile(snapshot, listed, pending, self._oldest, self._now())

    def _pending_output(self, delta_log: DeltaLog) -> str | None:
        """Reads the output of the swap in progress, after the listing."""
        state = stored_documents.read(self._storage, compaction_state.NAME, CompactionState.parse)
        return state.swap.output.name.removeprefix(delta_log.folder) if state and state.swap else None

    def sweep(self) -> None:
        """Once a day, compares all folders with the log, including files of any age and deleted days."""
        for table, delta_log in list(self._logs.items()):
            try:
                self._expire(delta_log)
                if delta_log.snapshot.swept_at // DAY != self._now() // DAY:
                    self._sweep(delta_log)
            except DeltaLogError as error:
                self._stop(table, error)

    def _sweep(self, delta_log: DeltaLog) -> None:
        now, base = self._now(), delta_log.snapshot.version
        days = set()
        files = self._storage.outputs(f"{delta_log.folder}date=")
        for day, group in groupby(files, lambda file: file.name.split("/")[2]):
            listed = ListedDay(day, base)
            days.add(day)
            for file in group:
                self.take(listed, [file])
            self._reconcile(delta_log, listed)
        for day in delta_log.snapshot.live.keys() - days:
            self._reconcile(delta_log, ListedDay(day, base))
        delta_log.append(partial(_swept, now), "SWEEP")

    def _expire(self, delta_log: DeltaLog) -> None:
        """Drops files that lifecycle rules will delete within a day, so that no reader requests them."""
        if self._oldest:
            delta_log.append(
                lambda snapshot: reconciliation.expired(snapshot, self._oldest, self._now()), "EXPIRE"
            )

    @property
    def _oldest(self) -> int:
        retention = microseconds(self._policy.retention)
        return self._now() - retention + MARGIN if retention else 0

    def tidy(self) -> None:
        """Writes checkpoints that are due, and deletes old versions and replaced files."""
        for delta_log in self._logs.values():
            delta_log.checkpoint(microseconds(self._policy.keep))

    # -- swaps -------------------------------------------------------------------------------------

    def log_swap(self, swap: Swap, state: CompactionState, etag: str) -> bool:
        """Replaces a swap's inputs with its visible output in the log; returns whether to keep the inputs.

        Raises DeltaLogError, and PreconditionFailed if another process ended the swap.
        """
        delta_log = self._for_swap(swap, state)
        if delta_log is None:
            return False
        self._check_unchanged(etag)
        inputs = [name.removeprefix(delta_log.folder) for name in swap.names]
        output = swap.output.name.removeprefix(delta_log.folder)
        file = reconciliation.logged(int(swap.output.metadata["bytes"]), swap.output.metadata)
        kept = bool(self._policy.keep) and not swap.erases
        delta_log.append(
            lambda snapshot: reconciliation.swapped(
                snapshot, inputs, output, file, self._now(), kept=kept, same_rows=not swap.erases
            ),
            "DELETE" if swap.erases else "COMPACT",
        )
        return kept

    def _check_unchanged(self, etag: str) -> None:
        """Raises PreconditionFailed if another process ended the swap: its output may be compacted by now."""
        blob = self._storage.read(compaction_state.NAME)
        if blob is None or blob.etag != etag:
            raise PreconditionFailed(f"{compaction_state.NAME}: another instance was faster")

    def log_given_up(self, swap: Swap, state: CompactionState) -> None:
        """Adds the remaining inputs of a swap again, because its output is lost."""
        delta_log = self._for_swap(swap, state)
        if delta_log is None:
            return
        left: dict[str, LoggedFile] = {
            file.name.removeprefix(delta_log.folder): reconciliation.logged(file.size, file.metadata)
            for file in self._storage.outputs(swap.folder)
            if file.visible and file.name in swap.names
        }
        output = swap.output.name.removeprefix(delta_log.folder)
        delta_log.append(
            lambda snapshot: reconciliation.given_up(snapshot, left, output, self._now()), "GIVE UP"
        )

    def _for_swap(self, swap: Swap, state: CompactionState) -> DeltaLog | None:
        """Loads the newest version of the log of a swap's table; None if there is no log."""
        table = table_of(swap.folder) if swap.folder.startswith("parquet/") else None
        if table is None or table.name not in state.delta:
            return None
        delta_log = self._logs.get(table.name)
        if delta_log:
            delta_log.follow()
            return delta_log
        delta_log = DeltaLog(self._storage, table, self._now)
        if delta_log.load() is None:
            if self._policy.keep:
                raise DeltaLogError(
                    f"{delta_log.folder}_delta_log is missing: run `python -m shared delta --rebuild`"
                )
            return None
        return delta_log

    def _log_of(self, name: str) -> DeltaLog | None:
        table = table_of(name)
        return self._logs.get(table.name) if table else None

    def _stop(self, table: str, error: DeltaLogError) -> None:
        self._alarm(f"{table} is neither logged nor compacted: {error}")
        self._logs.pop(table, None)
        self._stopped.add(table)


def _swept(at: int, snapshot: Snapshot) -> list[Swept]:
    return [Swept(at)] if snapshot.swept_at < at else []
