"""Fixtures for all tests: one Azurite for a process, and unique names of containers."""

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from local.emulators.azurite import Azurite

# No deadlines, because a machine may be busy; the same examples each time; `make fuzz` tries more.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite in memory, on a free port."""
    with Azurite() as running:
        yield running


@pytest.fixture
def unique() -> str:
    """A unique name."""
    return f"t{uuid.uuid4().hex[:20]}"
