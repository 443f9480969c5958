"""A real browser, and the steps through Airflow's UI that tests and screenshots share."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, FrameLocator, Locator, Page

    from demo.real_airflow import RealAirflow

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "Chromium not found. Install it (apt-get install chromium), or set CHROMIUM to its path."

# Chromium's own sandbox needs privileges that containers lack, and all pages come from this machine.
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def found() -> str | None:
    """Return the path of Chromium: the environment variable ``CHROMIUM``, or else the installed one, or None."""
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else NAMES
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """Run a headless browser for the duration of the block. Call :func:`found` first.

    Inside the block, asyncio treats this thread as one with a running event loop.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def window(browser: Browser, width: int = 1280, height: int = 800) -> Iterator[Page]:
    """Open a page with its own storage, and with the same size, language and time zone on every machine."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", timezone_id="UTC", color_scheme="light"
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def visit(page: Page, airflow: RealAirflow, path: str) -> None:
    """Log in and open a page of Airflow's UI."""
    page.goto(f"{airflow.url}/auth/token/login?next={quote(airflow.url + path)}")


def new_connection(page: Page, airflow: RealAirflow, conn_id: str) -> Locator:
    """Open the form for a new SalesBlink connection, and return it with the standard fields visible."""
    visit(page, airflow, "/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(conn_id)
    form.get_by_role("combobox", name="Connection Type").click()
    page.get_by_role("option", name="SalesBlink", exact=True).click()
    form.get_by_label("API key").wait_for()
    return form


def extras(form: Locator) -> Locator:
    """Expand the extra fields of a connection's form and return them. The standard fields collapse."""
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    shown = form.get_by_role("region").filter(has=form.page.get_by_text("Dry run", exact=True))
    shown.wait_for()
    return shown


def graph(page: Page, airflow: RealAirflow, dag_id: str, run_id: str) -> Locator:
    """Open the graph of a DAG run across the whole page, and return it."""
    visit(page, airflow, f"/dags/{dag_id}/runs/{run_id}")
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    shown = page.get_by_role("application")
    shown.get_by_role("link").first.wait_for()
    return shown


def reports(page: Page, airflow: RealAirflow) -> FrameLocator:
    """Open the list of reports from Airflow's navigation, and return the frame that shows it."""
    visit(page, airflow, "/")
    page.get_by_role("link", name="SalesBlink reports").click()
    return page.frame_locator("iframe[title='SalesBlink reports']")


def task_log(page: Page, airflow: RealAirflow, dag_id: str, run_id: str, task_id: str) -> Locator:
    """Open the log of a failed task with long lines wrapped, and return it."""
    visit(page, airflow, f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
    shown = page.get_by_role("code").filter(has_text="Task failed").first
    shown.wait_for()
    page.keyboard.press("w")
    return shown
