"""`compact`: runs the work of the timer `compact_logs` once."""

import argparse
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.clock import new_id, now
from shared.commands.connection import configured, connect
from shared.commands.console import RED, YELLOW, paint, say
from shared.commands.declaration import SETTINGS, command, seconds
from shared.compaction.compactor import BUDGET, Compactor
from shared.policies import CompactionPolicy
from shared.protocol.ownership import Ownership
from shared.protocol.storage import LogStorage
from shared.wording import counted

ROOM = 4
"""A swap in progress may take this many times the budget for starting swaps."""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        config = configured()
        return compact(connect(config), config.compaction_policy, options.seconds)

    parser = command(
        commands,
        "compact",
        run,
        "Runs the work of the timer compact_logs once, for example if the timer has stopped.",
        "It merges the small Parquet files of quiet hours. It is safe to run while the app and its timer\n"
        "run, because conditional writes decide. It needs the COMPACT_… settings, EVENT_HUB_RETENTION,\n"
        "RECORD_MAX_AGE and WS_IDLE_TIMEOUT if they differ from the defaults.\n"
        f"Exit status: 0 done, 1 more to do or a problem was found, 2 the command failed.\n{SETTINGS}",
        "  python -m shared compact\n  python -m shared compact --seconds 3600",
    )
    parser.add_argument(
        "--seconds", type=seconds, default=BUDGET, help=f"start no swap after this time (default {BUDGET:g})"
    )


def compact(storage: LogStorage, policy: CompactionPolicy, budget: float) -> int:
    """Runs the timer's work, and prints what it did."""
    Ownership(storage, "", now, new_id).check("compact_logs")
    done = Compactor(storage, policy, now, new_id, seconds=ROOM * budget).run(budget)
    if not policy.enabled:
        say("COMPACT_ENABLED is false: no swap is started")
    for swap in done.swaps:
        say(
            f"{swap.table}: {counted(swap.files, 'file')} ({swap.bytes_in:,} bytes) merged into one"
            f" ({swap.bytes_out:,} bytes)"
        )
    say(f"{counted(len(done.swaps), 'swap')} done, {done.finished:,} earlier ones finished")
    if done.left:
        say(paint("There is more to do: run the command again", YELLOW))
    for alarm in done.alarms:
        say(paint(alarm, RED))
    return WRONG if done.left or done.alarms else OK
