"""Debian's Chromium for tests. Without it, they are skipped visibly; with BROWSER=required, they fail."""

import os
from collections.abc import Iterator

import pytest

from tests.shared.report.browser import CHROMIUM, DRIVER, Browser, chromium

MISSING = "the report was NOT opened in a browser: apt-get install chromium chromium-driver"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for the tests of a module, with a separate profile."""
    if not (CHROMIUM.exists() and DRIVER.exists()):
        if os.environ.get("BROWSER") == "required":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield Browser(driver)
