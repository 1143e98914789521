"""The number of storage calls for Delta logs does not grow with the table."""

import uuid
from collections import Counter
from datetime import timedelta

from benchmarks.delta import NOW, MadeUpStorage, Size
from benchmarks.workload import LEDGER, PARTITION
from shared.compaction.compactor import Compactor
from shared.policies import CompactionPolicy
from shared.protocol.ledger import Ledger
from shared.timeunits import MINUTE

LISTINGS = 10
"""Calls of a usual run: at most three days of each table, and whether tables without a log have files."""


def compact(storage: MadeUpStorage, now: int) -> Counter[str]:
    storage.calls.clear()
    policy = CompactionPolicy(delta=True, reach=timedelta(days=8), quiet=timedelta(days=1000))
    summary = Compactor(storage, policy, lambda: now, lambda: uuid.uuid4().hex).run(600)
    assert summary.alarms == []
    return Counter(storage.calls)


def filled(files: int) -> MadeUpStorage:
    storage = MadeUpStorage(Size(files, days=10, minute=1))
    storage.put(Ledger.name(PARTITION), LEDGER.dump())
    compact(storage, NOW)
    return storage


def test_calls_of_a_usual_run_do_not_depend_on_files() -> None:
    costs = []
    for files in (300, 3_000):
        storage = filled(files)
        storage.upto = NOW + 10 * MINUTE
        costs.append(compact(storage, NOW + 10 * MINUTE))
    few, many = costs
    assert few == many
    assert many["put output"] == 1
    # The pointer, the checkpoint, eight versions at a time, and one more before each of three listings.
    assert many["read output"] <= 2 + 8 + 6
    assert many["outputs"] <= LISTINGS
