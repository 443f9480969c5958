"""One browser and one Airflow for all tests here, and none where there is no chromium."""

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
        pytest.skip("no playwright: the UI is not looked at in a browser (pip install playwright)")
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
    """An Airflow that runs, and the SalesBlink behind its connections; not started where no browser would see it."""
    with screenshots.open_studio(tmp_path_factory.mktemp("airflow")) as studio:
        yield studio
