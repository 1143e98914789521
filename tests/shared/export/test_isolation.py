"""A child process with limits plans the same commits as this one."""

import pytest

from shared.errors import (
    LastResortError,
)
from shared.export.isolation import IsolatedPlanner
from shared.export.plan import plan_commit
from shared.policies import ChildLimits, ExportPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Stamp
from tests import breaking_planner
from tests.memory import MemoryStorage
from tests.records import PARTITION, TEN
from tests.shared.export.plans import Nothing, envelope, record
from tests.shared.export.test_last_resort import LIMITS, broken, exporter, lines


def test_a_child_that_does_not_end_is_killed() -> None:
    storage = MemoryStorage(lambda: TEN)
    limits = ChildLimits(cpu=60, wall=0.5)
    exporter(storage, limits).run_isolated(PARTITION, [broken(0, breaking_planner.SLEEPS)])
    (letter,) = lines(storage, "_dead_letters/")
    assert "more than 0.5 s" in letter["rejections"][0]["message"]


def test_a_message_is_not_blamed_for_time_spent_on_others() -> None:
    storage = MemoryStorage(lambda: TEN)
    slow = exporter(storage, ChildLimits(cpu=60, wall=60), seconds=3)
    with pytest.raises(LastResortError, match="DeadlineExceeded"):
        slow.run_isolated(PARTITION, [envelope(0, record("a")), broken(1, breaking_planner.SLEEPS)])
    assert lines(storage, "_dead_letters/") == []


def test_a_child_process_plans_the_same_commit_with_start_times() -> None:
    storage = MemoryStorage(lambda: TEN)
    careful, plain = exporter(storage), MemoryStorage(lambda: TEN)
    batches = [[envelope(0, record("c", 30))], [envelope(1, record("c"))]]
    for batch in batches:
        careful.run_isolated(PARTITION, batch)
    hasty = exporter(plain)
    for batch in batches:
        hasty.run(PARTITION, batch)
    rows = lines(storage, "json/")
    assert rows == lines(plain, "json/")
    assert {row["ConnectionDurationMs"] for row in rows} == {None, 30 * 60 * 1000.0}


def test_plans_of_a_child_are_the_same_byte_for_byte() -> None:
    ledger = Ledger(ledger_id="1" * 32, partition=str(PARTITION))
    arguments = (PARTITION, [envelope(0, record("a"), record("b", 61))], ledger)
    stamp = Stamp("ab" * 16, TEN)
    with IsolatedPlanner(LIMITS) as planner:
        child = planner.make(*arguments, Nothing(), ExportPolicy(), stamp)
    assert child == plan_commit(*arguments, Nothing(), ExportPolicy(), stamp)
