"""Lists the places that an erasure does not change, and when the values disappear from them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from shared.connections.repair import KEPT
from shared.timeunits import MINUTE, SECOND, microseconds
from shared.wording import counted

SOFT_DELETE = timedelta(days=7)
"""How long the templates keep deleted files."""
STATE_KEPT = KEPT + 5 * MINUTE
"""The time after which the timer has deleted replaced parts of the state table (µs)."""
type Place = Literal[
    "soft_delete", "delta_snapshots", "event_hub", "copies", "archive", "state", "other_rows", "event_names"
]


@dataclass(frozen=True, slots=True)
class Remains:
    """A place that may still hold the values."""

    place: Place
    until: int | None
    """When the values disappear from it (µs since 1970 UTC); None if nothing deletes them, or if unknown."""
    text: str


def remains(column: str, now: int, *, retention: timedelta, kept: int, kept_until: int) -> Iterator[Remains]:
    """Yields the places that may still hold the values.

    `retention`: the retention of the hub; 0 if unknown. `kept`: the number of replaced files that are kept
    until `kept_until` for readers of older Delta snapshots. Times are in µs since 1970 UTC.
    """
    deleted = now + microseconds(SOFT_DELETE)
    yield Remains(
        "soft_delete",
        deleted,
        f"replaced files that soft delete keeps: for 7 days with the templates, until {_day(deleted)}",
    )
    if kept:
        yield Remains(
            "delta_snapshots",
            kept_until,
            f"{counted(kept, 'replaced file')} with matching rows, kept for readers of older "
            "Delta snapshots (COMPACT_KEEP): "
            f"until {_day(kept_until)}",
        )
    gone = now + microseconds(retention) if retention else None
    until = f"until {_day(gone)}" if gone else "for its retention (EVENT_HUB_RETENTION is not set)"
    yield Remains(
        "event_hub",
        gone,
        f"messages in the Event Hub: {until}; they are not exported again, because the ledgers list them as "
        "exported",
    )
    yield Remains(
        "archive",
        None,
        "an archive of the diagnostic setting: `backfill` exports no record twice, but hours that it has not "
        "exported may hold the values: erase again after it exports them",
    )
    yield Remains(
        "copies",
        None,
        "copies outside these containers: Event Hubs Capture, a workspace, reports, and what readers copied",
    )
    yield Remains(
        "state",
        now + STATE_KEPT,
        "replaced parts of the state table, and observations that are merged into it: the timer deletes them "
        f"within {counted(STATE_KEPT // MINUTE, 'minute')}",
    )
    yield Remains(
        "other_rows",
        None,
        f"records that arrive later, and rows that have the value in a column other than {column}",
    )
    if column == "EventName":
        yield Remains("event_names", None, "names of events in rows of connections and in the state table")


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at // SECOND, UTC):%Y-%m-%d}"
