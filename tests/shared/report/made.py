"""Writes synthetic output to a folder with the program's own code, for tests and pictures."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shared.input.envelope import Envelope
from shared.input.rejections import Reason, Rejected, Rejection
from shared.output import dead_letters, layout, parquet
from shared.policies import ExportPolicy
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.table import Table
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import SECOND
from tests.records import PARTITION

RESOURCE = "/subscriptions/s/resourcegroups/g/providers/microsoft.apimanagement/service/"
DESTINATIONS = {"wss://chat.example": 0.42, "wss://prices.example": 0.33, "wss://orders.example": 0.17}
DESTINATIONS["wss://devices.example"] = 1 - sum(DESTINATIONS.values())
REGIONS = {"West Europe": 0.55, "East US": 0.3, "Southeast Asia": 0.15}
MEDIANS = {"wss://chat.example": 240, "wss://prices.example": 1500, "wss://orders.example": 12}
ERRORS = ("backend closed the connection: 1011", "handshake timed out", "backend answered 503")


def write(root: Path, table: Table, rows: Sequence[dict[str, Any]], by: str, name: str = "made") -> None:
    """Writes rows to the folders of their hours; missing columns are null, or filled if required."""
    whole = [_blank(table) | row for row in rows]
    for group in layout.split(pa.Table.from_pylist(whole, schema=table.arrow), by):
        folder = root / layout.folder("parquet", table.name, group.date, group.hour)
        folder.mkdir(parents=True, exist_ok=True)
        data = parquet.encode(group.table, {}, "snappy")
        (folder / f"{name}-{len(list(folder.iterdir()))}.parquet").write_bytes(data)


def connection(id_: str, start: float, seconds: float | None, **more: Any) -> dict[str, Any]:
    """Returns a row of a connection: seconds from 1970 to its start, and its duration (None: unknown)."""
    ended = start + (seconds or 0)
    return {
        "CorrelationId": id_,
        "_ResourceId": f"{RESOURCE}one",
        "StartTime": _us(start),
        "EndTime": _us(ended),
        "DurationMs": None if seconds is None else seconds * 1000,
        "DurationSource": "indeterminate" if seconds is None else "event_times",
        "ArrivalDurationMs": (seconds or 0) * 1000,
        "Status": "closed",
        "EventCount": 4,
        "FirstSeen": _us(start + 240),
        "LastSeen": _us(ended + 240),
        "CommitId": id_,
        "Revision": 0,
    } | more


def record(id_: str, at: float, delay: float, **more: Any) -> dict[str, Any]:
    """Returns a row of a record: seconds from 1970 to its time, and seconds until it reached the hub."""
    return {
        "TimeGenerated": _us(at),
        "CorrelationId": id_,
        "EventName": "ConnectionOpened",
        "_ResourceId": f"{RESOURCE}one",
        "_EnqueuedTime": _us(at + delay),
    } | more


def letters(root: Path, rejected: Sequence[tuple[float, Reason, int, str]]) -> None:
    """Writes dead letters: seconds after 1970, reason, number of records, message."""
    folders: dict[str, list[Rejected]] = {}
    for sequence, (at, reason, number, message) in enumerate(rejected):
        envelope = Envelope(sequence, _us(at), b'{"records": "\xff"}')
        rejection = Rejection(reason, message, 0)
        one = Rejected(envelope, (rejection,), ((0, number - 1),), {reason: number})
        folders.setdefault(layout.dead_letter_folder(envelope.enqueued), []).append(one)
    for folder, some in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "made.jsonl.gz").write_bytes(dead_letters.encode(some, PARTITION, 0, ExportPolicy()))


def days(root: Path, until: datetime, hours: int, count: int) -> list[dict[str, Any]]:
    """Writes days of a service: more traffic by day, an outage of one backend, some open connections.

    Returns the rows of finished connections.
    """
    rng = np.random.default_rng(7)
    end = until.timestamp()
    begin = end - timedelta(hours=hours).total_seconds()
    starts = rng.uniform(begin, end, 3 * count)
    rhythm = 0.15 + 0.85 * np.sin(np.pi * ((starts / 3600 + 19) % 24) / 24) ** 2
    starts = starts[rng.random(len(starts)) < rhythm][:count]
    connections, records = [], []
    for number, start in enumerate(starts.tolist()):
        destination = str(rng.choice(list(DESTINATIONS), p=list(DESTINATIONS.values())))
        region = str(rng.choice(list(REGIONS), p=list(REGIONS.values())))
        seconds = float(
            min(rng.lognormal(np.log(MEDIANS.get(destination, 5400)), 1.3), rng.uniform(8, 20) * 3600)
        )
        outage = destination == "wss://orders.example" and 0.55 < (start - begin) / (end - begin) < 0.63
        luck = rng.random()
        status = "failed" if outage or luck < 0.03 else "quiet" if luck < 0.06 else "closed"
        if outage:
            seconds = float(rng.uniform(0.05, 3))
        id_ = f"{number:08x}-6b1f-4c3a-9d52-{int(rng.integers(1 << 48)):012x}"
        where = {"Destination": destination, "Region": region}
        late = float(rng.lognormal(np.log(260), 0.45))
        records.append(record(id_, start, late, **where))
        if start + seconds < end:
            records.append(record(id_, start + seconds, late, EventName="ConnectionClosed", **where))
        if start + seconds < end - 1200:
            error = ERRORS[2 if outage else int(rng.integers(2))] if status == "failed" else None
            duration = seconds if luck < 0.98 else None
            more = {"Status": status, "Error": error, "ClosingEvent": "ConnectionClosed", **where}
            connections.append(connection(id_, start, duration, EventCount=int(rng.integers(2, 60)), **more))
    write(root, CONNECTIONS, connections, "EndTime")
    write(root, RECORDS, records, "TimeGenerated")
    missing = (begin + rng.random(60) * (end - begin)).tolist()
    unparseable = (begin + 0.4 * (end - begin) + rng.random(40) * 3000).tolist()
    bad = [(at, Reason.MISSING_REQUIRED_FIELD, 1) for at in missing]
    bad += [(at, Reason.UNPARSEABLE_TIME, 3) for at in unparseable]
    messages = {
        Reason.MISSING_REQUIRED_FIELD: "expected a text that is not empty, got null",
        Reason.UNPARSEABLE_TIME: 'expected a time such as 2026-11-20T10:00:00Z, got "yesterday"',
    }
    letters(root, [(at, reason, number, messages[reason]) for at, reason, number in bad])
    return connections


def _us(seconds: float) -> int:
    return round(seconds * SECOND)


def _blank(table: Table) -> dict[str, Any]:
    fill: dict[pa.DataType, Any] = {pa.string(): "x", pa.int64(): 0, pa.int32(): 0}
    return {
        column.name: fill.get(column.type, datetime.fromtimestamp(0, UTC)) if column.required else None
        for column in table.columns
    }
