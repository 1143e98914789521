"""How much the tests try: a sample in `make test`, all of it in `make proof`, which sets PROOF."""

import os

FULL = "PROOF" in os.environ


def effort(sample: int, proof: int) -> int:
    """The number for this run."""
    return proof if FULL else sample
