"""A hub and a filled container for commands that read them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulators.azurite import Azurite
from local.emulators.event_hubs.process import BrokerProcess
from tests.shared.exported import Exported, Saved, contents_of, envelopes


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(
        tmp_path / "hub", {"apim-logs": 2}, groups=["exporter", "operator", "tools"]
    ) as running:
        yield running


@pytest.fixture(scope="session")
def contents(azurite: Azurite) -> Saved:
    return contents_of(azurite, lambda one: one.export([*envelopes(0, 9), *envelopes(12, 20)]))


@pytest.fixture
def filled(exported: Exported, contents: Saved, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """A container with gaps and dead letters, and the settings for it."""
    exported.load(contents)
    for name, value in exported.environment.items():
        monkeypatch.setenv(name, value)
    return exported
