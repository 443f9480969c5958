"""One browser and one Airflow for all tests in this package. Without Chromium the tests are skipped."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from demo import browser, screenshots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from demo.screenshots import Studio


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not find_spec("playwright"):
        pytest.skip("Playwright not found. Install it to test the UI in a browser: pip install playwright")
    if not browser.found():
        pytest.skip(browser.MISSING)
    with browser.launched() as chromium:
        yield chromium


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with browser.window(chromium) as page:
        yield page


@pytest.fixture(scope="package")
def studio(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:  # noqa: ARG001
    """Run Airflow and the sandbox of its connections. It depends on the browser, so it does not start without one."""
    with screenshots.open_studio(tmp_path_factory.mktemp("airflow")) as studio:
        yield studio
