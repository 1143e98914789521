"""A container that the real exporter filled."""

from collections.abc import Iterator

import pytest

from local.emulators.azurite import Azurite
from tests.shared.exported import Exported


@pytest.fixture
def exported(azurite: Azurite, unique: str) -> Iterator[Exported]:
    """Empty, on Azurite."""
    one = Exported(azurite, unique)
    yield one
    one.close()
