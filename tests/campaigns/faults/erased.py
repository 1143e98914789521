"""Erases a connection from a campaign's output while a host exports, finishes and compacts beside it."""

import asyncio
import gzip
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from local.stack import HUB
from local.traffic.check import Records, check
from local.traffic.generate import generate
from local.traffic.send import next_sequences, producer, send
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from tests.campaigns.faults.fault_injector import COMPACT, EVERY, FINISH
from tests.campaigns.faults.runbook import RunbookError, erase, killed_erase, operate, reached, work
from tests.campaigns.faults.stack import FaultyStack

TRIES = 6
"""Maximum number of erasures: files that are too recent are left for the next one."""
NEW_CONNECTIONS = 400

type Row = tuple[str, int, int, str]
"""Partition, sequence number, index and correlation id."""


def erased(stack: FaultyStack) -> Records:
    """Erases the connection with the most records; compares all other rows, old and new, with what they were.

    Processes that erase it are killed first. Raises RunbookError if something of it is left, or if the audit
    does not prove the rest.
    """
    before = stack.table(RECORDS.name)
    counted = before["CorrelationId"].value_counts().to_pylist()
    chosen = max(counted, key=lambda one: (one["counts"], one["values"]))["values"]
    old = Counter(row for row in _rows(before) if row[3] != chosen)
    now = datetime.now(UTC)
    traffic = generate(stack.seed + 3, NEW_CONNECTIONS, now - timedelta(hours=2), now, bad=0.02)
    first: dict[str, int] = {}
    expected: dict[str, int] = {}

    async def deliver() -> None:
        async with producer(stack.broker.connection_string, HUB) as client:
            first.update(await next_sequences(client))
            await send(traffic.sends, client)
            expected.update(await next_sequences(client))

    host = stack.host()
    host.wait_for("claimed", stack.partitions)
    stack.later(6 * EVERY)
    sender = threading.Thread(target=lambda: asyncio.run(deliver()), daemon=True)
    sender.start()
    killed = 0
    for _ in range(TRIES):
        host.invoke(FINISH)
        host.invoke(COMPACT)
        killed += killed_erase(stack, "--column", "CorrelationId", "--value", chosen)
        left = erase(stack, "--column", "CorrelationId", "--value", chosen)
        work(stack, host, lambda: not host.busy(COMPACT), "compaction does not end")
        if not left:
            break
        stack.later(6 * EVERY)
    sender.join()
    work(stack, host, lambda: reached(stack, expected), "the new traffic is not exported")
    host.stop()
    if not killed:
        raise RunbookError(f"{chosen}: no process that erases it was killed")
    if left or _mentions(stack, chosen):
        raise RunbookError(f"{chosen}: is not erased: {left or 'a file has it'}")
    operate(stack.settings, "audit")
    after = stack.table(RECORDS.name)
    seen = Counter(_rows(after))
    is_new = pa.array([row[1] >= first.get(row[0].rpartition("/")[2], 0) for row in _rows(after)], pa.bool_())
    new = check(replace(traffic.truth, first_sequences=first), after.filter(is_new))
    return replace(
        new,
        expected=new.expected + old.total(),
        rows=new.rows + sum(seen[row] for row in old),
        lost=new.lost + sum(max(0, times - seen[row]) for row, times in old.items()),
        duplicated=new.duplicated + sum(max(0, seen[row] - times) for row, times in old.items()),
    )


def _rows(table: pa.Table) -> Iterator[Row]:
    names = ("_EventHubPartition", "_SequenceNumber", "_RecordIndex", "CorrelationId")
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _mentions(stack: FaultyStack, chosen: str) -> bool:
    """Whether a row of records or connections in any format is of this connection."""
    tables = [stack.table(name) for name in (RECORDS.name, CONNECTIONS.name)]
    if any(pc.any(pc.equal(table["CorrelationId"], chosen)).as_py() for table in tables):
        return True
    lines: Iterator[dict[str, Any]] = (
        orjson.loads(line)
        for name in stack.files("json/")
        for line in gzip.decompress(stack.holder(name).download_blob(name).readall()).splitlines()
    )
    return any(row["CorrelationId"] == chosen for row in lines)
