"""CampaignReportOperator and what was extracted into its folder: not every feed, campaign or day."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.reports import CampaignReportOperator
from airflow_provider_salesblink.operators.results import ExtractEventsOperator
from tests.results.report_events import row, write_events
from tests.results.test_report_page import text

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox

FEEDS = ("sent", "opens", "clicks", "replies", "reports")


def report(folder: Path, **arguments: Any) -> tuple[dict[str, Any], str, dict[str, str]]:
    """Return what a report leaves in XCom, the text of its page, and its totals in the CSV file."""
    result = CampaignReportOperator(task_id="t", output_path=folder.parent / "r.html", events_path=folder, **arguments)
    found = result.execute({})
    with (folder.parent / "r.csv").open(encoding="utf-8", newline="") as file:
        return found, text((folder.parent / "r.html").read_text(encoding="utf-8")), next(csv.DictReader(file))


def extract(folder: Path, **arguments: Any) -> dict[str, Any]:
    return ExtractEventsOperator(**{"task_id": "e", "feeds": FEEDS, "output_path": folder, **arguments}).execute({})


def live(sandbox: Sandbox, campaign_id: str) -> None:
    at = int((datetime.now(UTC) - timedelta(hours=5)).timestamp() * 1000)
    lead = sandbox.add_person(campaign_id, {"Email": "ana@example.com"})
    for message in ("Sent", "Replied", "Bounced"):
        sandbox.add_event(message, lead_id=lead, sequence_id=campaign_id, time_ms=at)


def test_a_feed_that_was_not_extracted_is_unknown_and_not_zero(tmp_path: Path) -> None:
    rows = [row("sent", number) for number in range(30)] + [row("replies", number) for number in range(3)]

    result, page, total = report(write_events(tmp_path / "events", rows))

    assert "Not extracted, so not known here: opens, clicks, reports (bounces and unsubscribes)." in page
    assert "Bounced – not extracted Unsubscribed – not extracted" in page
    assert "People who opened* not extracted" in page
    assert "None in this period" not in page
    assert {name: total[name] for name in ("sent", "opens", "clicks", "replies", "bounces", "bounce_rate")} == {
        "sent": "30", "opens": "", "clicks": "", "replies": "3", "bounces": "", "bounce_rate": "",
    }  # fmt: skip
    assert (total["people_who_opened"], total["people_who_replied"]) == ("", "3")
    assert {"opens", "clicks", "bounces", "unsubscribes"}.isdisjoint(result)
    assert result["replies"] == 3


def test_without_the_mails_sent_there_are_no_rates(tmp_path: Path) -> None:
    result, page, total = report(write_events(tmp_path / "events", [row("reports", 1), row("replies", 2)]))

    assert "Mails sent – not extracted" in page
    assert "Bounced 1 mails sent: not extracted" in page
    assert " of 0 " not in page
    assert "People mailed not extracted" in page
    assert (total["sent"], total["bounces"], total["bounce_rate"], total["people_mailed"]) == ("", "1", "", "")
    assert total["people_added"] == ""
    assert "people_mailed" not in result


@pytest.mark.apis("v1")
def test_a_feed_that_was_extracted_and_is_empty_is_zero(sandbox: Sandbox, tmp_path: Path) -> None:
    live(sandbox, sandbox.add_campaign("Spring", paused=True))
    now = datetime.now(UTC)
    # A fixed time leaves no cursor.
    extract(tmp_path / "events", since=now - timedelta(days=2), until=now)

    result, page, total = report(tmp_path / "events")

    assert (result["opens"], total["opens"]) == (0, "0")
    assert "Not extracted" not in page


@pytest.mark.apis("v1")
def test_an_extraction_that_found_nothing_makes_a_report_of_zeros(sandbox: Sandbox, tmp_path: Path) -> None:  # noqa: ARG001
    extract(tmp_path / "events")

    result, page, _ = report(tmp_path / "events")

    assert (result["sent"], result["bounces"]) == (0, 0)
    assert "Not extracted" not in page


@pytest.mark.apis("v1")
def test_the_page_names_the_campaigns_that_the_folder_holds(sandbox: Sandbox, tmp_path: Path) -> None:
    spring, autumn, winter = (sandbox.add_campaign(name, paused=True) for name in ("Spring", "Autumn", "Winter"))
    for campaign in (spring, autumn):
        live(sandbox, campaign)
    extract(tmp_path / "events", campaign_id=spring)

    _, page, total = report(tmp_path / "events")
    assert page.startswith("Spring, ")
    assert "Extracted for these campaigns only: Spring (sent, opens, clicks, replies, reports)." in page
    assert total["name"] == "Spring"

    extract(tmp_path / "events", campaign_id=winter)
    _, page, _ = report(tmp_path / "events")
    assert page.startswith("2 campaigns, ")
    assert "Winter" in page

    with pytest.raises(AirflowFailException, match=rf"does not hold campaign '{autumn}'.*Extract this campaign too"):
        report(tmp_path / "events", campaign_id=autumn)

    extract(tmp_path / "events", campaign_id="all")
    _, page, _ = report(tmp_path / "events")
    assert page.startswith("All campaigns, ")
    assert "campaigns only" not in page
    assert report(tmp_path / "events", campaign_id=autumn)[0]["sent"] == 1


@pytest.mark.apis("v1")
def test_a_feed_of_other_campaigns_is_not_known_for_this_one(sandbox: Sandbox, tmp_path: Path) -> None:
    spring, autumn = (sandbox.add_campaign(name, paused=True) for name in ("Spring", "Autumn"))
    for campaign in (spring, autumn):
        live(sandbox, campaign)
    extract(tmp_path / "events", feeds=["sent"])
    extract(tmp_path / "events", feeds=["replies"], campaign_id=spring)

    assert "replies" not in report(tmp_path / "events", campaign_id=autumn)[0]
    assert report(tmp_path / "events", campaign_id=spring)[0]["replies"] == 1
    assert "Extracted for these campaigns only: Spring (replies)." in report(tmp_path / "events")[1]


@pytest.mark.parametrize("where", ["", "above", "above/events/sent"])
def test_a_folder_that_holds_no_feed_is_an_error(where: str, tmp_path: Path) -> None:
    write_events(tmp_path / "above" / "events", [row("sent", 1)])
    (tmp_path / "above" / "opens").mkdir()
    folder = tmp_path / (where or "empty")
    folder.mkdir(exist_ok=True)

    with pytest.raises(AirflowFailException, match=r"has no folder of a feed. Pass the output_path of Extract.*sent/"):
        report(folder)


@pytest.mark.parametrize(("since", "is_late"), [("2026-10-20", True), ("2026-11-02", False), (None, False)])
def test_the_page_says_from_which_day_on_there_are_events(since: str | None, is_late: bool, tmp_path: Path) -> None:
    _, page, _ = report(write_events(tmp_path / "events", [row("sent", 1), row("sent", 2, days=3)]), since=since)

    assert ("Events are there from 2 Nov 2026." in page) is is_late
