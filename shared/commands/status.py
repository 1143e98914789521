"""`status`: shows each partition's status, the number of open connections, and the event names seen."""

import argparse
import time
from dataclasses import asdict
from typing import Any

from shared import settings
from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.commands import console
from shared.commands import status_data as standing
from shared.commands.base import SETTINGS, command, connect, now, say_json, seconds
from shared.commands.console import RED, YELLOW, paint, say
from shared.commands.status_data import Standing, Status
from shared.errors import HubError, StorageError
from shared.operator_settings import OperatorSettings
from shared.protocol.storage import Storage

MORE = f"""
Exit status: 0 all is well, 1 something needs a look, 2 it could not be told.
{SETTINGS}
For lag, the hub is asked: EventHubConnection (a connection string) or
EventHubConnection__fullyQualifiedNamespace (your own login or a managed identity), and EVENT_HUB_NAME. For
how far lag is from what the hub deletes: EVENT_HUB_RETENTION. To find checkpoints of a hub that was deleted
and re-created: AzureWebJobsStorage (or AzureWebJobsStorage__blobServiceUri) and EVENT_HUB_CONSUMER_GROUP.
Event names count as opening or closing by WS_OPENING_EVENTS and WS_CLOSING_EVENTS.
"""
GROUP = "$Default"
"""To ask how far a hub goes, any consumer group will do: nothing is read from it."""
PROGRESS = ("partition", "next", "last commit", "envelopes behind", "~records", "minutes", "h to retention")
COUNTS = ("partition", "records", "rows", "rejected", "skipped", "gaps", "lost")
KEYS = ("table", "key", "~records", "of")
NAMES = ("event name", "connections", "first", "last", "newest", "counts as")


def declare(commands: Any) -> None:
    """Adds it to the command line."""

    def run(options: argparse.Namespace) -> int:
        config = settings.load_as(OperatorSettings)
        store = connect(config, dead_letters=False)
        while True:
            if options.watch is not None:
                console.clear()
            found = status(store, config, now(), as_json=options.json)
            if options.watch is None:
                return found
            say()
            time.sleep(options.watch)

    parser = command(
        commands,
        "status",
        run,
        "Says how each partition stands. Read-only.",
        MORE,
        "  python -m shared status\n  python -m shared status --json\n  python -m shared status --watch 30",
    )
    parser.add_argument("--json", action="store_true", help="print JSON; times in µs since 1970 UTC")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=seconds,
        const=10,
        metavar="SECONDS",
        help="repeat every SECONDS (default: 10)",
    )


def status(storage: Storage, config: OperatorSettings, now: int, *, as_json: bool) -> int:
    """Prints how the exporter stands."""
    found, silent, failed = _find(storage, config, now)
    retention = config.EVENT_HUB_RETENTION.total_seconds()
    if as_json:
        say_json(_json(found, silent, retention))
    elif not found.partitions:
        say("No ledger yet: nothing was committed, or STATE_CONTAINER is another one.")
        for alarm in found.all_alarms:
            say(paint(alarm, RED))
    else:
        _tables(found, retention)
    for text in silent if not as_json else ():
        say(paint(text, YELLOW))
    if found.all_alarms:
        return WRONG
    if not found.partitions or failed:
        return UNKNOWN
    return OK


def _find(storage: Storage, config: OperatorSettings, now: int) -> tuple[Status, list[str], bool]:
    """The status, what is not known and why, and whether something did not answer."""
    from shared.azure import checkpoints  # noqa: PLC0415 - commands that need no hub start faster without
    from shared.azure.event_hub import EventHub  # noqa: PLC0415

    policy, group = config.finish_policy, config.EVENT_HUB_CONSUMER_GROUP
    if config.without:
        unknown = f"lag is not known: to ask the hub, set {', '.join(config.without)} as in the function app"
        return standing.status(storage, policy, None, now), [unknown], False
    try:
        state = EventHub(config.hub, config.EVENT_HUB_NAME, group or GROUP).state()
    except HubError as error:
        return standing.status(storage, policy, None, now), [f"lag is not known: {error}"], True
    host = checkpoints.connect(config.checkpoints, group) if group else None
    if host is None:
        unknown = (
            "checkpoints are not known: set AzureWebJobsStorage (or AzureWebJobsStorage__blobServiceUri) and"
            " EVENT_HUB_CONSUMER_GROUP as in the function app"
        )
        return standing.status(storage, policy, state, now), [unknown], False
    try:
        return standing.status(storage, policy, state, now, host.read(state.positions)), [], False
    except StorageError as error:
        unknown = f"checkpoints are not known: {error}"
        return standing.status(storage, policy, state, now), [unknown], True


def _tables(found: Status, retention: float) -> None:
    console.table(PROGRESS, [_progress(one, retention) for one in found.partitions])
    say()
    console.table(COUNTS, [_counts(one) for one in found.partitions])
    totals = found.manifest.totals
    say()
    say(
        f"connections: {found.open:,} open, {totals.connections:,} finished, {totals.revisions:,} rows"
        f" revised, by what arrived before {console.time(found.manifest.clock)}"
    )
    if found.estimate is not None:
        say(
            paint(
                f"durations: {totals.indeterminate:,} of {totals.connections:,} connections have none: do all"
                " records of a connection carry one time? Estimate from arrival times, off by minutes:"
                f" {found.estimate:,.0f} s on average (ArrivalDurationMs)",
                YELLOW,
            )
        )
    if found.swap:
        one = found.swap
        say(f"compaction: {one.folder} since {console.time(one.since)}: {one.waits_for}")
    if found.names:
        say()
        console.table(
            NAMES,
            [
                [
                    console.printable(one.name) or "(no EventName)",
                    one.seen.connections,
                    one.seen.first,
                    one.seen.last,
                    console.time(one.seen.newest),
                    one.meaning.value,
                ]
                for one in found.names
            ],
        )
        say("Counted in finished connections, once each. Set WS_OPENING_EVENTS, WS_CLOSING_EVENTS by them.")
    if found.keys:
        say()
        console.table(KEYS, [[each.table, each.key, each.records, each.of] for each in found.keys])
        say("Most records have these keys, and no column takes them. COLUMN_KEYS can give them to columns.")
    for alarm in found.all_alarms:
        say(paint(alarm, RED))


def _progress(one: Standing, retention: float) -> list[object]:
    ledger, lag = one.ledger, one.lag
    left = lag.headroom(retention) if lag else None
    return [
        one.partition,
        ledger.incarnation.next or 0 if ledger else "-",
        console.time(ledger.committed_at) if ledger and ledger.committed_at else "-",
        "-" if lag is None else lag.envelopes,
        "-" if lag is None or lag.records is None else lag.records,
        "-" if lag is None else f"{lag.seconds / 60:,.1f}",
        "-" if left is None else f"{left / 3600:,.1f}",
    ]


def _counts(one: Standing) -> list[object]:
    if one.ledger is None:
        return [one.partition, *["-"] * (len(COUNTS) - 1)]
    counts = one.ledger.counts
    rejected = sum(counts.rejected.values())
    return [
        one.partition,
        counts.records,
        counts.rows,
        rejected,
        counts.skipped,
        one.gaps,
        len(one.ledger.lost),
    ]


def _json(found: Status, silent: list[str], retention: float) -> dict[str, Any]:
    totals = found.manifest.totals
    return {
        "partitions": [_partition(one, retention) for one in found.partitions],
        "unknown": silent,
        "connections": {
            "open": found.open,
            "finished": totals.connections,
            "revised": totals.revisions,
            "without_duration": totals.indeterminate,
            "estimated_seconds": found.estimate,
            "capped": totals.capped,
            "merged_until": found.manifest.clock,
        },
        "swap": found.swap and asdict(found.swap) | {"waits_for": found.swap.waits_for},
        "names": [
            {
                "name": one.name,
                "connections": one.seen.connections,
                "first": one.seen.first,
                "last": one.seen.last,
                "newest": one.seen.newest,
                "counts_as": one.meaning,
            }
            for one in found.names
        ],
        "keys": [asdict(each) for each in found.keys],
        "alarms": found.all_alarms,
    }


def _partition(one: Standing, retention: float) -> dict[str, Any]:
    ledger, lag, checkpoint = one.ledger, one.lag, one.checkpoint
    return {
        "partition": one.partition,
        "replay": one.replay,
        "gaps": one.gaps,
        "alarms": one.alarms,
        "lag": lag
        and {
            "envelopes": lag.envelopes,
            "records": lag.records,
            "seconds": lag.seconds,
            "headroom": lag.headroom(retention),
        },
        "checkpoint": checkpoint and {"sequence": checkpoint.sequence, "modified": checkpoint.modified},
        "ledger": ledger
        and {
            "ledger_id": ledger.ledger_id,
            "ordinal": ledger.ordinal,
            "committed_at": ledger.committed_at,
            "incarnation": ledger.incarnation.number,
            "next": ledger.incarnation.next or 0,
            "newest": ledger.incarnation.newest,
            "counts": ledger.counts.model_dump(),
            "lost": len(ledger.lost),
            "listed": len(ledger.files),
        },
    }
