"""Faults for the end of a campaign: an event that no host can bind, and a hub that is re-created.

Both change the contents of the hub, so each sends separate traffic and checks its outcome.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
from azure.eventhub.amqp import AmqpAnnotatedMessage

from local.stack import HUB, OUTPUT
from local.traffic.check import Records, check
from local.traffic.generate import Traffic, generate
from local.traffic.send import next_sequences, producer, send
from local.traffic.truth import Truth
from shared.tables.websocket_connection_logs import RECORDS
from tests.campaigns.faults.runbook import advice, operate, reached, work
from tests.campaigns.faults.stack import FaultyStack

WITHOUT_COMPACTION = {"COMPACT_ENABLED": "false"}
"""Files never mix what was exported before and after."""
CONNECTIONS = 400
BLOCKED = "0"
"""The partition that gets the event that cannot be bound."""


class AftermathError(RuntimeError):
    """The outcome is wrong; the message says how."""


def unbindable(stack: FaultyStack) -> Records:
    """Send an event that is not bytes, then traffic; then do what the alarm tells an operator to do.

    Raises `AftermathError` unless exactly that event is first a gap and finally a dead letter.
    """
    before = set(stack.files(""))
    traffic = _traffic(stack.seed + 1)

    async def deliver() -> tuple[dict[str, int], dict[str, int]]:
        async with producer(stack.broker.connection_string, HUB) as client:
            first = await next_sequences(client)
            batch = await client.create_batch(partition_id=BLOCKED)
            batch.add(AmqpAnnotatedMessage(value_body={"not": "bytes"}))
            await client.send_batch(batch)
            await send(traffic.sends, client)
            return first, await next_sequences(client)

    first, expected = asyncio.run(deliver())
    bad = first[BLOCKED]
    host = stack.host(settings=WITHOUT_COMPACTION)
    others = {partition: there for partition, there in expected.items() if partition != BLOCKED}
    work(stack, host, lambda: reached(stack, others), "the other partitions do not go on")
    errors = [event["error"] or "" for event in host.wait_for("invocation", 3, ok=False)]
    if not any("NotSupportedException" in error for error in errors):
        raise AftermathError(f"the event was bound: {errors}")
    if stack.committed().get(BLOCKED, 0) > bad:
        raise AftermathError("the partition went on beyond an event that cannot be bound")
    reset, redeliver = advice(stack, host)
    if (reset[1].rpartition("/")[2], reset[3]) != (BLOCKED, str(bad)):
        raise AftermathError(f"event {bad} stops partition {BLOCKED}, but the alarm says: {reset}")
    host.stop()
    operate(stack.settings, *reset)
    host = stack.host(settings=WITHOUT_COMPACTION)
    work(stack, host, lambda: reached(stack, expected), "the partition does not go on")
    gaps = _gaps(stack)
    if gaps != {BLOCKED: {bad}}:
        raise AftermathError(f"there should be a gap of {bad} alone, but there are {gaps}")
    _redeliver(stack, redeliver)
    host.stop()
    found = [
        (letter["partition"].rpartition("/")[2], letter["sequence"])
        for letter in stack.dead_letters()
        if "amqp_body_type" in letter
    ]
    if found != [(BLOCKED, bad)]:
        raise AftermathError(f"event {bad} should be a dead letter, once, but there are {found}")
    begins = first | {BLOCKED: bad + 1}
    return _checked(stack, before, replace(traffic.truth, first_sequences=begins))


def made_anew(stack: FaultyStack) -> Records:
    """Delete the hub under a running host, re-create it under its name, and send other traffic.

    The checkpoints of the old hub are kept. Each event must be exported, or be a gap that `redeliver` fills.
    """
    before = set(stack.files(""))
    host = stack.host(settings=WITHOUT_COMPACTION)
    host.wait_for("claimed", stack.partitions)
    stack.broker.recreate_hub(HUB)
    traffic = _traffic(stack.seed + 2)

    async def deliver() -> dict[str, int]:
        async with producer(stack.broker.connection_string, HUB) as client:
            await send(traffic.sends, client)
            return await next_sequences(client)

    expected = asyncio.run(deliver())
    work(stack, host, lambda: reached(stack, expected), "the new hub is not exported")
    _redeliver(stack, ["redeliver"])
    host.stop()
    return _checked(stack, before, traffic.truth)


def _redeliver(stack: FaultyStack, command: list[str]) -> None:
    """Fill all gaps, then try again: nothing may be left to do."""
    operate(stack.settings, *command)
    if gaps := _gaps(stack):
        raise AftermathError(f"redelivery left gaps: {gaps}")
    counts = stack.counts()
    again = operate(stack.settings, *command, "--json")
    if stack.counts() != counts:
        raise AftermathError(f"a second redelivery changed counts: {again}")


def _traffic(seed: int) -> Traffic:
    now = datetime.now(UTC)
    return generate(seed, CONNECTIONS, now - timedelta(hours=2), now, bad=0.02)


def _gaps(stack: FaultyStack) -> dict[str, set[int]]:
    """Returns the sequence numbers of the current hub that never arrived, by partition."""
    return {
        ledger.partition.rpartition("/")[2]: {
            number for first, last in ledger.incarnation.gaps for number in range(first, last + 1)
        }
        for ledger in stack.ledgers()
        if ledger.incarnation.gaps
    }


def _checked(stack: FaultyStack, before: set[str], truth: Truth) -> Records:
    """Compare the rows in new files with the expected rows."""
    container = stack.container(OUTPUT)
    new = [name for name in stack.files(f"parquet/{RECORDS.name}/date=") if name not in before]
    tables = [pq.read_table(pa.BufferReader(container.download_blob(name).readall())) for name in new]
    return check(truth, pa.concat_tables(tables))
