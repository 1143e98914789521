"""Takes the picture in the docs: `make picture`, on a machine with Debian's Chromium."""

import contextlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from shared import __main__
from tests.shared.report import made
from tests.shared.report.browser import Browser, chromium

PICTURE = Path("docs/report.png").absolute()
LAST = "return document.querySelector('#plot-region').closest('section').getBoundingClientRect().bottom"
SPAN = ("--since", "2026-11-19T02:00Z", "--until", "2026-11-20T14:00Z")

with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
    made.days(Path("websocket-logs"), datetime(2026, 11, 20, 14, tzinfo=UTC), hours=36, count=24_000)
    __main__.main(["report", "--folder", "websocket-logs", *SPAN])
    with chromium(Path(temporary) / "profile") as driver:
        browser = Browser(driver)
        browser.open(Path("report.html").absolute())
        PICTURE.write_bytes(browser.picture(round(browser.script(LAST)) + 16))
