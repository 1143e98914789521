"""Records that go in at the hub come out once, through the real SDKs and Microsoft's worker."""

import asyncio
import shutil
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from local.emulators.functions_host.process import HostError
from local.stack import HUB, OPERATORS, OUTPUT, REJECTED, STATE, Stack
from local.traffic.check import check
from local.traffic.envelopes import Send
from local.traffic.generate import Traffic, generate
from local.traffic.send import next_sequences, producer, send
from shared.azure import blob_storage
from shared.azure.event_hub import EventHub
from shared.commands.redeliver import redeliver
from shared.policies import Connection, ExportPolicy
from shared.tables.websocket_connection_logs import RECORDS

pytestmark = pytest.mark.timeout(600)


def traffic(seed: int, connections: int = 600, bad: float = 0.03) -> Traffic:
    now = datetime.now(UTC)
    return generate(seed, connections, now - timedelta(hours=3), now, bad=bad)


def deliver(stack: Stack, sends: Iterable[Send]) -> dict[str, int]:
    async def go() -> dict[str, int]:
        async with producer(stack.broker.connection_string, HUB) as client:
            await send(sends, client)
            return await next_sequences(client)

    return asyncio.run(go())


def wait_until_committed(stack: Stack, expected: dict[str, int]) -> None:
    """And visible."""
    partitions = {partition: there for partition, there in expected.items() if there}

    def reached() -> bool:
        committed = stack.committed()
        enough = all(committed.get(partition, 0) >= there for partition, there in partitions.items())
        return enough and stack.published()

    stack.wait_until(reached, f"commits up to {partitions}, and all files visible")
    assert stack.committed() == partitions


def assert_exact(stack: Stack, one: Traffic) -> None:
    counts = stack.counts()
    result = check(one.truth, stack.table(RECORDS.name), rejected=stack.rejected(), skipped=counts.skipped)
    assert result.exact, result
    assert counts.rows == one.truth.rows
    assert counts.rejected == dict(one.truth.rejected)


def test_two_hosts_and_a_killed_worker_lose_nothing(stack: Stack) -> None:
    one = traffic(2)
    first, second = stack.host(), stack.host()
    for host in (first, second):
        host.wait_ready()
    expected = deliver(stack, one.sends)
    time.sleep(1)
    first.kill_worker()
    wait_until_committed(stack, expected)
    assert_exact(stack, one)


def test_an_outage_of_storage_only_delays_the_export(stack: Stack) -> None:
    one = traffic(3)
    host = stack.host()
    # A host whose listener did not start is right to exit.
    host.wait_for("claimed", 4)
    stack.azurite.stop()
    expected = deliver(stack, one.sends)
    time.sleep(4)
    stack.azurite.start()
    wait_until_committed(stack, expected)
    assert_exact(stack, one)


def test_a_wrong_setting_is_named_and_leaves_no_functions(stack: Stack) -> None:
    stack._settings["OUTPUT_FORMATS"] = "csv"
    host = stack.host()
    with pytest.raises(HostError, match=r"OUTPUT_FORMATS: .*'csv'"):
        host.wait_ready()
    assert "OUTPUT_FORMATS: " in host.log


def test_deleting_a_hub_under_a_running_host_loses_no_event(stack: Stack) -> None:
    """The checkpoints of the old hub stay, as in Azure: the timer deletes them, and fills nothing twice."""
    before, after = traffic(4, 100, bad=0), traffic(5, 100, bad=0)
    host = stack.host()
    host.wait_for("claimed", 4)
    wait_until_committed(stack, deliver(stack, before.sends))
    stack.broker.stop()
    shutil.rmtree(stack.broker.data)
    stack.broker.start()
    expected = deliver(stack, after.sends)
    partitions = {partition: there for partition, there in expected.items() if there}

    def whole() -> bool:
        lives = {one.partition.rpartition("/")[2]: one.incarnation for one in stack.ledgers()}
        return stack.published() and all(
            lives[partition].number == 1 and lives[partition].next == there and not lives[partition].gaps
            for partition, there in partitions.items()
        )

    def repaired() -> bool:
        if whole():
            return True
        host.invoke("finish_connections")
        redelivered(stack)
        time.sleep(1)
        return False

    stack.wait_until(
        repaired,
        f"a second life of each partition, without gaps, up to {partitions}",
        lambda: [
            (one.number, one.next, one.gaps) for one in (ledger.incarnation for ledger in stack.ledgers())
        ],
        limit=150,
    )
    counts, rows = stack.counts(), stack.table(RECORDS.name)
    assert counts.rows == rows.num_rows == before.truth.rows + after.truth.rows
    origins = rows.select(["_EventHubPartition", "_SequenceNumber", "_RecordIndex", "_EnqueuedTime"])
    assert len(set(zip(*origins.to_pydict().values(), strict=True))) == rows.num_rows
    assert not counts.rejected


def redelivered(stack: Stack) -> None:
    """Runs the command."""
    storage = Connection(string=stack.azurite.connection_string)
    redeliver(
        blob_storage.connect(storage, storage, STATE, OUTPUT, dead_letter_container=REJECTED),
        EventHub(Connection(string=stack.broker.connection_string), HUB, OPERATORS),
        ExportPolicy(formats=("parquet", "json")),
        1 << 26,
        None,
        dry_run=False,
        as_json=True,
        now=lambda: time.time_ns() // 1000,
        new_id=lambda: uuid.uuid4().hex,
    )
