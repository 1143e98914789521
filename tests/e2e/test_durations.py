"""Records and connections come out exactly once although the host is killed, in the whole stack."""

from pathlib import Path

import pytest

from local.demo.drive import drain, finish
from local.emulators.waiting import PATIENCE
from local.stack import HUB, STATE
from local.traffic.check import check_durations
from shared.tables.connection_revisions import CONNECTIONS
from tests.campaigns.faults.stack import SkewedStack
from tests.e2e.test_exactly_once import assert_exact, deliver, traffic


@pytest.mark.timeout(600)
@pytest.mark.long
def test_records_and_durations_are_exact_after_the_host_is_killed(tmp_path: Path) -> None:
    one = traffic(7, 400)
    with SkewedStack(tmp_path / "stack") as stack:
        expected = deliver(stack, one)
        drained = drain(stack, expected, lambda _: None)
        assert_exact(stack, one)
        stack.later(120)
        finish(stack, drained.host, 400, lambda _: None, PATIENCE)
        ledgers = set(stack.container(STATE).list_blob_names(name_starts_with="ledgers/"))
        hub = f"127.0.0.1:{stack.broker.port}/{HUB}"
        assert ledgers == {f"ledgers/{hub}/{partition}.json" for partition in expected}
        found = check_durations(one.truth, stack.table(CONNECTIONS.name))
    assert (found.connections, found.exact, found.wrong, found.missing) == (400, 400, 0, 0), found
    assert found.duplicated == 0
