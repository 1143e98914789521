"""A message that kills the worker becomes a dead letter, through Microsoft's worker library and retries."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.eventhub import EventData

from local.stack import HUB, ROOT, Stack
from local.traffic.send import producer
from shared.tables.websocket_connection_logs import RECORDS
from tests import breaking_planner, records

APP = Path(__file__).with_name("breaking_app.py")


@pytest.fixture
def breaking(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose hosts run the app with a planner that some messages break."""
    app = tmp_path / "app"
    app.mkdir()
    shutil.copy(ROOT / "host.json", app)
    shutil.copy(APP, app / "function_app.py")
    settings = {"APP": str(ROOT / "function_app.py")}
    with Stack(tmp_path / "stack", partitions=1, settings=settings) as stack:
        stack.app = app
        yield stack


def record(name: str) -> bytes:
    return records.body(records.record(time.time_ns() // 1000, name))


@pytest.mark.timeout(600)
def test_messages_that_break_the_worker_do_not_affect_others(breaking: Stack) -> None:
    breaking_bodies = [breaking_planner.DIES, breaking_planner.RAISES]

    async def send() -> None:
        async with producer(breaking.broker.connection_string, HUB) as client:
            for body in (record("a"), breaking_bodies[0], record("b"), breaking_bodies[1], record("c")):
                await client.send_event(EventData(body), partition_id="0")

    host = breaking.host()
    asyncio.run(send())
    breaking.wait_until(
        lambda: any(event["event"] == "checkpoint" and event["sequence"] == 4 for event in list(host.seen)),
        "a checkpoint after the fifth message",
        lambda: (breaking.committed(), len(host.seen)),
    )
    host.stop()
    counts = breaking.counts()
    assert (counts.envelopes, counts.records, counts.rows) == (5, 5, 3)
    assert counts.rejected == {"internal_error": 2}
    names = breaking.table(RECORDS.name)["CorrelationId"].to_pylist()
    assert set(names) == {"a", "b", "c"}
    assert [letter["body"].encode() for letter in breaking.dead_letters()] == breaking_bodies
    (ledger,) = breaking.ledgers()
    assert ledger.broken.letters == 2
