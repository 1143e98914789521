"""Opens a report in Chromium, and reads what it shows."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)
PATIENCE = 120
TABLE = """
return [...document.querySelectorAll(`#table-${arguments[0]} tbody tr`)]
  .map((row) => [...row.cells].map((cell) => cell.textContent))
"""
FIGURES = """
return [...document.querySelectorAll("#figures div")]
  .map((one) => [...one.children].map((part) => part.textContent))
"""
CHOOSE = """
const filter = document.getElementById(`filter-${arguments[0]}`);
filter.value = arguments[1];
filter.dispatchEvent(new Event("change"));
"""


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Runs Chromium with its profile in a folder, and keeps its log."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*QUIET, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


class Browser:
    """Drives Chromium over one page at a time."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def open(self, page: Path, scheme: str = "light") -> None:
        """Opens a report and waits until its plots are drawn; what was logged before is forgotten."""
        self.get(page, scheme)
        self.until("return document.documentElement.dataset.ready === 'true'")

    def get(self, page: Path, scheme: str = "light") -> None:
        """Opens a report and waits until it is loaded."""
        self.logged()
        self.requested()
        self.emulate(scheme)
        self._driver.get(page.as_uri())

    def reload(self) -> None:
        """Loads the page again, with the address that it has by now."""
        self.script("document.documentElement.dataset.ready = ''")
        self._driver.refresh()
        self.until("return document.documentElement.dataset.ready === 'true'")

    @contextmanager
    def before(self, code: str) -> Iterator[None]:
        """Runs JavaScript in each page before the page's own."""
        name = self.devtools("Page.addScriptToEvaluateOnNewDocument", source=code)["identifier"]
        try:
            yield
        finally:
            self.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=name)

    def emulate(self, scheme: str, media: str = "") -> None:
        """Emulates a light or dark system or, with the medium `print`, a printer."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", media=media, features=features)

    def script(self, code: str, *arguments: Any) -> Any:
        """Returns the value of a JavaScript expression."""
        return self._driver.execute_script(code, *arguments)

    def until(self, code: str, *arguments: Any) -> None:
        """Waits until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.script(code, *arguments):
            assert time.monotonic() < end, f"after {PATIENCE} s still not: {code}"
            time.sleep(0.05)

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Runs a command of the Chrome DevTools Protocol."""
        return self._driver.execute_cdp_cmd(command, parameters)

    def logged(self) -> list[str]:
        """Returns the console messages since the last call: warnings, errors, violations."""
        entries = self._driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries]

    def requested(self) -> list[str]:
        """Returns the addresses that were requested since the last call."""
        entries = self._driver.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [orjson.loads(entry["message"])["message"] for entry in entries]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def table(self, name: str) -> list[list[str]]:
        """Returns the texts of a table."""
        rows: list[list[str]] = self.script(TABLE, name)
        return rows

    def figures(self) -> dict[str, str]:
        """Returns the key figures by name."""
        return {name: value for name, value, _ in self.script(FIGURES)}

    def marks(self, plot: str, kind: str) -> int:
        """Counts the rects, lines, areas, symbols or texts of a plot, without axes and selections."""
        selector = f"#plot-{plot}:not([hidden]) svg .mark-{kind}.role-mark[class$=marks] > *"
        found: int = self.script("return document.querySelectorAll(arguments[0]).length", selector)
        return found

    def choose(self, key: str, value: str) -> None:
        """Sets a filter."""
        self.script(CHOOSE, key, value)

    def picture(self, height: int | None = None, width: int | None = None) -> bytes:
        """Returns a PNG of the page from its top; by default of the whole page."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": width or size["width"],
            "height": height or size["height"],
            "scale": 1,
        }
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def print(self) -> bytes:
        """Returns a PDF of the page."""
        printed = self.devtools("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        return base64.b64decode(printed["data"])
