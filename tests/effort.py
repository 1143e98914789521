"""How much the tests try: a sample in `make test`, everything in `make proof`, which sets PROOF."""

import os
from collections.abc import Sequence

FULL = "PROOF" in os.environ


def effort(sample: int, proof: int) -> int:
    """Returns the number for this run."""
    return proof if FULL else sample


def some[T](cases: Sequence[T], every: int) -> Sequence[T]:
    """Returns all cases in `make proof`, and every nth of them otherwise, beginning with the first."""
    return cases if FULL else cases[::every]
