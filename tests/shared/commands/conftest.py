"""A hub for commands that query one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulators.event_hubs.process import BrokerProcess


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(
        tmp_path / "hub", {"apim-logs": 2}, groups=["exporter", "operator", "tools"]
    ) as running:
        yield running
