"""`compact`: runs once what the timer `compact_logs` runs."""

import argparse
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.commands.base import SETTINGS, command, configured, connect, new_id, now, seconds
from shared.commands.console import RED, YELLOW, paint, say
from shared.compaction.compactor import BUDGET, Compactor
from shared.policies import CompactionPolicy
from shared.protocol.ownership import Ownership
from shared.protocol.storage import LogStorage

ROOM = 4
"""A swap that has begun may take this many times the time in which swaps begin."""


def declare(commands: Any) -> None:
    """Adds it to the command line."""

    def run(options: argparse.Namespace) -> int:
        config = configured()
        return compact(connect(config), config.compaction_policy, options.seconds)

    parser = command(
        commands,
        "compact",
        run,
        "Runs once what the timer compact_logs runs, if that has stopped.",
        "It merges the small Parquet files of quiet hours. It is safe beside the running app and beside a\n"
        "timer that runs after all: conditional writes decide. It needs the COMPACT_… settings, and\n"
        "EVENT_HUB_RETENTION, RECORD_MAX_AGE and WS_IDLE_TIMEOUT where they are not the defaults.\n"
        f"Exit status: 0 done, 1 there is more to do or to look at, 2 it could not be done.\n{SETTINGS}",
        "  python -m shared compact\n  python -m shared compact --seconds 3600",
    )
    parser.add_argument(
        "--seconds", type=seconds, default=BUDGET, help=f"begin no swap after this time (default {BUDGET:g})"
    )


def compact(storage: LogStorage, policy: CompactionPolicy, budget: float) -> int:
    """Runs the timer's work, and prints what it did."""
    Ownership(storage, "", now, new_id).check("compact_logs")
    done = Compactor(storage, policy, now, new_id, seconds=ROOM * budget).run(budget)
    if not policy.enabled:
        say("COMPACT_ENABLED is false: no swap is begun")
    for swap in done.swaps:
        say(
            f"{swap.table}: {swap.files:,} files ({swap.bytes_in:,} bytes) are one ({swap.bytes_out:,} bytes)"
        )
    say(f"{len(done.swaps):,} swaps were done, and {done.finished:,} that were under way ended")
    if done.left:
        say(paint("There is more to do: run it again", YELLOW))
    for alarm in done.alarms:
        say(paint(alarm, RED))
    return WRONG if done.left or done.alarms else OK
