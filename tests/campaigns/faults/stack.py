"""Stacks whose hosts have a clock that can be moved forward, or reach storage and the hub through proxies."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local.stack import ROOT, Stack
from tests.campaigns.faults.proxy import HOST, Proxy

TIME_OUT = 40
"""Seconds that an invocation may take (host.json `functionTimeout`, 10 minutes otherwise)."""
TIME_SCALE = 0.25
"""Waits before retries and restarts of workers are a quarter of those of the real host."""


class SkewedStack(Stack):
    """A `Stack` whose hosts' clocks can be moved forward, to skip the waits of a timer.

    Args: see `Stack`.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str] | None = None, time_scale: float = 1
    ) -> None:
        super().__init__(folder, settings=settings, time_scale=time_scale)
        self.app = folder / "app"
        self._ahead = 0

    @property
    def settings(self) -> dict[str, str]:
        """The application settings that a host of this stack gets."""
        return super().settings | {"APP": str(ROOT / "function_app.py"), "CLOCK_AHEAD": str(self._clock)}

    @property
    def _clock(self) -> Path:
        return self.folder / "ahead"

    @property
    def ahead(self) -> int:
        """By how many seconds the clocks of all hosts are ahead."""
        return self._ahead

    def later(self, seconds: int) -> None:
        """Moves the clocks of all hosts forward."""
        self._ahead += seconds
        beside = self._clock.with_suffix(".new")
        beside.write_text(str(self._ahead))
        beside.replace(self._clock)

    def __enter__(self) -> Self:
        super().__enter__()
        self.app.mkdir()
        shutil.copy(ROOT / "host.json", self.app)
        shutil.copy(Path(__file__).with_name("clock_skew.py"), self.app / "function_app.py")
        self.later(0)
        return self


class FaultyStack(SkewedStack):
    """A `SkewedStack` that disturbs its hosts, but neither the sender of traffic nor readers of the outcome.

    Args:
        folder: where Azurite and the broker keep their data.
        seed: decides the faults of the proxies.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, time_scale=TIME_SCALE)
        self.seed = seed

    @property
    def settings(self) -> dict[str, str]:
        """The application settings that a host of this stack gets."""
        plain = super().settings
        storage = self._through(self.storage, plain["OutputStorage"], self.azurite.port)
        hub = self._through(self.hub, plain["EventHubConnection"], self.broker.port)
        return plain | {
            "OutputStorage": storage,
            "AzureWebJobsStorage": storage,
            "EventHubConnection": hub,
            "COMPACT_QUIET": "00:15:00",
            "DELTA_LOG": "true",
        }

    @property
    def _proxies(self) -> tuple[Proxy, Proxy, Proxy]:
        return self.storage, self.beside, self.hub

    def calm(self) -> None:
        """Lets everything pass from now on."""
        for proxy in self._proxies:
            proxy.calm()

    @property
    def storage_beside(self) -> dict[str, str]:
        """Settings with which a host's app, not the host itself, reaches storage through `beside`."""
        plain = super().settings["OutputStorage"]
        return {"OutputStorage": self._through(self.beside, plain, self.azurite.port)}

    @staticmethod
    def _through(proxy: Proxy, connection_string: str, port: int) -> str:
        return connection_string.replace(f"{HOST}:{port}", f"{HOST}:{proxy.port}")

    def __enter__(self) -> Self:
        super().__enter__()
        document = json.loads((ROOT / "host.json").read_text()) | {"functionTimeout": f"00:00:{TIME_OUT}"}
        (self.app / "host.json").write_text(json.dumps(document))
        self.storage = Proxy(self.azurite.port, self.seed)
        self.beside = Proxy(self.azurite.port, self.seed)
        self.hub = Proxy(self.broker.port, self.seed)
        for proxy in self._proxies:
            proxy.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        for proxy in self._proxies:
            proxy.__exit__(kind, error, trace)
