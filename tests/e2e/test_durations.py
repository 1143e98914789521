"""Records and connections come out exactly once although the host is killed, in the whole stack."""

import time
from pathlib import Path

import pyarrow.compute as pc
import pytest

from local.demo.drive import drain, finish
from local.emulators.functions_host.process import HostProcess
from local.emulators.waiting import LIMIT, PATIENCE
from local.stack import HUB, STATE
from local.traffic.check import check_durations
from local.traffic.envelopes import Send
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import MINUTE
from tests import records
from tests.campaigns.faults.stack import SkewedStack
from tests.e2e.test_exactly_once import assert_exact, deliver, traffic, wait_until_committed


@pytest.mark.timeout(600)
@pytest.mark.long
def test_records_and_durations_are_exact_after_the_host_is_killed(tmp_path: Path) -> None:
    one = traffic(7, 400)
    with SkewedStack(tmp_path / "stack") as stack:
        expected = deliver(stack, one.sends)
        drained = drain(stack, expected, lambda _: None, LIMIT)
        assert_exact(stack, one)
        host = assert_durations_across_partitions(stack, drained.host)
        stack.later(120)
        finish(stack, host, 401, lambda _: None, PATIENCE)
        ledgers = set(stack.container(STATE).list_blob_names(name_starts_with="ledgers/"))
        hub = f"127.0.0.1:{stack.broker.port}/{HUB}"
        assert ledgers == {f"ledgers/{hub}/{partition}.json" for partition in expected}
        found = check_durations(one.truth, stack.table(CONNECTIONS.name))
    assert (found.connections, found.exact, found.wrong, found.missing) == (400, 400, 0, 0), found
    assert (found.duplicated, found.unknown) == (0, 1)


def assert_durations_across_partitions(stack: SkewedStack, host: HostProcess) -> HostProcess:
    """Exports one more connection through two partitions and two hosts; returns the new host.

    Its durations count from its first record.
    """
    began, name = time.time_ns() // 1000 - MINUTE, "across-partitions"

    def export(partition: str, event: str, after: int) -> None:
        body = records.body(records.record(began + after * 1000, name, event))
        expected = deliver(stack, [Send(partition, body)])
        wait_until_committed(stack, expected)
        last = {"event": "checkpoint", "sequence": expected[partition] - 1}
        stack.wait_until(
            lambda: any(
                last.items() <= seen.items() and seen["partition"].endswith(f"/{partition}")
                for seen in list(host.seen)
            ),
            f"a checkpoint of partition {partition}: {last}",
        )

    export("0", "ConnectionOpened", 0)
    export("0", "Message", 1500)
    # A process knows its own commits, so another one must go on, and it must not receive these again.
    host.stop()
    host = stack.host()
    export("1", "ConnectionClosed", 4000)
    rows = stack.table(RECORDS.name).sort_by("TimeGenerated")
    durations = rows.filter(pc.equal(rows["CorrelationId"], name))["ConnectionDurationMs"].to_pylist()
    assert durations == [None, 1500, 4000]
    return host
