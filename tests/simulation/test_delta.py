"""Delta logs name each row once at every moment, whatever goes wrong; each of their rules is needed."""

from collections.abc import Callable

import pytest

from shared.delta import log
from tests import memory
from tests.simulation.run import explain
from tests.simulation.world import Options

SCENARIOS = {
    "faults": Options(compact=True, delta=True),
    "many faults": Options(compact=True, delta=True, faults=300),
    "one envelope a commit": Options(compact=True, delta=True, commit_bytes=1, faults=200),
    "blocks expire": Options(compact=True, delta=True, week=True, faults=250),
}
SCHEDULES = 15
PAGE = 8
"""Blobs in a page of a listing: so few that things happen while somebody lists the container."""
type Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PAGE", PAGE)
    monkeypatch.setattr(log, "PIPELINED", 2)
    monkeypatch.setattr(log, "CHECKPOINT_VERSIONS", 3)


@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_readers_see_each_row_once_at_every_moment(options: Options) -> None:
    for seed in range(SCHEDULES):
        failure = explain(seed, options)
        assert failure is None, failure
