"""Connections spread over partitions and delivered repeatedly get exact durations in the whole stack."""

import pytest

from local.demo.drive import drain, finish
from local.stack import Stack
from local.traffic.check import check_durations
from shared.tables.connection_revisions import CONNECTIONS
from tests.e2e.test_exactly_once import deliver, traffic


@pytest.mark.timeout(600)
def test_durations_are_exact_even_if_the_host_is_killed(stack: Stack) -> None:
    one = traffic(7, 400)
    drained = drain(stack, deliver(stack, one), lambda _: None)
    finish(stack, drained.host, 400, lambda _: None)
    found = check_durations(one.truth, stack.table(CONNECTIONS.name))
    assert (found.connections, found.exact, found.wrong, found.missing) == (400, 400, 0, 0), found
    assert found.duplicated == 0
