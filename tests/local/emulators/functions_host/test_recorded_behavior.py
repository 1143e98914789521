"""The emulator takes the same steps as the real trigger did in its recordings."""

import re
import time
from collections.abc import Iterator

import pytest
from azure.eventhub.amqp import AmqpAnnotatedMessage

from local.emulators.functions_host.process import HostProcess
from local.emulators.waiting import wait_until
from tests.campaigns.faults.proxy import Proxy

from .conftest import App
from .recordings import recorded, reported

FAST = 0.05
"""Retries follow after 0.1 s instead of 2 s."""


@pytest.fixture
def storage(app: App) -> Iterator[Proxy]:
    """A proxy between the app's hosts and storage."""
    match = re.search(r"127\.0\.0\.1:(\d+)", app.storage)
    assert match
    with Proxy(int(match[1]), 1) as proxy:
        app.settings["AzureWebJobsStorage"] = app.storage.replace(match[0], f"127.0.0.1:{proxy.port}")
        yield proxy


def checkpoint_writes(request: str) -> str:
    return "500" if request.startswith("PUT") and "/checkpoint/" in request else ""


def events(count: int) -> list[bytes]:
    return [b"x"] * count


def until(host: HostProcess, expected: list[tuple[object, ...]], partition: str = "0") -> None:
    """Wait until the host has taken this many steps."""
    wait_until(
        lambda: len(reported(host, partition)) >= len(expected),
        f"{expected}",
        seen=lambda: reported(host, partition),
        log=lambda: host.log,
    )
    assert reported(host, partition) == expected


def test_a_lost_partition_continues_and_rewinds_the_checkpoint(app: App) -> None:
    app.write_host_json(minEventBatchSize=64, maxEventBatchSize=64)
    app.send(*events(64), partition="0")
    app.send(*events(64), partition="1")
    app.switch("fail-A")
    with app.host("A", RETRY="-1", time_scale=FAST) as first:
        first.wait_for("invocation", 3, ok=False)
        with app.host("B", RETRY="-1", time_scale=FAST) as second:
            (claimed,) = second.wait_for("claimed")
            lost = claimed["partition"].rpartition("/")[2]
            second.wait_for("checkpoint", sequence=63)
            app.send(*events(64), partition=lost)
            second.wait_for("checkpoint", sequence=127)
            assert app.checkpoint(lost) == 127
            owner = app.checkpoint_metadata(lost)["clientidentifier"]
            attempts = len(first.wait_for("invocation", partition=claimed["partition"]))
            first.wait_for("invocation", attempts + 3, partition=claimed["partition"], ok=False)
            app.switch("fail-A", on=False)
            expected = recorded("steal", "A", "2")
            until(first, expected, lost)
            # The older checkpoint is in place now, although its owner wrote a newer one.
            metadata = app.checkpoint_metadata(lost)
            assert metadata["sequencenumber"] == "63"
            assert metadata["clientidentifier"] != owner
            assert second.stop() == 0
            assert reported(second, lost) == recorded("steal", "B", "2")
            # The partitions that it kept continue as before.
            kept = "1" if lost == "0" else "0"
            until(first, [*recorded("steal", "A", "1")[:4]], kept)


def test_one_failed_checkpoint_stops_the_timer_of_a_partition(app: App, storage: Proxy) -> None:
    app.write_host_json(minEventBatchSize=64, maxEventBatchSize=256, maxWaitTime="00:00:01")
    app.send(*events(5))
    storage.choose = checkpoint_writes
    with app.host() as host:
        host.wait_for("checkpoint_failed", sequence=4)
        storage.calm()
        for _ in range(6):
            app.send(*events(5))
        time.sleep(3)
        assert len(host.wait_for("invocation")) == 1
        app.send(*events(40))
        host.wait_for("checkpoint", sequence=74)
        app.send(*events(5))
        host.wait_for("checkpoint", sequence=79)
        assert host.stop() == 0
        assert reported(host) == recorded("cpfail")


def test_full_batches_with_a_minimum_of_one_keep_the_timer(app: App, storage: Proxy) -> None:
    app.send(b"0")
    storage.choose = checkpoint_writes
    with app.host() as host:
        host.wait_for("checkpoint_failed", sequence=0)
        storage.calm()
        app.send(b"1")
        host.wait_for("checkpoint", sequence=1)


def test_batches_are_grouped_by_number_and_time(app: App) -> None:
    app.write_host_json(minEventBatchSize=64, maxEventBatchSize=256, maxWaitTime="00:00:03")
    app.send(*events(10))
    with app.host() as host:
        host.wait_for("checkpoint", sequence=9)
        app.send(*events(70))
        host.wait_for("checkpoint", sequence=79)
        app.send(*events(30))
        app.send(*events(30))
        time.sleep(0.5)
        app.send(*events(300))
        host.wait_for("checkpoint", sequence=439)
        app.send(*events(5))
        host.wait_for("checkpoint", sequence=444)
        assert host.stop() == 0

    def checkpoints(steps: list[tuple[object, ...]]) -> list[object]:
        # The split of 300 events depends on how many have arrived when the first invocation begins.
        return [last for what, _, last, *_ in steps if what == "checkpoint" and last not in range(80, 439)]

    assert checkpoints(reported(host)) == checkpoints(recorded("batches"))
    assert max(len(call["sequences"]) for call in app.notes("begin")) <= 256


def test_a_first_partial_batch_waits_after_a_recent_checkpoint(app: App) -> None:
    app.write_host_json(minEventBatchSize=64, maxEventBatchSize=64, maxWaitTime="00:00:10")
    app.send(*events(64))
    with app.host() as host:
        host.wait_for("checkpoint", sequence=63)
        assert host.stop() == 0
        assert reported(host) == recorded("first", "A")
    app.send(*events(5))
    with app.host("A2") as host:
        host.wait_for("checkpoint", sequence=68)
        (begin,) = app.notes("begin", host="A2")
        (written,) = app.notes("end", host="host")
        # Times of blobs have no fractions of seconds.
        assert 8.5 < begin["time"] - written["time"] < 60
        assert host.stop() == 0
        assert reported(host) == recorded("first", "A2")


def test_a_drain_does_not_wait_for_a_partial_batch(app: App) -> None:
    app.write_host_json(minEventBatchSize=64, maxEventBatchSize=64)
    app.send(*events(10))
    app.switch("fail")
    with app.host(RETRY="-1", time_scale=FAST) as host:
        host.wait_for("invocation", 2, ok=False)
        host.drain()
        host.wait_for("drained")
        attempts = len(host.wait_for("invocation"))
        host.wait_for("invocation", attempts + 3)
        assert app.checkpoint() is None
        app.switch("fail", on=False)
        until(host, recorded("drain10"))
    assert app.checkpoint() == 9


def test_a_drain_waits_for_a_full_batch_without_a_checkpoint(app: App) -> None:
    app.write_host_json(minEventBatchSize=64, maxEventBatchSize=100)
    app.send(*events(100))
    app.switch("fail")
    with app.host(RETRY="-1", time_scale=FAST) as host:
        host.wait_for("invocation", 2, ok=False)
        host.drain()
        host.wait_for("draining")
        attempts = len(host.wait_for("invocation"))
        host.wait_for("invocation", attempts + 5)
        assert not [event for event in host.seen if event["event"] == "drained"]
        app.switch("fail", on=False)
        host.wait_for("drained")
        until(host, recorded("drainfail"))
    assert app.checkpoint() is None


@pytest.mark.long
@pytest.mark.parametrize("kind", ["value_body", "sequence_body"])
def test_a_body_other_than_bytes_stops_its_partition(app: App, kind: str) -> None:
    bodies = {"value_body": {"a": 1}, "sequence_body": [1, 2]}
    app.send(b"before")
    app.send_raw(AmqpAnnotatedMessage(**{kind: bodies[kind]}))
    app.send(b"other", partition="1")
    with app.host(RETRY="-1", time_scale=FAST) as host:
        failed = host.wait_for("invocation", 5, ok=False)
        assert all("NotSupportedException" in line["error"] for line in failed)
        assert [line["retry"] for line in failed[:5]] == [0, 1, 2, 3, 4]
        host.wait_for("checkpoint", sequence=0, partition=failed[0]["partition"][:-1] + "1")
        assert app.checkpoint() in {None, 0}
    assert not [call for call in app.notes("begin", partition="0") if len(call["bodies"]) > 1]
    # Without a retry policy, this failure is like any other.
    with app.host() as host:
        host.wait_for("checkpoint", sequence=1)


def test_a_recreated_hub_is_refused_until_it_outgrows_the_checkpoint(app: App) -> None:
    app.send(*events(100))
    with app.host() as host:
        host.wait_for("checkpoint", sequence=99)
        old = int(app.checkpoint_metadata()["offset"])
        assert host.stop() == 0
    app.recreate_hub()
    app.send(*events(60))
    with app.host() as host:
        (failed, *_) = host.wait_for("receive_failed", 2)
        assert re.fullmatch(
            rf"ArgumentException: The supplied offset '{old}' is invalid\. "
            r"The last offset in the system is '\d+'\.",
            failed["error"],
        )
        app.send(*events(100))
        host.wait_for("checkpoint", sequence=159)
        calls = [call["sequences"] for call in app.notes("begin")]
        assert calls[-1][0] > 60
        steps = reported(host)
        assert steps[:3] == recorded("anew")[:3]
        assert not [call for call in calls[1:] if 0 in call]


def test_deleting_the_checkpoint_frees_a_recreated_hub_at_once(app: App) -> None:
    app.send(*events(20))
    with app.host() as host:
        host.wait_for("checkpoint", sequence=19)
        assert host.stop() == 0
    app.recreate_hub()
    app.send(b"first")
    with app.host() as host:
        host.wait_for("receive_failed", 2)
        app.delete_checkpoint()
        host.wait_for("checkpoint", sequence=0)
