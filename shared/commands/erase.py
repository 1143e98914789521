"""`erase`: erases the rows that have a value in a column, and lists what it does not erase."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.clock import new_id, now
from shared.commands import console
from shared.commands.connection import configured, connect
from shared.commands.console import RED, YELLOW, confirmed, paint, say, say_json, wrapped
from shared.commands.declaration import SETTINGS, command, past
from shared.commands.documents import EraseDocument, EraseRemains
from shared.erasure import selection as choosing
from shared.erasure.erasure import Erasure, Outcome
from shared.erasure.file_eraser import TOO_RECENT
from shared.erasure.remains import Remains, remains
from shared.erasure.selection import Selection
from shared.errors import SettingError
from shared.input import redaction
from shared.policies import CompactionPolicy
from shared.protocol.ownership import Ownership
from shared.protocol.storage import LogStorage
from shared.wording import counted

MORE = """
It rewrites files without the rows whose column has exactly this value, removes connections that have the
value from the state table, and removes the bodies of dead letters that mention it. It shows what it found,
and asks before it erases. The audit proves the remaining rows. It is safe to run while the app runs.
Files that were committed within COMPACT_QUIET are left for a later run.
The output lists what this command does not erase (docs/erase.md).
The command needs the COMPACT_…, DELTA_LOG, HASH_… and EVENT_HUB_RETENTION settings if they differ from the
defaults.
Exit status: 0 nothing is left, 1 something is left or nothing was changed, 2 the command failed.
"""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        if options.json and not (options.dry_run or options.yes):
            parser.error("--json asks no question: add --dry-run or --yes")
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
            as_json=options.json,
        )

    parser = command(
        commands,
        "erase",
        run,
        "Erases the rows that have a value in a column from all files and from the state table.",
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
        help="the value, as in the records; can be repeated",
    )
    parser.add_argument(
        "--hash",
        action="store_true",
        help="also look for its hash with HASH_KEY (default: if HASH_COLUMNS lists the column)",
    )
    parser.add_argument(
        "--since", type=past, default=0, metavar="TIME", help="only rows since this time: 30d, 2026-11-20"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="report what would be erased, and erase nothing"
    )
    parser.add_argument("--yes", action="store_true", help="erase without asking")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON, which does not repeat the values; needs --dry-run or --yes",
    )


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
    as_json: bool,
) -> int:
    """Shows what matches, and erases it once confirmed. `retention`: that of the hub; 0 if unknown."""
    Ownership(storage, "", now, new_id).check("compact_logs")
    erasure = Erasure(storage, policy, selection, now, new_id)
    outcome = erasure.find(console.progress)
    console.progressed()
    kept, kept_until = outcome.files.kept, outcome.files.kept_until
    places = list(remains(selection.column, now(), retention=retention, kept=kept, kept_until=kept_until))
    if not as_json:
        _say_found(selection, outcome, places)
    erased = False
    if outcome.anything and not dry_run:
        if not confirmed("These rows will be erased permanently.", yes=yes):
            return WRONG
        erased, outcome = True, erasure.erase(console.progress)
        console.progressed()
        if not as_json:
            say("Erased:")
            _say_rows(outcome)
    problems = list(_problems(outcome))
    if as_json:
        say_json(_document(selection, outcome, places, problems, erased=erased, dry_run=dry_run))
    else:
        for problem in problems:
            say(paint(problem, RED))
    return WRONG if problems else OK


def _say_found(selection: Selection, found: Outcome, places: Sequence[Remains]) -> None:
    hashes = " or its hash" if selection.hashes else ""
    values = " or ".join(console.printable(value) for value in selection.values)
    since = f", since {console.time(selection.since)}" if selection.since else ""
    say(f"{selection.column} is {values}{hashes}{since}:")
    _say_rows(found)
    if not found.anything:
        say("There is nothing to erase.")
    say(paint("This command does not erase:", YELLOW))
    for place in places:
        for line in wrapped(f"- {place.text}"):
            say(line)


def _say_rows(outcome: Outcome) -> None:
    files = outcome.files
    rows: list[tuple[object, ...]] = [
        (name.replace("_dead_letters", "dead letters"), number, files.files[name])
        for name, number in sorted(files.rows.items())
    ]
    rows += [("state table", outcome.connections, "-")] if outcome.connections else []
    for line in console.table(("in", "rows", "files"), rows) if rows else ():
        say(line)


def _document(
    selection: Selection,
    outcome: Outcome,
    places: Sequence[Remains],
    problems: list[str],
    *,
    erased: bool,
    dry_run: bool,
) -> EraseDocument:
    files = outcome.files
    return EraseDocument(
        dry_run=dry_run,
        erased=erased,
        column=selection.column,
        hashes=bool(selection.hashes),
        since=selection.since or None,
        rows=dict(sorted(files.rows.items())),
        files=dict(sorted(files.files.items())),
        connections=outcome.connections,
        left=dict(sorted(files.left.items())),
        run_again=files.until or None,
        waiting=outcome.waiting,
        problems=problems,
        remains=[EraseRemains(**asdict(place)) for place in places],
    )


def _problems(outcome: Outcome) -> Iterator[str]:
    """Yields sentences about what is left."""
    files = outcome.files
    for reason in sorted(set(files.left.values())):
        names = [name for name, why in files.left.items() if why == reason]
        again = f": run it again after {console.time(files.until)}" if reason == TOO_RECENT else ""
        number = counted(len(names), "file")
        yield f"{number} cannot be replaced now. The first one is {names[0]}: it {reason}{again}"
    if outcome.waiting:
        yield (
            f"the timer has not merged {counted(outcome.waiting, 'matching observation')} yet: run the "
            "command again in a few minutes"
        )
    yield from files.unreadable
    yield from files.alarms
