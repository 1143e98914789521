"""`backfill`: exports the hours of an archive that precede the live output."""

import argparse
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.backfill.backfill import Backfill, Choice
from shared.backfill.outcome import BackfillDocument
from shared.clock import new_id, now
from shared.commands import console
from shared.commands.connection import configured, connect
from shared.commands.console import RED, YELLOW, paint, say, say_json
from shared.commands.declaration import SETTINGS, add_range, command
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.archive import Archive
from shared.protocol.ownership import Ownership
from shared.protocol.stamp import Clock, NewId
from shared.protocol.storage import Storage
from shared.wording import counted

FROM = "--from-container"
CONTAINER = "insights-logs-websocketconnectionlogs"
SHOWN = 5
"""Maximum number of blobs of each kind that are printed."""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        from shared.azure import access, archive  # noqa: PLC0415 - for a fast --help

        config = configured()
        storage = connect(config)
        account, name = archive.located(options.from_container, config.output)
        setting = "OutputStorage" if account == config.output else FROM
        access.check(account, name, setting, FROM, console.waiting)
        return backfill(
            storage,
            archive.connect(options.from_container, config.output),
            (config.export_policy, config.finish_policy),
            config.MEMORY_BUDGET,
            Choice(options.since, options.until),
            dry_run=options.dry_run,
            as_json=options.json,
            now=now,
            new_id=new_id,
        )

    parser = command(
        commands,
        "backfill",
        run,
        "Exports an archive of a diagnostic setting into the output container, each record once.",
        "It exports the hours before the first record of the live output, and finishes their connections\n"
        "separately. You can interrupt it and run it again. The command writes to the containers, so try\n"
        "--dry-run first.\n"
        "Exit status: 0 done, 1 something was rejected or needs attention, 2 the command failed.\n"
        f"{SETTINGS}",
        f"  python -m shared backfill --from-container {CONTAINER} --dry-run\n"
        f"  python -m shared backfill --from-container {CONTAINER} --since 2026-11-01\n"
        f"  python -m shared backfill --from-container https://old.blob.core.windows.net/{CONTAINER}",
    )
    parser.add_argument(
        FROM,
        required=True,
        metavar="CONTAINER",
        help="a container of the output account, or the URL of another one (read with your sign-in or a SAS)",
    )
    add_range(
        parser,
        "only hours that began at this time or later: 30d, 2026-11-20",
        "only hours that ended by this time",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="report what would be exported, and export nothing"
    )
    parser.add_argument("--json", action="store_true", help="print JSON; times in µs since 1970 UTC")


def backfill(
    storage: Storage,
    archive: Archive,
    policies: tuple[ExportPolicy, FinishPolicy],
    memory: int,
    choice: Choice,
    *,
    dry_run: bool,
    as_json: bool,
    now: Clock,
    new_id: NewId,
) -> int:
    """Runs a backfill and prints the outcome."""
    if not dry_run:
        Ownership(storage, "", now, new_id).check("export_logs")
    run = Backfill(storage, archive, *policies, memory, now, new_id)
    done = run.run(choice, lambda read, total: console.progress("backfill", read, total), dry_run=dry_run)
    console.progressed()
    if as_json:
        say_json(done)
    else:
        _say(done, dry_run=dry_run)
    return WRONG if done.rejected or done.grown or done.alarms else OK


def _say(done: BackfillDocument, *, dry_run: bool) -> None:
    did = "would be exported" if dry_run else "exported"
    span = f", {console.time(done.first)} to {console.time(done.last)}" if done.first and done.last else ""
    say(
        f"{counted(done.blobs, 'blob')} ({counted(done.bytes, 'byte')}) {did}{span}; "
        f"{done.before:,} exported earlier"
    )
    say(
        f"The live output begins at {console.time(done.boundary)}: "
        f"{counted(done.overlapping, 'blob is', 'blobs are')} of that hour or later, and are left out"
    )
    _names(
        "of the hour in which the live output begins; records before the first live one are missing",
        done.at_boundary,
    )
    if done.open:
        say(f"{counted(done.open, 'blob')} may still grow: run the command again in an hour")
    if done.not_chosen:
        say(f"{counted(done.not_chosen, 'blob is', 'blobs are')} outside the range of --since and --until")
    if done.others:
        say(f"{counted(done.others, 'blob is not an hour', 'blobs are not hours')} of an archive")
    _names("grew after they were exported; the added records are not exported", done.grown)
    if not dry_run:
        say(
            f"{counted(done.rows, 'row')}, {counted(done.skipped, 'record')} of other categories, "
            f"{counted(done.connections, 'connection')}"
        )
        for reason, number in done.rejected.most_common():
            say(paint(f"  {number:,} rejected: {reason} (see _dead_letters)", YELLOW))
    for alarm in done.alarms:
        say(paint(alarm, RED))


def _names(what: str, names: list[str]) -> None:
    for name in names[:SHOWN]:
        say(paint(f"  {name}: {what}", YELLOW))
    if len(names) > SHOWN:
        say(paint(f"  … and {len(names) - SHOWN:,} more", YELLOW))
