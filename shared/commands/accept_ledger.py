"""`accept-ledger`: accepts the current state of a ledger that was lost or rolled back."""

import argparse
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.clock import new_id, now
from shared.commands import ledger_acceptance
from shared.commands.connection import configured, connect
from shared.commands.console import RED, confirmed, paint, say
from shared.commands.declaration import SETTINGS, command, partition_named
from shared.protocol.storage import Storage
from shared.wording import counted


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        return accept_ledger(
            connect(configured()), options.partition, yes=options.yes, now=now(), new_id=new_id()
        )

    parser = command(
        commands,
        "accept-ledger",
        run,
        "Resumes a stopped partition from its current ledger. Rows may be duplicated.",
        "It shows what may be exported twice, and asks first. If you can, restore the ledger instead.\n"
        "Restart the function app afterwards, because its processes remember the previous ledger.\n"
        f"Exit status: 0 no partition has stopped, 1 at least one has, 2 the command failed.\n{SETTINGS}",
        "  python -m shared accept-ledger\n"
        "  python -m shared accept-ledger my.servicebus.windows.net/apim-logs/0 --yes",
    )
    parser.add_argument(
        "partition",
        nargs="?",
        help="namespace/hub/partition id, or the id alone; default: list those that have stopped",
    )
    parser.add_argument("--yes", action="store_true", help="make the change without asking")


def accept_ledger(storage: Storage, name: str | None, *, yes: bool, now: int, new_id: str) -> int:
    """Prints which partitions have stopped, or what accepting a ledger means, and accepts it once confirmed.

    Raises PartitionUnknown.
    """
    found = {one.partition: one for one in ledger_acceptance.blocked(storage)}
    if name is None:
        for one in found.values():
            say(f"{one.partition}: {paint(one.problem, RED)}")
        how = ": python -m shared accept-ledger PARTITION" if found else ""
        say(f"{counted(len(found), 'partition is', 'partitions are')} stopped{how}")
        return WRONG if found else OK
    partition = partition_named(name, ledger_acceptance.partitions(storage))
    if partition not in found:
        say(
            f"{partition}: there is nothing to accept, because its ledger is the one that the timer "
            "saw. Try restarting the app."
        )
        return OK
    one = found[partition]
    gone = ledger_acceptance.forgotten(storage, one)
    say(f"{partition}: {one.problem}.")
    have = "has" if gone.files == 1 else "have"
    say(
        f"{counted(gone.files, 'file')} with {counted(gone.rows, 'row')} or dead letters {have} sequence"
        f" numbers up to {gone.last} that this ledger lacks: if the hub delivers them again, they are"
        " exported twice."
    )
    say("If you have a copy of the ledger, restore it instead.")
    if not confirmed("The partition will continue from its current ledger.", yes=yes):
        return WRONG
    ledger_acceptance.accept(storage, one, new_id, now)
    say("Accepted. Restart the function app, because its processes remember the previous ledger.")
    return OK
