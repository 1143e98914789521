"""`adopt`: takes a ledger that was lost or rolled back as it is now."""

import argparse
from typing import Any

from shared import adopt as adoption
from shared.audit.audit import OK, WRONG
from shared.commands.console import RED, paint, say
from shared.commands.frame import SETTINGS, command, configured, connect, new_id, now
from shared.storage import Storage


def declare(commands: Any) -> None:
    """Adds it to the command line."""

    def run(options: argparse.Namespace) -> int:
        return adopt(connect(configured()), options.source, yes=options.yes, now=now(), new_id=new_id())

    parser = command(
        commands,
        "adopt",
        run,
        "Takes a ledger that was lost or rolled back as it is now, so that its source goes on.",
        "Records may come out twice: without --yes, it only says which. Restore the ledger if you can.\n"
        "Restart the function app afterwards: its processes remember the ledger that was.\n"
        f"Exit status: 0 nothing stands still, 1 something does, 2 it could not be told.\n{SETTINGS}",
        "  python -m shared adopt\n  python -m shared adopt my.servicebus.windows.net/apim-logs/0 --yes",
    )
    parser.add_argument(
        "source", nargs="?", help="namespace/hub/partition id; without it: those that stand still"
    )
    parser.add_argument("--yes", action="store_true", help="do it")


def adopt(storage: Storage, source: str | None, *, yes: bool, now: int, new_id: str) -> int:
    """Prints which sources stand still and what adopting means; with `yes`, adopts one."""
    found = {one.source: one for one in adoption.blocked(storage)}
    if source is None:
        for one in found.values():
            say(f"{one.source}: {paint(one.problem, RED)}")
        say(f"{len(found)} sources stand still" + (": python -m shared adopt SOURCE" if found else ""))
        return WRONG if found else OK
    if source not in found:
        say(f"{source}: nothing to adopt: its ledger is as it was seen; does the app need a restart?")
        return OK
    one = found[source]
    gone = adoption.forgotten(storage, one)
    say(f"{source}: {one.problem}.")
    say(
        f"The container has {gone.files:,} files with {gone.rows:,} rows and dead letters that this ledger"
        f" does not know of, up to sequence {gone.last}: what the hub delivers again will be there twice."
    )
    if not yes:
        say("Nothing was changed. Restore the ledger if you can; to go on from here all the same, add --yes")
        return WRONG
    adoption.adopt(storage, one, new_id, now)
    say("Adopted. Restart the function app: its processes remember the ledger that was.")
    return OK
