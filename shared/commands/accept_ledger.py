"""`accept-ledger`: accepts the current state of a ledger that was lost or rolled back."""

import argparse
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.commands import acceptance as adoption
from shared.commands.base import SETTINGS, command, configured, connect, new_id, now
from shared.commands.console import RED, paint, say
from shared.protocol.storage import Storage


def declare(commands: Any) -> None:
    """Adds it to the command line."""

    def run(options: argparse.Namespace) -> int:
        return accept_ledger(
            connect(configured()), options.partition, yes=options.yes, now=now(), new_id=new_id()
        )

    parser = command(
        commands,
        "accept-ledger",
        run,
        "Resumes a stopped partition from its current ledger. Rows may be duplicated.",
        "Without --yes, it only reports what may be exported twice. Restore the ledger if possible.\n"
        "Restart the function app afterwards, because its processes remember the previous ledger.\n"
        f"Exit status: 0 no partition is stopped, 1 at least one is, 2 the command failed.\n{SETTINGS}",
        "  python -m shared accept-ledger\n"
        "  python -m shared accept-ledger my.servicebus.windows.net/apim-logs/0 --yes",
    )
    parser.add_argument(
        "partition", nargs="?", help="namespace/hub/partition id; default: list those that have stopped"
    )
    parser.add_argument("--yes", action="store_true", help="make the change")


def accept_ledger(storage: Storage, partition: str | None, *, yes: bool, now: int, new_id: str) -> int:
    """Prints which partitions are stopped and what accepting a ledger means; with `yes`, accepts it."""
    found = {one.partition: one for one in adoption.blocked(storage)}
    if partition is None:
        for one in found.values():
            say(f"{one.partition}: {paint(one.problem, RED)}")
        say(
            f"{len(found)} partitions are stopped"
            + (": python -m shared accept-ledger PARTITION" if found else "")
        )
        return WRONG if found else OK
    if partition not in found:
        say(f"{partition}: nothing to accept: its ledger is as it was seen; does the app need a restart?")
        return OK
    one = found[partition]
    gone = adoption.forgotten(storage, one)
    say(f"{partition}: {one.problem}.")
    say(
        f"The container has {gone.files:,} files with {gone.rows:,} rows and dead letters that this ledger"
        f" does not know, up to sequence {gone.last}. What the hub delivers again will be duplicated."
    )
    if not yes:
        say("Nothing was changed. Restore the ledger if you can. To continue from this state, add --yes")
        return WRONG
    adoption.accept(storage, one, new_id, now)
    say("Accepted. Restart the function app, because its processes remember the previous ledger.")
    return OK
