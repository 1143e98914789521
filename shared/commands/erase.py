"""`erase`: erases the rows that hold a value in a column, and says what it cannot erase."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.commands import console
from shared.commands.base import SETTINGS, command, configured, connect, moment, new_id, now
from shared.commands.console import RED, YELLOW, confirmed, counted, paint, say
from shared.connections.repair import KEPT
from shared.erasure import selection as choosing
from shared.erasure import state
from shared.erasure.eraser import Erased, Eraser
from shared.erasure.selection import Selection
from shared.erasure.state import StateMatches
from shared.errors import SettingError
from shared.input import redaction
from shared.policies import CompactionPolicy
from shared.protocol.nested_storage import NestedStorage
from shared.protocol.ownership import Ownership
from shared.protocol.stamp import Stamp
from shared.protocol.storage import LogStorage
from shared.timeunits import SECOND

SOFT_DELETE = timedelta(days=7)
"""How long the templates keep deleted files."""
MORE = """
It rewrites files without the rows whose column has exactly this value, removes connections that have it from
the state table, and removes the bodies of dead letters that mention it. It shows what it found and
asks before it erases. The audit proves what is left. It is safe to run beside the app.
Files that were committed within COMPACT_QUIET are left for another run.
The output says what this command does not erase (docs/erase.md).
Give the COMPACT_…, DELTA_LOG, HASH_… and EVENT_HUB_RETENTION settings if they differ from the defaults.
Exit status: 0 nothing is left, 1 something is left or nothing was changed, 2 the command failed.
"""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        config = configured()
        hashed = options.hash or options.column in config.HASH_COLUMNS
        if hashed and not config.HASH_KEY:
            raise SettingError("HASH_KEY: set it as in the function app, so that the hash can be computed")
        selection = Selection(
            options.column,
            tuple(dict.fromkeys(options.value)),
            tuple(redaction.hashed(value, config.HASH_KEY.encode()) for value in options.value)
            if hashed
            else (),
            options.since,
        )
        return erase(
            connect(config),
            config.compaction_policy,
            selection,
            config.EVENT_HUB_RETENTION,
            dry_run=options.dry_run,
            yes=options.yes,
        )

    parser = command(
        commands,
        "erase",
        run,
        "Erases rows with a value in a column, from all files and from the state table.",
        f"{MORE}{SETTINGS}",
        "  python -m shared erase --column Source --value 203.0.113.7 --dry-run\n"
        "  python -m shared erase --column Source --value 203.0.113.7 --value 2001:db8::7 --yes\n"
        "  python -m shared erase --column CorrelationId --value 5c1f… --since 30d",
    )
    parser.add_argument(
        "--column",
        required=True,
        choices=choosing.columns(),
        metavar="COLUMN",
        help="a text column of records",
    )
    parser.add_argument(
        "--value",
        required=True,
        action="append",
        type=_value,
        help="the value, as it is in the records; may be given several times",
    )
    parser.add_argument(
        "--hash",
        action="store_true",
        help="look for its hash with HASH_KEY, too (default: if HASH_COLUMNS has the column)",
    )
    parser.add_argument(
        "--since", type=moment, default=0, metavar="TIME", help="only rows since: 30d, 2026-11-20"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="report what would be erased, and erase nothing"
    )
    parser.add_argument("--yes", action="store_true", help="erase without asking")


def _value(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("expected a value, got an empty one")
    return text


def erase(
    storage: LogStorage,
    policy: CompactionPolicy,
    selection: Selection,
    retention: timedelta,
    *,
    dry_run: bool,
    yes: bool,
) -> int:
    """Shows what matches, and erases it once confirmed. `retention`: of the hub; 0 if unknown."""
    Ownership(storage, "", now, new_id).check("compact_logs")
    eraser = Eraser(storage, policy, selection, now, new_id)
    states = (storage, NestedStorage(storage))
    found, waiting = eraser.find(console.progress), [state.find(one, selection) for one in states]
    console.progressed()
    hashes = " or its hash" if selection.hashes else ""
    values = " or ".join(console.printable(value) for value in selection.values)
    since = f", since {console.time(selection.since)}" if selection.since else ""
    say(f"{selection.column} is {values}{hashes}{since}:")
    for line in _shown(found, waiting):
        say(line)
    if not found.rows and not any(one.connections for one in waiting):
        say("There is nothing to erase.")
    say(paint("This command does not erase:", YELLOW))
    for line in _not_erased(selection, retention, found):
        say(f"- {line}")
    if dry_run:
        return WRONG if _problems(found, waiting) else OK
    if found.rows or any(one.connections for one in waiting):
        if not confirmed("These rows are erased for good.", yes=yes):
            return WRONG
        connections = 0
        for one in states:
            connections += state.erase(one, selection, _stamp)
            state.forget(one, _stamp)
        found = eraser.erase(console.progress)
        console.progressed()
        waiting = [state.find(one, selection) for one in states]
        say("Erased:")
        for line in _shown(found, [StateMatches(connections)]):
            say(line)
    return WRONG if _problems(found, waiting) else OK


def _stamp() -> Stamp:
    return Stamp(new_id(), now())


def _shown(found: Erased, waiting: list[StateMatches]) -> list[str]:
    rows: list[tuple[object, ...]] = [
        (name.replace("_dead_letters", "dead letters"), number, found.files[name])
        for name, number in sorted(found.rows.items())
    ]
    connections = sum(one.connections for one in waiting)
    rows += [("state table", connections, "-")] if connections else []
    return console.table(("in", "rows", "files"), rows) if rows else []


def _problems(found: Erased, waiting: list[StateMatches]) -> bool:
    """Prints what is left; returns whether anything is."""
    problems: list[str] = []
    for reason in sorted(set(found.left.values())):
        names = [name for name, why in found.left.items() if why == reason]
        again = f": run it again after {console.time(found.until)}" if "QUIET" in reason else ""
        files = counted(len(names), "file")
        problems.append(f"{files} cannot be replaced now, the first is {names[0]}: it {reason}{again}")
    observations = sum(one.waiting for one in waiting)
    if observations:
        problems.append(
            f"{counted(observations, 'observation')} of such records wait for the timer, which merges them "
            "within minutes: run it again then"
        )
    problems += [*found.unreadable, *found.alarms]
    for problem in problems:
        say(paint(problem, RED))
    return bool(problems)


def _not_erased(selection: Selection, retention: timedelta, found: Erased) -> Iterator[str]:
    """Returns sentences about what this command does not erase, and when that is deleted."""
    yield (
        "replaced files that soft delete keeps: for 7 days in the templates, "
        f"until {_day(now(), SOFT_DELETE)}"
    )
    if found.kept:
        yield (
            f"{counted(found.kept, 'replaced file')} with such rows, kept for readers of older snapshots of "
            f"the Delta table (COMPACT_KEEP): until {_day(found.kept_until)}"
        )
    until = (
        f"until {_day(now(), retention)}"
        if retention
        else "for its retention (EVENT_HUB_RETENTION is not set)"
    )
    yield f"messages in the Event Hub: {until}; ledgers know them as exported, so they do not come again"
    yield (
        "copies outside of these containers: Event Hubs Capture, an archive of the diagnostic setting, a "
        "workspace, reports, and what readers copied"
    )
    minutes = KEPT // (60 * SECOND)
    yield (
        "replaced parts of the state table, and observations that are merged into it: the timer deletes them "
        f"within {minutes + 5} minutes"
    )
    yield f"records that arrive later, and rows that have the value in another column than {selection.column}"
    if selection.column == "EventName":
        yield "names of events in rows of connections and in the state table"


def _day(microseconds: int, more: timedelta = timedelta(0)) -> str:
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC) + more:%Y-%m-%d}"
