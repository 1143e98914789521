"""`status`: says how each source stands."""

import argparse
import time
from typing import Any

from shared import console
from shared import status as standing
from shared.audit import OK, UNKNOWN, WRONG
from shared.commands.frame import SETTINGS, command, configured, connect, now, say_json, seconds
from shared.console import RED, paint, say
from shared.storage import Storage

HEADER = ("source", "next", "last commit", "records", "rows", "rejected", "skipped", "gaps", "lost")


def declare(commands: Any) -> None:
    """Adds it to the command line."""

    def run(options: argparse.Namespace) -> int:
        store = connect(configured())
        while True:
            found = status(store, now(), as_json=options.json)
            if options.watch is None:
                return found
            console.say()
            time.sleep(options.watch)

    parser = command(
        commands,
        "status",
        run,
        "Says how each source stands. Read-only.",
        f"Exit status: 0 all is well, 1 something needs a look, 2 it could not be told.\n{SETTINGS}",
        "  python -m shared status\n  python -m shared status --json\n  python -m shared status --watch 30",
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=seconds,
        const=10,
        metavar="SECONDS",
        help="again and again, by default every 10 s",
    )


def status(storage: Storage, now: int, *, as_json: bool) -> int:
    """Prints how each source stands."""
    found = standing.status(storage, now)
    alarms = sum(len(one.alarms) for one in found)
    if as_json:
        say_json([_standing(one) for one in found])
    elif not found:
        say("No ledger yet: nothing was committed, or STATE_CONTAINER is another one.")
    else:
        console.table(HEADER, [_row(one) for one in found])
        for one in found:
            for alarm in one.alarms:
                say(paint(f"{one.source}: {alarm}", RED))
    return UNKNOWN if not found else WRONG if alarms else OK


def _row(one: standing.Standing) -> list[object]:
    ledger = one.ledger
    if ledger is None:
        return [one.source, *["-"] * (len(HEADER) - 1)]
    counts = ledger.counts
    return [
        one.source,
        ledger.incarnation.next or 0,
        console.time(ledger.committed_at),
        counts.records,
        counts.rows,
        sum(counts.rejected.values()),
        counts.skipped,
        one.gaps,
        len(ledger.lost),
    ]


def _standing(one: standing.Standing) -> dict[str, Any]:
    ledger = one.ledger
    known = ledger and {
        "ledger_id": ledger.ledger_id,
        "ordinal": ledger.ordinal,
        "committed_at": ledger.committed_at,
        "incarnation": ledger.incarnation.number,
        "next": ledger.incarnation.next or 0,
        "newest": ledger.incarnation.newest,
        "counts": ledger.counts.model_dump(),
        "lost": len(ledger.lost),
        "listed": len(ledger.files),
    }
    return {
        "source": one.source,
        "replay": one.replay,
        "gaps": one.gaps,
        "alarms": one.alarms,
        "ledger": known,
    }
