"""Each service is reached by a connection string or an address."""

import pytest

from shared import settings
from shared.errors import SettingError


@pytest.mark.parametrize("name", ["EventHubConnection", "OutputStorage__blobServiceUri"])
def test_a_service_that_cannot_be_reached_either_way_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(
        SettingError, match=rf"{name.partition('__')[0]}: set it to a connection string, or set"
    ):
        settings.load()


def test_the_state_may_be_in_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("StateStorage__blobServiceUri", "https://state.blob.core.windows.net")
    assert settings.load().state.address == "https://state.blob.core.windows.net"
