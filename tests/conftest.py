"""What several tests stand on: Azurite, once for all tests of a process, and containers of their own."""

import uuid
from collections.abc import Iterator

import pytest

from local.azurite import Azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite in memory, on a free port."""
    with Azurite() as running:
        yield running


@pytest.fixture
def unique() -> str:
    """A name that nobody else uses."""
    return f"t{uuid.uuid4().hex[:20]}"
