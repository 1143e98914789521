"""What several tests stand on: Azurite, once for all tests of a process, and containers of their own."""

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from local.emulators.azurite import Azurite

# A busy machine is no failure, and a run of the tests says the same twice; `make fuzz` looks further.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite in memory, on a free port."""
    with Azurite() as running:
        yield running


@pytest.fixture
def unique() -> str:
    """A name that nobody else uses."""
    return f"t{uuid.uuid4().hex[:20]}"
