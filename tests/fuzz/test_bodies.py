"""Whatever a body says, it is accounted for."""

from hypothesis import HealthCheck, given, settings

from tests.fuzz.account import account
from tests.fuzz.strategies import BODIES


@settings(
    max_examples=1500, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(BODIES)
def test_every_body_is_accounted_for_and_none_raises(bodies: list[bytes]) -> None:
    account(bodies)
