"""Compares the newest snapshot of each Delta log with the folders; safe while compaction runs."""

from collections.abc import Iterable, Iterator, Mapping

from shared.audit.evidence import Finding, Level, refuted
from shared.compaction.compaction_state import NEW, CompactionState
from shared.compaction.own_files import is_own
from shared.delta.log import DeltaLog
from shared.delta.reconciliation import ListedDay
from shared.delta.snapshot import Snapshot, day_of
from shared.errors import DeltaLogError
from shared.protocol.storage import LogStorage
from shared.tables.registry import TABLES
from shared.timeunits import HOUR
from shared.wording import counted

SETTLED = HOUR
"""The log must list files committed at least this long (µs) before its last comparison with all folders."""


def logs(storage: LogStorage, state: CompactionState) -> Iterator[DeltaLog]:
    """Yields the logs that compaction maintains, without reading them."""
    for name in sorted(state.delta):
        if name in TABLES:
            yield DeltaLog(storage, TABLES[name], lambda: 0)


def kept_files(storage: LogStorage, state: CompactionState) -> set[str]:
    """Returns the files that compaction replaced and kept in their folders for readers of older snapshots."""
    kept: set[str] = set()
    for delta_log in logs(storage, state):
        try:
            snapshot = delta_log.load()
        except DeltaLogError:
            continue  # `prove` reports it
        if snapshot:
            kept |= {delta_log.folder + path for path, one in snapshot.tombstones.items() if one.kept}
    return kept


def prove(
    delta_log: DeltaLog, storage: LogStorage, state: CompactionState, replaced: Mapping[str, Iterable[str]]
) -> tuple[Snapshot, list[Finding]]:
    """Returns the newest snapshot and its problems.

    In a correct snapshot, every file exists, no row is in two files, and every file that was committed
    before the last complete comparison is included. Raises DeltaLogError.

    Args:
        delta_log: a log that is not read yet.
        storage: the storage of the log.
        state: the state of compaction, which was read earlier.
        replaced: for each compacted file, the names of the files that it replaced.
    """
    snapshot, known = delta_log.load(), state.delta[delta_log.table]
    if snapshot is None:
        if known == NEW:
            note = Finding(Level.NOTE, "delta_new", f"{delta_log.folder}_delta_log is about to be created")
            return Snapshot(), [note]
        raise DeltaLogError(
            f"{delta_log.folder}_delta_log is missing; the next run of compact_logs creates it"
        )
    if snapshot.version < known:
        raise DeltaLogError(
            f"{delta_log.folder}_delta_log ends at version {snapshot.version}, but was at {known}: the next "
            "run of compact_logs compares all folders with it"
        )
    listed: dict[str, ListedDay] = {}
    for file in storage.outputs(f"{delta_log.folder}date="):
        path = file.name.removeprefix(delta_log.folder)
        day = day_of(path)
        listed.setdefault(day, ListedDay(day, 0)).take(path, file, own=is_own(file))
    # Only what differs from the snapshots both before and after the listing is an error, not timing.
    before = {day: dict(files) for day, files in snapshot.live.items()}
    swept_at = snapshot.swept_at
    delta_log.follow()
    findings = [*_gone(delta_log, before, listed), *_missing(delta_log, swept_at, listed)]
    return snapshot, findings + list(_twice(delta_log, replaced))


def _gone(
    delta_log: DeltaLog, before: Mapping[str, Iterable[str]], listed: Mapping[str, ListedDay]
) -> Iterator[Finding]:
    for day, paths in before.items():
        present = listed[day].present if day in listed else set()
        for path in paths:
            if path not in present and delta_log.snapshot.is_live(path):
                yield refuted(
                    "delta_file_gone",
                    f"{delta_log.folder}{path} is in the Delta log but not in its folder; the next run of "
                    "compact_logs removes it from the log",
                )


def _missing(delta_log: DeltaLog, swept_at: int, listed: Mapping[str, ListedDay]) -> Iterator[Finding]:
    oldest = min(
        (file.committed_at for files in delta_log.snapshot.live.values() for file in files.values()),
        default=0,
    )
    unsettled = expired = 0
    for day in listed.values():
        for path, file in day.own.items():
            if delta_log.snapshot.knows(path):
                continue
            if file.committed_at < oldest:
                expired += 1
            elif file.committed_at < swept_at - SETTLED:
                yield refuted("delta_file_missing", f"{delta_log.folder}{path} is not in the Delta log")
            else:
                unsettled += 1
    if unsettled:
        yield Finding(
            Level.NOTE,
            "delta_behind",
            f"{delta_log.folder}_delta_log does not list {counted(unsettled, 'newer file')} yet",
        )
    if expired:
        yield Finding(
            Level.NOTE,
            "delta_expired",
            f"{delta_log.folder}_delta_log does not list {counted(expired, 'file')} older than "
            "all files in it: it drops files a day before PARQUET_RETENTION ends",
        )


def _twice(delta_log: DeltaLog, replaced: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    for name, origins in replaced.items():
        path = name.removeprefix(delta_log.folder)
        if path == name or not delta_log.snapshot.is_live(path):
            continue
        for origin in origins:
            if delta_log.snapshot.is_live(origin.removeprefix(delta_log.folder)):
                yield refuted(
                    "delta_duplicates",
                    f"{origin} is in the Delta log together with {path}, which replaced it",
                )
