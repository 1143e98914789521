"""Tries the hostile bodies that follow from one seed."""

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.campaigns.fuzz.account import account
from tests.campaigns.fuzz.strategies import BODIES

EXAMPLES = 1000
"""Of some 20 bodies each."""


def fuzz(number: int) -> int:
    """How many bodies of this seed were accounted for."""
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
        account(bodies)
        done += len(bodies)

    each()
    return done
