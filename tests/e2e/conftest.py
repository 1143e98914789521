"""A local stack for a test: Azurite, the Event Hubs emulator, and hosts on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A running stack whose hub has four partitions."""
    with Stack(tmp_path / "stack") as running:
        yield running
