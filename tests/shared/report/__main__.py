"""Takes the picture in the docs: `make picture`, on a machine with Debian's Chromium."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from shared import __main__
from tests.shared.report import made
from tests.shared.report.browser import Browser, chromium

PICTURE = Path("docs/report.png")
HEIGHT = 1560

with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    made.days(folder / "copy", datetime(2026, 11, 20, 14, tzinfo=UTC), hours=36, count=24_000)
    page = folder / "report.html"
    span = ["--since", "2026-11-19T02:00Z", "--until", "2026-11-20T14:00Z"]
    __main__.main(["report", "--folder", str(folder / "copy"), "--output", str(page), *span])
    with chromium(folder / "profile") as driver:
        browser = Browser(driver)
        browser.open(page)
        PICTURE.write_bytes(browser.picture(HEIGHT))
