"""A real browser, and the ways through Airflow's UI that the tests and the screenshots take."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

    from demo.real_airflow import RealAirflow

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no chromium: the UI is not looked at in a browser (apt-get install chromium, or CHROMIUM=/path/to/one)"

# No sandbox: it needs rights that a container does not have, and all pages are this machine's own.
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def found() -> str | None:
    """The chromium that the environment variable ``CHROMIUM`` names, or else the one of this system."""
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else NAMES
    return next((path for name in names if (path := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window, to the end of the block; :func:`found` has found one.

    Until then asyncio takes this thread for one in which a loop runs.
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
    """A page that shares nothing with others, and looks alike on every machine."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", timezone_id="UTC", color_scheme="light"
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def visit(page: Page, airflow: RealAirflow, path: str) -> None:
    """Log in, and go to a page of Airflow's UI."""
    page.goto(f"{airflow.url}/auth/token/login?next={quote(airflow.url + path)}")


def new_connection(page: Page, airflow: RealAirflow, conn_id: str) -> Locator:
    """The form of a new SalesBlink connection, at its standard fields."""
    visit(page, airflow, "/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(conn_id)
    form.get_by_role("combobox", name="Connection Type").click()
    page.get_by_role("option", name="SalesBlink", exact=True).click()
    form.get_by_label("API key").wait_for()
    return form


def extras(form: Locator) -> Locator:
    """The extras of a connection's form, unfolded; the standard fields fold up."""
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    shown = form.get_by_role("region").filter(has=form.page.get_by_text("Dry run", exact=True))
    shown.wait_for()
    return shown


def graph(page: Page, airflow: RealAirflow, dag_id: str, run_id: str) -> Locator:
    """The graph of a run, across the whole page."""
    visit(page, airflow, f"/dags/{dag_id}/runs/{run_id}")
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    shown = page.get_by_role("application")
    shown.get_by_role("link").first.wait_for()
    return shown


def task_log(page: Page, airflow: RealAirflow, dag_id: str, run_id: str, task_id: str) -> Locator:
    """The log of a failed task, its long lines wrapped."""
    visit(page, airflow, f"/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
    shown = page.get_by_role("code").filter(has_text="Task failed").first
    shown.wait_for()
    page.keyboard.press("w")
    return shown
