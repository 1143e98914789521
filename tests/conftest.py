"""Fixtures for all tests (Azurite, unique names), and the order in which tests run."""

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from local.emulators.azurite import Azurite

# No deadlines, because a machine may be busy; the same examples each time; `make fuzz` tries more.
settings.register_profile("tests", deadline=None, derandomize=True)
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the longest tests, so that the last process does not work alone for a minute."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite in memory, on a free port."""
    with Azurite() as running:
        yield running


@pytest.fixture
def unique() -> str:
    """A unique name."""
    return f"t{uuid.uuid4().hex[:20]}"
