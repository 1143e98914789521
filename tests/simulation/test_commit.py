"""Every record is exported exactly once under all schedules."""

import pytest

from tests.effort import effort
from tests.simulation.run import explain
from tests.simulation.world import Options

SCENARIOS = {
    "faults": Options(),
    "many faults": Options(faults=350),
    "one envelope a commit": Options(commit_bytes=1, faults=250),
    "skewed clocks": Options(skew=8),
    "operator rewinds": Options(checkpoint_leak=True, rewind=True),
    "files deleted": Options(remove=True, faults=250),
    "hub re-created": Options(recreate=True),
    "hub re-created, skewed clocks": Options(recreate=True, skew=8, remove=True),
    "hub re-created, checkpoint kept": Options(recreate=True, kept=True),
    "hub re-created, checkpoint kept, skewed clocks": Options(recreate=True, kept=True, skew=8, faults=250),
    "hub re-created, checkpoint kept, some passed over": Options(
        recreate=True, kept=True, checkpoint_leak=True, faults=250
    ),
    "an owner that lost its partition goes on": Options(lost_ownership=True),
    "output restored": Options(restored="output"),
    "output restored, many faults": Options(
        restored="output", faults=250, commit_bytes=600, checkpoint_leak=True
    ),
    "state restored": Options(restored="state", checkpoint_leak=True),
    "blocks expire": Options(week=True, faults=250),
    "everything": Options(
        faults=250, skew=8, checkpoint_leak=True, rewind=True, remove=True, week=True, commit_bytes=600
    ),
    "everything, hub re-created": Options(faults=250, skew=8, recreate=True, remove=True, commit_bytes=600),
}
SCHEDULES, AT_ONCE = effort(4, 1000), effort(4, 25)
"""Schedules of each scenario, and of each test. Small tests spread evenly over processes."""


@pytest.mark.parametrize("first", range(0, SCHEDULES, AT_ONCE))
@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_every_record_is_visible_exactly_once(options: Options, first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        failure = explain(seed, options)
        assert failure is None, failure
