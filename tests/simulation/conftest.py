"""Fixtures that several simulations share."""

import pytest

from tests import memory
from tests.simulation.run import PAGE


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PAGE", PAGE)
