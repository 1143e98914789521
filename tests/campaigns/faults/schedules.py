"""Runs many schedules of the simulation on every core: commits, compaction, and lost ledgers."""

import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests import memory
from tests.campaigns.faults import stopped
from tests.simulation import test_commit, test_compaction
from tests.simulation.run import PAGE, explain
from tests.simulation.world import Options

COMMITS = test_commit.SCENARIOS | {
    f"compaction, {name}": options for name, options in test_compaction.SCENARIOS.items()
}
LOST = {
    f"ledger {how}": Options(ledger_lost=how, faults=faults)
    for how, faults in (("deleted", 150), ("restored", 250))
}
CHUNK = 10


def schedules(first: int, number: int) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of schedules tried since the last item and their failures, from this seed on."""
    names = [*COMMITS, *LOST]
    tasks = [(names[n % len(names)], first + n // len(names)) for n in range(number)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=_begin) as pool:
        chunks = [tasks[at : at + CHUNK] for at in range(0, len(tasks), CHUNK)]
        for chunk, failures in zip(chunks, pool.map(_try, chunks), strict=True):
            yield len(chunk), failures


def _begin() -> None:
    logging.disable(logging.CRITICAL)
    memory.PAGE = PAGE


def _try(chunk: list[tuple[str, int]]) -> list[str]:
    return [failure for name, seed in chunk if (failure := one(name, seed))]


def one(name: str, seed: int) -> str | None:
    """Returns a short schedule that violates an invariant in this scenario with this seed, or None."""
    failure = stopped.explain(seed, LOST[name]) if name in LOST else explain(seed, COMMITS[name])
    return failure and f"{name}: {failure}"
