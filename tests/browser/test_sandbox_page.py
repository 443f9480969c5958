"""The sandbox's page: its contents, their updates, and the form that adds faults."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

# In the same group as the tests that need Airflow, because they share the browser.
pytestmark = [pytest.mark.generation(3), pytest.mark.xdist_group("real-airflow")]


def test_the_page_shows_campaigns_and_people_and_updates(
    page: Page, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    page.goto(sandbox.url)
    _row(page, "Campaigns", "Spring").get_by_text("running").wait_for()
    page.get_by_text("No prospects yet.").wait_for()

    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com", "Company": "Northwind"})

    row = _row(page, "Prospects", "ana@example.com")
    row.get_by_text("active").wait_for()
    assert "Northwind" in row.inner_text()
    sandbox.happen("unsubscribe", to=ana)
    row.get_by_text("unsubscribed").wait_for()
    _row(page, "Activity", "unsubscribe").get_by_text("ana@example.com").wait_for()


def test_the_form_adds_and_clears_faults(page: Page, sandbox: Sandbox, client: SalesBlinkClient) -> None:
    page.goto(sandbox.url)
    faults = page.get_by_role("region", name="Faults")
    faults.get_by_role("textbox").fill("campaigns=status:status=503x2")
    faults.get_by_role("button", name="Add").click()
    faults.get_by_text("campaigns: status 503, 2 more").wait_for()

    client.campaigns.list()

    page.get_by_role("cell", name="status 503").first.wait_for()
    assert [request.status for request in sandbox.requests] == [503, 503, 200]
    sandbox.fault("writes", "reset")
    faults.get_by_text("writes: reset").wait_for()
    faults.get_by_role("button", name="Clear all").click()
    faults.get_by_text("No faults.").wait_for()


def test_the_form_shows_the_error_for_an_invalid_fault(page: Page, sandbox: Sandbox) -> None:
    page.goto(sandbox.url)
    faults = page.get_by_role("region", name="Faults")
    faults.get_by_role("textbox").fill("campaigns=nonsense")
    faults.get_by_role("button", name="Add").click()

    faults.get_by_role("alert").filter(has_text="nonsense").wait_for()
    assert faults.get_by_role("textbox").input_value() == "campaigns=nonsense"


def test_data_is_shown_as_text_not_as_markup(page: Page, sandbox: Sandbox) -> None:
    markup = "<img src=x onerror='window.ran = 1'>"
    campaign_id = sandbox.add_campaign(f"Spring {markup}")
    sandbox.add_person(campaign_id, {"Email": f"eve{markup}@example.com", f"Company {markup}": f"Initech {markup}"})
    sandbox.block(f"{markup}.example")

    page.goto(sandbox.url)

    _row(page, "Campaigns", f"Spring {markup}").wait_for()
    for text in (f"eve{markup}", f"Company {markup}", f"Initech {markup}"):
        _row(page, "Prospects", text).wait_for()
    _row(page, "Mails that would start", f"eve{markup}").wait_for()
    _row(page, "Lists", f"Spring {markup}").wait_for()
    _row(page, "Blocklist", markup).wait_for()
    assert page.locator("img").count() == 0
    assert page.evaluate("window.ran") is None


def test_a_link_to_a_campaign_shows_only_its_people(page: Page, sandbox: Sandbox) -> None:
    for number, campaign_id in enumerate(("spring/1", "autumn")):
        sandbox.add_campaign(f"Campaign {campaign_id}", id=campaign_id)
        sandbox.add_person(campaign_id, {"Email": f"p{number}@example.com"})

    page.goto(f"{sandbox.url}/#{quote('spring/1', safe='')}")

    _row(page, "Prospects", "p0@example.com").wait_for()
    assert _row(page, "Prospects", "p1@example.com").count() == 0
    assert page.get_by_role("region", name="Prospects").first.get_by_text("1 in Campaign spring/1").is_visible()
    page.get_by_role("link", name="Show all").click()
    _row(page, "Prospects", "p1@example.com").wait_for()
    page.goto(f"{sandbox.url}/#no-such-campaign-%")
    _row(page, "Prospects", "p0@example.com").wait_for()


def test_the_page_shows_who_would_start_twice_the_lists_and_the_blocklist(
    page: Page, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    page.goto(sandbox.url)
    page.get_by_text("Nobody yet. A person starts").wait_for()
    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    start = _row(page, "Mails that would start", "ana@example.com")
    start.get_by_text("1", exact=True).wait_for()

    sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.block("example.org")

    start.get_by_text("2", exact=True).wait_for()
    assert "added" in start.inner_text()
    assert "2" in _row(page, "Lists", "Spring").get_by_role("cell").all_inner_texts()
    _row(page, "Blocklist", "example.org").get_by_text("administrator").wait_for()


def test_the_api_page_shows_both_apis(page: Page, sandbox: Sandbox) -> None:
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(f"{sandbox.url}/docs")

    for name, path in (
        ("Public API v1.0.0", "/api/public/v1.0.0/leads/{id}/move"),
        ("Classic API", "/api/prospect-add"),
    ):
        page.get_by_role("heading", name=name).wait_for()
        page.get_by_text(path, exact=True).first.click()
    page.get_by_text(f"curl -X PUT '{sandbox.url}/api/public/v1.0.0/leads/{{id}}/move'").wait_for()
    page.get_by_text(f"curl '{sandbox.url}/api/prospect-add'").wait_for()
    assert failures == []


def _row(page: Page, part: str, text: str) -> Locator:
    return page.get_by_role("region", name=part).last.get_by_role("row").filter(has_text=text)
