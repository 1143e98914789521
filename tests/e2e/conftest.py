"""A stack of stand-ins for a test: Azurite, the broker, and hosts on demand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Running, with a hub of four partitions."""
    with Stack(tmp_path / "stack") as running:
        yield running
