"""The environment of each test: only the required settings are set."""

import pytest

from shared.settings import Settings

GOOD = {
    "EventHubConnection": "Endpoint=sb://a/;SharedAccessKeyName=n;SharedAccessKey=hidden",
    "OutputStorage__blobServiceUri": "https://out.blob.core.windows.net",
    "EVENT_HUB_NAME": "apim-logs",
    "EVENT_HUB_CONSUMER_GROUP": "exporter",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
