from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulators.event_hubs.process import BrokerProcess


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    """An empty broker of its own for each test, on a free port."""
    with BrokerProcess(tmp_path, {"single": 1, "four": 4}, groups=["exporter"]) as running:
        yield running
