"""A stack whose hosts reach storage and hub through proxies."""

from pathlib import Path
from types import TracebackType
from typing import Self

from local.faults.proxy import HOST, Proxy
from local.stack import Stack


class FaultyStack(Stack):
    """As `Stack`; who sends traffic and who looks at the outcome is not disturbed.

    Args:
        folder: where Azurite and the broker keep their data.
        seed: of what the proxies do.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self.seed = seed

    @property
    def settings(self) -> dict[str, str]:
        """The application settings that a host of this stack gets."""
        plain = super().settings
        storage = self._through(self.storage, plain["OutputStorage"], self.azurite.port)
        hub = self._through(self.hub, plain["EventHubConnection"], self.broker.port)
        return plain | {"OutputStorage": storage, "AzureWebJobsStorage": storage, "EventHubConnection": hub}

    @staticmethod
    def _through(proxy: Proxy, connection_string: str, port: int) -> str:
        return connection_string.replace(f"{HOST}:{port}", f"{HOST}:{proxy.port}")

    def __enter__(self) -> Self:
        super().__enter__()
        self.storage = Proxy(self.azurite.port, self.seed)
        self.hub = Proxy(self.broker.port, self.seed)
        self.storage.__enter__()
        self.hub.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.storage.__exit__(kind, error, trace)
        self.hub.__exit__(kind, error, trace)
