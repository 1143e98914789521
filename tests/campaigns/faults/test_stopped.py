"""A lost ledger stops its partition; once it is restored, no row is missing or duplicated."""

import pytest

from shared.connections.start_times import StartTimes
from tests.campaigns.faults.schedules import LOST
from tests.campaigns.faults.stopped import explain, problems, run
from tests.simulation.schedule import Choices

SCHEDULES = 12


@pytest.mark.parametrize("name", LOST)
def test_a_lost_ledger_stops_its_partition_until_it_is_restored(name: str) -> None:
    for seed in range(SCHEDULES):
        failure = explain(seed, LOST[name])
        assert failure is None, failure


@pytest.mark.parametrize("name", LOST)
def test_a_new_process_continues_if_the_timer_saw_no_ledger(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StartTimes, "seen", lambda _self, _partition: None)
    assert any(next(problems(run(Choices(seed), LOST[name])), None) for seed in range(SCHEDULES))
