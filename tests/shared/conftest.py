"""A container that the real exporter filled, and the metrics that the program recorded."""

from collections.abc import Iterator

import pytest

from local.emulators.azurite import Azurite
from tests.metric_reader import Collect, collected
from tests.shared.exported import Exported


@pytest.fixture
def exported(azurite: Azurite, unique: str) -> Iterator[Exported]:
    """Empty, on Azurite."""
    one = Exported(azurite, unique)
    yield one
    one.close()


@pytest.fixture
def collect() -> Collect:
    """Returns the metrics since the last call."""
    collected()
    return collected
