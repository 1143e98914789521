"""Writes the report on the demo's exported data, reading it from the container."""

from datetime import datetime
from pathlib import Path

from local.stack import OUTPUT, REJECTED, ROOT, STATE, Stack
from shared.azure import blob_storage
from shared.policies import Connection
from shared.report.locations import Container, Range
from shared.report.write import write

REPORT = Path(".demo/report.html")


def location(stack: Stack) -> Container:
    """Returns the containers that the demo fills."""
    connection = Connection(string=stack.azurite.connection_string)
    return Container(
        blob_storage.connect(connection, connection, STATE, OUTPUT, dead_letter_container=REJECTED)
    )


def report(stack: Stack, since: datetime, until: datetime) -> Path:
    """Writes the page, replacing an earlier one; returns its path relative to the repository."""
    (ROOT / REPORT).parent.mkdir(exist_ok=True)
    place = location(stack)
    range_ = Range(_microseconds(since), _microseconds(until))
    write(place, f"container {OUTPUT}", range_, ROOT / REPORT, force=True, progress=lambda *_: None)
    return REPORT


def _microseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000
