"""Archives in memory, and live output in the same containers."""

import io
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shared.backfill.backfill import Backfill, Choice
from shared.backfill.outcome import BackfillDocument
from shared.export.exporter import Exporter
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.archive import ArchiveBlob
from shared.protocol.storage import Storage
from shared.tables.table import Table
from shared.timeunits import SECOND
from tests import records
from tests.memory import MemoryStorage
from tests.records import PARTITION

BEGAN = datetime(2026, 10, 31, 20, tzinfo=UTC)
"""The first hour of the archive, a few hours before a new month."""
LIVE = BEGAN + timedelta(hours=9, minutes=30)
"""When the live output begins."""
NOW = BEGAN + timedelta(days=3)
POLICY = ExportPolicy(commit_bytes=4000)
"""Small commits, for a large number of them."""
CLOSED = "ConnectionClosed"
SERVICES = ("/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/ONE", "/S/TWO")


def micros(time: datetime) -> int:
    return round(time.timestamp()) * SECOND


class MemoryArchive:
    """An archive as a mapping of names to bytes. Implements `Archive`."""

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self.content = dict(content)
        self.read: list[str] = []

    def blobs(self) -> Iterator[ArchiveBlob]:
        for name, data in self.content.items():
            yield ArchiveBlob(name, len(data))

    def chunks(self, name: str) -> Iterator[bytes]:
        self.read.append(name)
        for piece in itertools.batched(self.content[name], 1000, strict=False):
            yield bytes(piece)


def path(service: str, hour: datetime) -> str:
    return f"resourceId={service}/y={hour:%Y}/m={hour:%m}/d={hour:%d}/h={hour:%H}/m=00/PT1H.json"


def record(service: str, time: datetime, connection: str, event: str) -> dict[str, Any]:
    properties = {"eventName": event, "padding": "x" * 40}
    return records.record(micros(time), connection, resourceId=service, properties=properties)


def archive(hours: int = 12, connections: int = 40, seed: int = 1) -> MemoryArchive:
    """Returns hours of two services, with connections of three hours; some have a late record.

    One line in each blob is not JSON.
    """
    chance = random.Random(seed)
    lines: dict[str, list[bytes]] = {}
    for service in SERVICES:
        for number in range(connections):
            opened = BEGAN + timedelta(minutes=chance.randrange(60 * (hours - 3)))
            late = [(330, "Message")] if number % 5 == 0 else []
            told = [(0, "ConnectionOpened"), (chance.randrange(1, 180), "Message"), (180, CLOSED), *late]
            for minutes, event in told:
                time = opened + timedelta(minutes=minutes, seconds=chance.randrange(60))
                hour = time.replace(minute=0, second=0)
                if number % 7 or event != CLOSED:
                    text = orjson.dumps(record(service, time, f"{service[-3:]}-{number}", event))
                    lines.setdefault(path(service, hour), []).append(text)
    return MemoryArchive({name: b"\n".join([*some, b"{no JSON"]) for name, some in lines.items()})


def with_live_output(storage: Storage) -> None:
    """Exports events that the hub delivered from `LIVE` on."""
    opened = record(SERVICES[0], LIVE, "live", "ConnectionOpened")
    exporter = Exporter(storage, POLICY, 1 << 24, lambda: micros(NOW), ids())
    exporter.run(PARTITION, [records.envelope(0, micros(LIVE) + SECOND, opened)])


def ids() -> Callable[[], str]:
    number = itertools.count()
    chance = random.Random()
    return lambda: f"{next(number):08x}{chance.getrandbits(96):024x}"


def run(
    storage: Storage,
    source: MemoryArchive,
    choice: Choice | None = None,
    *,
    dry_run: bool = False,
    now: datetime = NOW,
    policy: ExportPolicy = POLICY,
) -> BackfillDocument:
    """Runs a backfill in a new process."""
    backfill = Backfill(storage, source, policy, FinishPolicy(), 1 << 24, lambda: micros(now), ids())
    return backfill.run(choice or Choice(), lambda _, __: None, dry_run=dry_run)


def rows(storage: MemoryStorage, table: Table) -> list[dict[str, Any]]:
    """Returns all rows that readers see."""
    found = [
        pq.read_table(io.BytesIO(blob.data))
        for name, blob in storage.output.items()
        if blob.data is not None and name.startswith(f"parquet/{table.name}/")
    ]
    return pa.concat_tables(found).to_pylist() if found else []
