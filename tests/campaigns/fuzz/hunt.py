"""Tries the hostile bodies that one seed generates."""

import time
from collections.abc import Sequence
from functools import cache

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.campaigns.fuzz.account import account
from tests.campaigns.fuzz.forms import FORMS
from tests.campaigns.fuzz.strategies import BODIES

EXAMPLES = 1000
"""The number of batches, of about 20 bodies each."""

TIMES = 4
"""The CPU time that a body may take, as a multiple of the costliest form of its length."""


def cpu(bodies: Sequence[bytes]) -> float:
    """Returns the CPU seconds that accounting for bodies takes."""
    began = time.thread_time()
    account(bodies)
    return time.thread_time() - began


@cache
def allowed() -> tuple[float, float]:
    """CPU seconds that a body may take, whatever its length, and for each byte."""
    small = min(cpu([FORMS["typical"](1000), FORMS["integers"](500)]) for _ in range(5))
    costly = FORMS["shapes_of_nothing"](1 << 16)
    return TIMES * small, TIMES * min(cpu([costly]) for _ in range(3)) / len(costly)


def check_cpu(bodies: Sequence[bytes], took: float) -> None:
    """Fails if bodies took too much CPU time, and one of them does so again when measured alone."""
    fixed, each = allowed()
    if took <= sum(fixed + each * len(body) for body in bodies):
        return
    for body in bodies:
        alone = min(cpu([body]) for _ in range(3))
        most = fixed + each * len(body)
        assert alone <= most, f"{len(body)} bytes take {alone / most:.1f} times the CPU that they may take"


def fuzz(number: int) -> int:
    """Returns the number of bodies of this seed that were accounted for."""
    done = 0

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(BODIES)
    def each(bodies: list[bytes]) -> None:
        nonlocal done
        check_cpu(bodies, cpu(bodies))
        done += len(bodies)

    each()
    return done
