"""`replay`: reprocesses dead letters with the current code and settings."""

import argparse
from typing import Any

from shared.audit.audit import OK, UNKNOWN
from shared.clock import new_id, now
from shared.commands import console
from shared.commands import dead_letter_replay as replaying
from shared.commands.connection import configured, connect
from shared.commands.console import RED, YELLOW, paint, say, say_json
from shared.commands.dead_letter_replay import Choice
from shared.commands.declaration import SETTINGS, add_range, command
from shared.export.exporter import Exporter
from shared.input.rejections import Reason
from shared.policies import ExportPolicy
from shared.protocol.ownership import Ownership
from shared.protocol.stamp import Clock, NewId
from shared.protocol.storage import Storage
from shared.wording import counted


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        config = configured()
        return replay(
            connect(config),
            config.export_policy,
            config.MEMORY_BUDGET,
            Choice(frozenset(options.reason), options.since, options.until),
            dry_run=options.dry_run,
            as_json=options.json,
            now=now,
            new_id=new_id,
        )

    parser = command(
        commands,
        "replay",
        run,
        "Validates dead letters with the current code and settings, and exports what passes, exactly once.",
        "Running it again changes nothing. Records that still fail stay (docs/audit-and-replay.md).\n"
        "The command writes to the containers, so try --dry-run first.\n"
        f"Exit status: 0 done, 2 the command failed.\n{SETTINGS}",
        "  python -m shared replay --dry-run\n"
        "  python -m shared replay --reason implausible_time --since 7d\n"
        "  python -m shared replay --since 2026-11-20 --until 2026-11-21",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="report what would be exported, and export nothing"
    )
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=[str(reason) for reason in Reason],
        metavar="REASON",
        help=f"only dead letters with this reason; can be given several times: {', '.join(Reason)}",
    )
    add_range(
        parser,
        "only messages that reached the hub at this time or later: 7d, 2026-11-20",
        "only messages that reached the hub before this time",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def replay(
    storage: Storage,
    policy: ExportPolicy,
    memory: int,
    choice: Choice,
    *,
    dry_run: bool,
    as_json: bool,
    now: Clock,
    new_id: NewId,
) -> int:
    """Replays dead letters and prints the outcome."""
    if not dry_run:
        Ownership(storage, "", now, new_id).check("export_logs")
    exporter = Exporter(storage, policy, memory, now, new_id)
    done = replaying.replay(storage, exporter, policy, choice, dry_run=dry_run, progress=console.progress)
    console.progressed()
    if as_json:
        say_json(done)
        return UNKNOWN if done.damaged else OK
    did = "would be exported" if dry_run else "exported"
    say(f"{counted(done.letters, 'dead letter')}, {done.before:,} of them replayed before")
    rows = counted(done.rows, "row")
    say(f"{done.fit:,} now valid: {rows} {did}, {counted(done.skipped, 'record')} of other categories")
    if done.from_redacted:
        say(f"  {done.from_redacted:,} of them from text whose credentials were replaced")
    say(f"{done.stay:,} unchanged")
    for number, cause in (
        (
            done.no_body,
            "their bodies were erased, or are binary and were not kept (DEAD_LETTER_BODIES)",
        ),
        (
            done.no_columns,
            "values of hashed or dropped columns were removed from their bodies (DEAD_LETTER_BODIES)",
        ),
    ):
        if number:
            say(paint(f"{number:,} cannot be replayed: {cause}", YELLOW))
    for reason, number in done.reasons.most_common():
        say(f"  {counted(number, 'record')} still rejected: {reason}")
    for problem in done.damaged:
        say(paint(problem, RED))
    return UNKNOWN if done.damaged else OK
