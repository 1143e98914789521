"""Renders a status as lines of text that fit the terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence

from shared.audit.audit import OK, WRONG
from shared.commands import console
from shared.commands.console import GREEN, RED, YELLOW, wrapped
from shared.commands.status_model import PartitionState, Status
from shared.wording import counted

PROGRESS = ("partition", "next", "last commit", "waiting", "~records", "minutes", "h left")
COUNTS = ("partition", "records", "rows", "rejected", "skipped", "gaps", "lost")
TABLES = ("table", "rows")
SERVICES = ("service", "last record", "records, 24 h")
KEYS = ("key", "table", "~records", "of")
NAMES = ("event name", "connections", "first", "last", "newest", "counts as")


def lines(found: Status, retention: float, now: int) -> Iterator[str]:
    """Yields verdict, tables and alarms. `retention`: the hub's, in seconds; `now`: µs since 1970 UTC."""
    status, verdict = found.verdict
    yield from wrapped(verdict, {OK: GREEN, WRONG: RED}.get(status, YELLOW))
    if found.partitions:
        yield ""
        yield from _partitions(found.partitions, retention, now)
        yield ""
        yield from _connections(found, now)
    if found.services:
        yield ""
        yield from _services(found, now)
    if found.names:
        yield ""
        yield from _names(found, now)
    if found.keys:
        yield ""
        yield from console.table(KEYS, [[one.key, one.table, one.records, one.of] for one in found.keys])
        yield from wrapped(
            "Most records have these keys, which belong to no column. COLUMN_KEYS can assign them to columns."
        )
    if found.all_alarms or found.unknown:
        yield ""
    for alarm in found.all_alarms:
        yield from wrapped(f"! {alarm}", RED)
    for text in found.unknown:
        yield from wrapped(text, YELLOW)


def _partitions(partitions: Sequence[PartitionState], retention: float, now: int) -> Iterator[str]:
    hubs = {one.partition.rpartition("/")[0] for one in partitions}
    if len(hubs) == 1:
        yield from wrapped(f"hub {hubs.pop()}")
        names = [one.partition.rpartition("/")[2] for one in partitions]
    else:
        names = [one.partition for one in partitions]
    both = list(zip(names, partitions, strict=True))
    yield from console.table(PROGRESS, [_progress(name, one, retention, now) for name, one in both])
    if not retention and any(one.lag for one in partitions):
        yield from wrapped("To see the hours left until the hub deletes events, set EVENT_HUB_RETENTION.")
    yield ""
    yield from console.table(COUNTS, [_counts(name, one) for name, one in both])
    total: Counter[str] = Counter()
    for one in partitions:
        total.update(one.ledger.counts.tables if one.ledger else {})
    if len(total) > 1:
        yield ""
        yield from console.table(TABLES, [[name, rows] for name, rows in sorted(total.items())])


def _progress(name: str, one: PartitionState, retention: float, now: int) -> list[object]:
    ledger, lag = one.ledger, one.lag
    left = lag.headroom(retention) if lag else None
    return [
        name,
        ledger.incarnation.next or 0 if ledger else "-",
        console.ago(ledger.committed_at, now) if ledger else "-",
        "-" if lag is None else lag.envelopes,
        "-" if lag is None or lag.records is None else lag.records,
        "-" if lag is None else f"{lag.seconds / 60:,.1f}",
        "-" if left is None else f"{left / 3600:,.1f}",
    ]


def _counts(name: str, one: PartitionState) -> list[object]:
    if one.ledger is None:
        return [name, *["-"] * (len(COUNTS) - 1)]
    counts = one.ledger.counts
    return [
        name,
        counts.records,
        counts.rows,
        sum(counts.rejected.values()),
        counts.skipped,
        one.gaps,
        len(one.ledger.lost),
    ]


def _connections(found: Status, now: int) -> Iterator[str]:
    totals = found.manifest.totals
    yield from wrapped(
        f"connections: {found.open:,} open, {totals.connections:,} finished,"
        f" {counted(totals.revisions, 'row')} revised; merged up to {console.ago(found.manifest.clock, now)}"
    )
    if found.estimate is not None:
        yield from wrapped(
            f"durations: unknown for {totals.indeterminate:,} of {counted(totals.connections, 'connection')}:"
            " do all records of a connection have the same time? Estimate from arrival times, off by minutes:"
            f" {found.estimate:,.0f} s on average (ArrivalDurationMs)",
            YELLOW,
        )
    for sample in found.matches:
        yield from wrapped(f"requests: {sample.sentence}", YELLOW if not sample.matched else "")
    if found.swap:
        since = console.time(found.swap.since)
        yield from wrapped(f"compaction: {found.swap.folder} since {since}: {found.swap.waits_for}")


def _services(found: Status, now: int) -> Iterator[str]:
    short = {one: console.printable(one.rpartition("/")[2]) for one, _ in found.services}
    shared = {name for name, number in Counter(short.values()).items() if number > 1}
    rows: list[list[object]] = []
    for one, seen in found.services:
        name = short[one] if short[one] not in shared else console.printable(one, 200)
        rows.append([name or "(no _ResourceId)", console.ago(seen.newest, now), seen.records(now)])
    yield from console.table(SERVICES, rows)


def _names(found: Status, now: int) -> Iterator[str]:
    rows: list[list[object]] = [
        [
            console.printable(one.name) or "(no EventName)",
            one.connections,
            one.first,
            one.last,
            console.ago(one.newest, now),
            one.counts_as,
        ]
        for one in found.names
    ]
    yield from console.table(NAMES, rows)
    yield from wrapped(
        "Each name counts once per finished connection. Choose WS_OPENING_EVENTS and WS_CLOSING_EVENTS"
        " from these names."
    )
