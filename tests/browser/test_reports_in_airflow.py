"""The reports in Airflow's UI: from the navigation to the list, to a report, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo import browser
from demo.screenshots import REPORT, RUN_ID

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from demo.screenshots import Studio

pytestmark = [pytest.mark.generation(3), pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]


def test_the_navigation_leads_to_the_reports_and_their_charts(page: Page, studio: Studio) -> None:
    assert studio.ended(REPORT) == "success"

    shown = browser.reports(page, studio.airflow)
    shown.get_by_role("link", name="Spring 2027").click()

    shown.get_by_role("heading", name="Over time").wait_for()
    bars = shown.get_by_role("img", name="Mails sent").locator("rect")
    assert bars.count() > 5
    # The page's own styles: the headers of the answer allow them.
    assert bars.first.evaluate("bar => getComputedStyle(bar).fill") == "rgb(44, 107, 214)"
    assert page.url.endswith("/salesblink/reports/spring.html")

    shown.get_by_role("link", name="All reports").click()
    shown.get_by_role("heading", name="SalesBlink reports").wait_for()
    assert "spring.html" in shown.get_by_role("listitem").inner_text()


def test_a_report_in_the_frame_offers_its_figures(page: Page, studio: Studio) -> None:
    studio.ended(REPORT)
    shown = browser.reports(page, studio.airflow)
    shown.get_by_role("link", name="Spring 2027").click()

    with page.expect_download() as download:
        shown.get_by_role("link", name="spring.csv").click()

    assert download.value.path().read_text(encoding="utf-8").startswith("table,")


def test_the_task_links_to_its_report(page: Page, studio: Studio) -> None:
    assert studio.ended(REPORT) == "success"
    links = studio.airflow.api(f"dags/{REPORT}/dagRuns/{RUN_ID}/taskInstances/write/links")["extra_links"]

    browser.visit(page, studio.airflow, "/")
    page.goto(links["Report"])

    assert page.get_by_role("heading", name="Spring 2027").is_visible()
