"""Measures the memory that batches need, each in a separate process."""

import resource
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.timing import Figure
from benchmarks.workload import LEDGER, NOW, PARTITION, STAMP, Nothing, envelopes
from shared.export import plan
from shared.input.envelope import Envelope
from shared.policies import ExportPolicy

LARGEST = 256
BATCHES, WARM = 1_000, 100
"""Number of batches, and the number after which all caches are filled."""


def measured() -> dict[str, Figure]:
    """Measures the largest batch that the trigger may deliver, and a thousand batches."""
    context = get_context("fork")
    found: dict[str, Figure] = {}
    for names, work in (
        (("memory, 256 envelopes of 1 MB beyond the process",), _largest),
        (
            ("memory, peak of 1,000 batches beyond the process", "memory, growth over 1,000 batches"),
            _thousand,
        ),
    ):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=partial(_tell, theirs.send, work))
        process.start()
        found |= {name: Figure([value], "MB") for name, value in zip(names, ours.recv(), strict=True)}
        process.join()
    return found


def _tell(tell: Callable[[list[float]], None], work: Callable[[], list[float]]) -> None:
    before = _peak()
    more = work()
    tell([_peak() - before, *more])


def _largest() -> list[float]:
    body, ledger = envelopes(1, 1_860)[0].body, LEDGER
    batch = [Envelope(n, NOW + n, body) for n in range(LARGEST)]
    while commit := plan.plan_commit(PARTITION, batch, ledger, Nothing(), ExportPolicy(), STAMP):
        ledger = commit.ledger
    return []


def _thousand() -> list[float]:
    batch = envelopes(10, 50)
    start = 0.0
    for n in range(WARM + BATCHES):
        if n == WARM:
            start = _now()
        plan.plan_commit(PARTITION, batch, LEDGER, Nothing(), ExportPolicy(), STAMP)
    return [_now() - start]


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _now() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)
