"""Every test of the timer gets its own world."""

import pytest

from tests.shared.connections.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch
