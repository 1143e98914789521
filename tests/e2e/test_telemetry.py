"""The telemetry of the whole stack agrees with the output."""

import base64
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

import orjson
import pyarrow.compute as pc
import pytest

from local.demo.drive import finish
from local.emulators.azurite import KEY
from local.emulators.functions_host.process import HostProcess
from local.emulators.waiting import PATIENCE
from local.stack import OUTPUT, REJECTED, Stack
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from shared.telemetry import FunctionName
from tests.campaigns.faults.stack import SkewedStack
from tests.collector import Collector
from tests.e2e.test_exactly_once import assert_exact, deliver, traffic, wait_until_committed

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def stack(tmp_path: Path, collector: Collector) -> Iterator[SkewedStack]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        "OTEL_BLRP_SCHEDULE_DELAY": "300",
        "PYTHON_ENABLE_OPENTELEMETRY": "true",
        "WS_GRACE": "00:15:00",
    }
    with SkewedStack(tmp_path / "stack", settings) as running:
        yield running


def commit_lines(collector: Collector) -> list[dict[str, Any]]:
    with collector.lock:
        lines = [*collector.lines]
    return [orjson.loads(line.partition(" ")[2]) for line in lines if line.startswith("commit ")]


def wait_until_told(stack: Stack, collector: Collector, envelopes: int, host: HostProcess) -> None:
    """Waits for the telemetry about the commits of this many envelopes."""

    def told() -> int:
        return sum(line["envelopes"] for line in commit_lines(collector))

    # A commit's log line comes last: an export of metrics may have begun before it, but not the next one.
    stack.wait_until(lambda: told() >= envelopes, f"log lines about {envelopes} envelopes", told)
    for _ in range(2):
        exports = collector.exports
        host.invoke("finish_connections")  # without new values, nothing is exported
        stack.wait_until(
            lambda: collector.exports > exports,  # noqa: B023 - it is called at once
            f"an export of metrics after {exports}",
        )


def everything_comes_again(stack: Stack, collector: Collector, envelopes: int) -> None:
    """Starts a host without checkpoints, and waits until all envelopes are duplicates."""
    container = stack.container("azure-webjobs-eventhub")
    for blob in list(container.list_blob_names()):
        container.delete_blob(blob)
    stack.host()
    names = ("duplicates", "envelopes")

    def counts() -> dict[str, float]:
        return {name: collector.total(f"websocketlogs.{name}") for name in names}

    stack.wait_until(lambda: counts()["duplicates"] >= envelopes, f"{envelopes} duplicates", counts)
    assert counts() == dict.fromkeys(names, envelopes)


def test_counts_match_the_truth_and_redeliveries_are_duplicates(stack: Stack, collector: Collector) -> None:
    one = traffic(21)
    host = stack.host()
    host.wait_ready()
    expected = deliver(stack, one.sends)
    wait_until_committed(stack, expected)
    wait_until_told(stack, collector, sum(expected.values()), host)
    with collector.lock:
        sums, gauges = collector.sums.copy(), collector.gauges.copy()
    truth = one.truth

    def total(name: str, *attributes: str) -> float:
        return collector.total(f"websocketlogs.{name}", *attributes)

    assert total("envelopes") == sum(expected.values())
    assert total("records") == truth.records.num_rows
    assert total("rows") == truth.rows
    assert total("skipped") == truth.skipped
    assert total("rejected") == sum(truth.rejected.values())
    for reason, number in truth.rejected.items():
        assert total("rejected", f"reason={reason}") == number, reason
    assert total("unbalanced") == total("quarantined") == total("lost") == total("duplicates") == 0
    per_partition = Counter(send.partition for send in one.sends)
    for partition, number in per_partition.items():
        (key,) = [
            key for key in sums if key[0] == "websocketlogs.envelopes" and key[1].endswith(f"/{partition}")
        ]
        assert sums[key] == number
        assert gauges["websocketlogs.gaps", key[1]] == 0
    assert total("bytes.in") == sum(len(send.body) for send in one.sends)
    files = [
        blob
        for container in (OUTPUT, REJECTED)
        for blob in stack.container(container).list_blobs()
        if CONNECTIONS.name not in blob.name
        and blob.name.rpartition("/")[2][0] != "_"  # without the timer's writes
    ]
    assert total("files") == len(files)
    assert total("bytes.out") == sum(blob.size for blob in files)
    table = stack.table(RECORDS.name)
    delay = pc.subtract(table["_EnqueuedTime"], table["TimeGenerated"])
    assert total("late") == pc.sum(pc.greater(delay, timedelta(minutes=15))).as_py()

    lines = commit_lines(collector)
    assert sum(line["rows"] for line in lines) == truth.rows
    commits = len({line["commit_id"] for line in lines})
    assert total("commits") == len(lines) == commits
    for phase in ("load", "plan", "stage", "write", "publish"):
        assert total("commit.time", f"phase={phase}") == commits
        assert 0 < total("commit.time sum", f"phase={phase}") < 120
    assert total("delay.arrival") == commits
    assert 0 < total("delay.arrival sum") < 120 * commits
    with collector.lock:
        text = "\n".join(collector.lines) + str(collector.sums) + host.log
    good = truth.good()
    said = {*good["correlation_id"].to_pylist()[:200], *good["resource_id"].to_pylist()[:200]}
    assert not [word for word in said if word and word in text]

    host.kill()
    everything_comes_again(stack, collector, sum(expected.values()))
    assert total("records") == truth.records.num_rows
    assert total("repairs") == 0
    assert_exact(stack, one)


def test_the_timer_reports_connections_and_the_lag_of_partitions(
    stack: SkewedStack, collector: Collector
) -> None:
    stack._settings |= {"WS_GRACE": "00:00:02", "EVENT_HUB_RETENTION": "P1D"}
    one = traffic(23, 60)
    expected = deliver(stack, one.sends)
    host = stack.host()
    wait_until_committed(stack, expected)
    connections = one.truth.connections().num_rows
    stack.later(120)
    finish(stack, host, connections, lambda _: None, PATIENCE)

    def finished() -> float:
        return collector.total("websocketlogs.connections.finished")

    stack.wait_until(lambda: finished() >= connections, f"{connections} finished connections", finished)
    assert finished() == connections
    table = stack.table(CONNECTIONS.name)
    first = table.filter(pc.equal(table["Revision"], 0))
    for status, number in Counter(first["Status"].to_pylist()).items():
        assert collector.total("websocketlogs.connections.finished", f"status={status}") == number, status
    assert collector.total("websocketlogs.connections.revised") == table.num_rows - first.num_rows
    assert collector.total("websocketlogs.connections.capped") == 0
    assert collector.total("websocketlogs.alarms") == 0
    with collector.lock:
        sums, gauges = collector.sums.copy(), collector.gauges.copy()
    (partition, *_) = {key[1] for key in sums if key[0] == "websocketlogs.envelopes"}
    for name, value in (("lag.envelopes", 0), ("lag.time", 0), ("retention.headroom", 86_400)):
        partitions = {key: seen for key, seen in gauges.items() if key[0] == f"websocketlogs.{name}"}
        assert len(partitions) == len(expected)
        assert partitions[f"websocketlogs.{name}", partition] == value
        assert set(partitions.values()) == {value}
    assert 0 < gauges["websocketlogs.merged.age",] < 180
    assert gauges["websocketlogs.stalled",] == 0


def test_failures_of_each_function_are_counted_and_logged(stack: Stack, collector: Collector) -> None:
    # Storage rejects the key. The host's checkpoints use a separate connection.
    wrong = base64.b64encode(b"x" * 64).decode()
    stack._settings["OutputStorage"] = stack.azurite.connection_string.replace(KEY, wrong)
    host = stack.host()
    host.wait_ready()
    deliver(stack, traffic(24, 20).sends)
    for function in ("finish_connections", "compact_logs"):
        host.invoke(function)
    for function in get_args(FunctionName.__value__):
        host.wait_for("invocation", function=function, ok=False)
        stack.wait_until(
            partial(failed, collector, function),
            f"a count of failures of {function}, and a log line",
            lambda: [line[:200] for line in collector.lines if " failed: " in line],
        )
        (line, *_) = (one for one in collector.lines if one.startswith(f"{function} failed: "))
        assert "HTTP 403" in line
        assert ", caused by HttpResponseError: " in line or ", caused by ClientAuthenticationError: " in line
    # Each attempt of a retry counts. No checkpoint passes a batch that failed: it would be lost.
    host.wait_for("invocation", function="export_logs", ok=False, retry=1)
    assert not [event for event in host.seen if event["event"] == "checkpoint"]
    stack.wait_until(
        lambda: collector.total("websocketlogs.failures", "function=export_logs") >= 2,
        "two failures of export_logs",
    )
    assert not [one for one in collector.lines if wrong in one]


def failed(collector: Collector, function: str) -> bool:
    """Whether the collector has a failure of this function and its log line."""
    counted = collector.total("websocketlogs.failures", f"function={function}") >= 1
    return counted and any(one.startswith(f"{function} failed: ") for one in collector.lines)
