"""`delta`: shows, recreates or removes the Delta logs."""

import argparse
from dataclasses import replace
from itertools import groupby
from typing import Any

from shared.audit import compacted_files, delta_logs
from shared.audit.audit import OK, WRONG
from shared.audit.contents import files_replaced
from shared.clock import new_id, now
from shared.commands.connection import configured, connect
from shared.commands.console import RED, YELLOW, confirmed, paint, say, wrapped
from shared.commands.declaration import SETTINGS, command
from shared.compaction import compaction_state
from shared.compaction.compaction_state import CompactionState
from shared.compaction.compactor import BUDGET, Compactor
from shared.compaction.own_files import is_own
from shared.delta.log import FOLDER
from shared.errors import DeltaLogError, SettingError
from shared.policies import CompactionPolicy
from shared.protocol.ownership import Ownership
from shared.protocol.storage import LogStorage
from shared.tables.registry import TABLES
from shared.timeunits import DAY, SECOND
from shared.wording import counted


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        config = configured()
        storage, policy = connect(config), config.compaction_policy
        if not (options.rebuild or options.remove):
            return show(storage)
        if options.remove:
            check_off(policy)
        how = "permanently" if options.remove else "and recreates them with new table ids"
        tables = ", ".join(sorted(compacted_files.state(storage).delta)) or "no table"
        say(f"This deletes the Delta logs {how}: {tables}. It also deletes replaced files that were kept.")
        if not confirmed("Readers of the Delta tables fail until it is done.", yes=options.yes):
            return WRONG
        return remove(storage, policy) if options.remove else rebuild(storage, policy)

    parser = command(
        commands,
        "delta",
        run,
        "Shows the Delta log of each table: version, files, and what differs from the folders.",
        "With --rebuild, it finishes a swap in progress, deletes replaced files that were kept, deletes the\n"
        "logs, and recreates them with new table ids. With --remove, it deletes the logs permanently.\n"
        "Set COMPACT_ENABLED and DELTA_LOG to false first, and wait ten minutes, so that no run of\n"
        "compact_logs is in progress; readers fail until the command is done.\n"
        f"Exit status: 0 no difference, or done, 1 something differs, 2 the command failed.\n{SETTINGS}",
        "  python -m shared delta\n  python -m shared delta --rebuild\n"
        "  python -m shared delta --remove --yes",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--rebuild", action="store_true", help="recreate the logs from the folders")
    group.add_argument("--remove", action="store_true", help="delete the logs; DELTA_LOG must be false")
    parser.add_argument("--yes", action="store_true", help="make the change without asking")


def show(storage: LogStorage) -> int:
    """Prints the state of each log."""
    state = compacted_files.state(storage)
    if not state.delta:
        say("No table has a Delta log: set DELTA_LOG to true")
    status = OK
    for delta_log in delta_logs.logs(storage, state):
        name = f"{delta_log.folder}{FOLDER}"
        try:
            snapshot, findings = delta_logs.prove(delta_log, storage, state, {})
        except DeltaLogError as error:
            say(f"{name}: {paint(str(error), RED)}")
            status = WRONG
            continue
        rows = sum(file.rows for files in snapshot.live.values() for file in files.values())
        kept = sum(one.kept for one in snapshot.tombstones.values())
        hours = (now() - snapshot.swept_at) / SECOND / 3600
        swept = f"{hours:.1f} hours ago" if snapshot.swept_at else "never"
        for line in wrapped(
            f"{name}: version {snapshot.version}, {counted(snapshot.files, 'file')}, {counted(rows, 'row')}, "
            f"{counted(kept, 'replaced file')} kept; all folders compared {swept}"
        ):
            say(line)
        if now() - snapshot.swept_at > 2 * DAY:
            say(paint("  the comparison is more than two days old: is compact_logs running?", YELLOW))
        for finding in findings:
            for line in wrapped(f"{finding.level.value}: {finding.message}", indent="  "):
                say(line)
        if any(finding.level.value == "refuted" for finding in findings):
            status = WRONG
    return status


def rebuild(storage: LogStorage, policy: CompactionPolicy) -> int:
    """Deletes the logs and recreates them from the folders."""
    if not take_down(storage):
        say("No table has a Delta log: set DELTA_LOG to true")
        return WRONG
    made = Compactor(storage, replace(policy, enabled=False, delta=True), now, new_id).run(BUDGET)
    for alarm in made.alarms:
        say(paint(alarm, RED))
    return WRONG if made.alarms else show(storage)


def remove(storage: LogStorage, policy: CompactionPolicy) -> int:
    """Deletes the logs permanently."""
    check_off(policy)
    if not take_down(storage):
        say("No table has a Delta log")
    return OK


def check_off(policy: CompactionPolicy) -> None:
    """Raises SettingError if the app would create the logs again."""
    if policy.delta:
        raise SettingError("DELTA_LOG: set it to false first; otherwise the app creates the logs again")


def take_down(storage: LogStorage) -> int:
    """Deletes all logs, and replaced files that were kept for their readers; returns the number of logs."""
    Ownership(storage, "", now, new_id).check("compact_logs")
    blob = storage.read(compaction_state.NAME)
    state = CompactionState.parse(blob.data) if blob else CompactionState()
    tables = [TABLES[name] for name in sorted(state.delta) if name in TABLES]
    if not tables or blob is None:
        return 0
    # After this write, no swap is logged, and the inputs of one in progress are deleted.
    for table in tables:
        state = state.without_delta(table.name)
    storage.write(compaction_state.NAME, state.dump(), blob.etag)
    for table in tables:
        folder = f"parquet/{table.name}/"
        logs = [one.name for one in storage.outputs(folder + FOLDER)]
        storage.remove(sorted(logs))
    ended = Compactor(storage, CompactionPolicy(enabled=False), now, new_id).run(BUDGET)
    if ended.alarms:
        raise DeltaLogError(f"the swap in progress could not be finished: {ended.alarms[0]}")
    for table in tables:
        left = _replaced(storage, f"parquet/{table.name}/date=")
        storage.remove(left)
        say(f"{table.name}: the Delta log and {counted(len(left), 'replaced file')} were deleted")
    return len(tables)


def _replaced(storage: LogStorage, prefix: str) -> list[str]:
    """Returns the files whose rows are in a compacted file of the same folder."""
    found: list[str] = []
    for _, group in groupby(storage.outputs(prefix), lambda file: file.name.rpartition("/")[0]):
        files = [file for file in group if file.visible and is_own(file)]
        origins = {
            file.name: {origin.name for origin in files_replaced(storage, file)}
            for file in files
            if "compacted" in file.metadata
        }
        for file in files:
            own = origins.get(file.name, {file.name})
            others = [names for name, names in origins.items() if name != file.name]
            if any(own <= names for names in others):
                found.append(file.name)
    return found
