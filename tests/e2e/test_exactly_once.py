"""Records that go in at the hub come out once, through the real SDKs and Microsoft's worker."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from local.demo.drive import drain
from local.emulators.functions_host.process import HostError
from local.stack import HUB, STATE, Stack
from local.traffic.check import check
from local.traffic.generate import Traffic, generate
from local.traffic.send import next_sequences, producer, send
from shared.tables.websocket_connection_logs import RECORDS

pytestmark = pytest.mark.timeout(600)


def traffic(seed: int, connections: int = 600) -> Traffic:
    now = datetime.now(UTC)
    return generate(seed, connections, now - timedelta(hours=3), now, bad=0.03)


def deliver(stack: Stack, one: Traffic) -> dict[str, int]:
    async def go() -> dict[str, int]:
        async with producer(stack.broker.connection_string, HUB) as client:
            await send(one.sends, client)
            return await next_sequences(client)

    return asyncio.run(go())


def wait_until_committed(stack: Stack, expected: dict[str, int], seconds: float = 240) -> None:
    """And visible."""
    deadline = time.monotonic() + seconds
    partitions = {partition: there for partition, there in expected.items() if there}
    while stack.committed() != partitions or not stack.published():
        assert time.monotonic() < deadline, (stack.committed(), expected)
        time.sleep(0.2)


def assert_exact(stack: Stack, one: Traffic) -> None:
    counts = stack.counts()
    result = check(one.truth, stack.table(RECORDS.name), rejected=stack.rejected(), skipped=counts.skipped)
    assert result.exact, result
    assert counts.rows == one.truth.rows
    assert counts.rejected == dict(one.truth.rejected)


def test_every_record_comes_out_once_though_the_host_is_killed_on_the_way(stack: Stack) -> None:
    one = traffic(1)
    drain(stack, deliver(stack, one), lambda _: None)
    assert_exact(stack, one)


def test_two_hosts_share_the_sources_and_a_killed_worker_loses_nothing(stack: Stack) -> None:
    one = traffic(2)
    first, second = stack.host(), stack.host()
    for host in (first, second):
        host.wait_ready()
    expected = deliver(stack, one)
    time.sleep(1)
    first.kill_worker()
    wait_until_committed(stack, expected)
    assert_exact(stack, one)


def test_storage_that_is_gone_for_a_while_costs_nothing_but_time(stack: Stack) -> None:
    one = traffic(3)
    host = stack.host()
    # A host whose listener did not start ends, and rightly.
    host.wait_for("claimed", 4)
    stack.azurite.stop()
    expected = deliver(stack, one)
    time.sleep(4)
    stack.azurite.start()
    wait_until_committed(stack, expected)
    assert_exact(stack, one)


def test_a_restart_in_another_process_finds_the_ledger_and_repeats_nothing(stack: Stack) -> None:
    one = traffic(5, 100)
    expected = deliver(stack, one)
    host = stack.host()
    wait_until_committed(stack, expected)
    host.kill()
    ordinals = {ledger.partition: ledger.ordinal for ledger in stack.ledgers()}
    # Without checkpoints, everything is delivered again.
    container = stack.container("azure-webjobs-eventhub")
    for blob in list(container.list_blob_names()):
        container.delete_blob(blob)
    again = stack.host()
    again.wait_for("checkpoint", count=len(ordinals))
    assert {ledger.partition: ledger.counts for ledger in stack.ledgers()}
    assert_exact(stack, one)


def test_a_wrong_setting_leaves_no_functions_and_a_message_that_names_it(stack: Stack) -> None:
    stack._settings["OUTPUT_FORMATS"] = "csv"
    host = stack.host()
    with pytest.raises(HostError, match=r"OUTPUT_FORMATS: .*'csv'"):
        host.wait_ready()
    assert "OUTPUT_FORMATS: " in host.log


def test_the_state_container_holds_ledgers_under_the_names_of_their_sources(stack: Stack) -> None:
    one = traffic(6, 20)
    expected = deliver(stack, one)
    stack.host()
    wait_until_committed(stack, expected)
    names = {name for name in stack.container(STATE).list_blob_names() if name.startswith("ledgers/")}
    host = f"127.0.0.1:{stack.broker.port}"
    assert names == {f"ledgers/{host}/{HUB}/{partition}.json" for partition in expected}
