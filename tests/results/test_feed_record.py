"""The record of a feed's files: of one key and one ``people``, and of campaigns that exist."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import AuthenticationError, InvalidInputError, NotFoundError, SalesBlinkClient
from airflow_provider_salesblink.results.windows import Plan
from tests.results.extracting import NOW, add_events, extract, ids, ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_salesblink.choices import FeedName
    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = pytest.mark.apis("v1")
RECORD = "sent/_extracted.json"


@pytest.fixture
def other_client(sandbox: Sandbox) -> Iterator[SalesBlinkClient]:
    with SalesBlinkClient(
        sandbox.key, base_url=sandbox.url, api_version="v1", hash_key="another", reads_per_minute=0
    ) as client:
        yield client


def test_another_key_is_refused_before_a_feed_is_read(
    client: SalesBlinkClient, other_client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 3)
    extract(client, tmp_path)
    before = len(sandbox.requests)

    with pytest.raises(
        InvalidInputError, match=r"another hash_key.*Set the connection's hash_key back.*new output_path"
    ):
        extract(other_client, tmp_path)

    assert len(sandbox.requests) == before
    extract(client, tmp_path)


def test_another_people_is_refused(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    add_events(sandbox, 3)
    extract(client, tmp_path, people="none")

    with pytest.raises(InvalidInputError, match=r"with people='none', and now people is 'hash'.*new output_path"):
        extract(client, tmp_path, people="hash")


def test_a_folder_of_an_earlier_version_goes_on(
    client: SalesBlinkClient, other_client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 3)
    extract(client, tmp_path)
    (tmp_path / RECORD).unlink()

    extract(client, tmp_path)

    # These files may be of any campaign.
    assert json.loads((tmp_path / RECORD).read_text())["campaigns"] is None
    with pytest.raises(InvalidInputError, match="another hash_key"):
        extract(other_client, tmp_path)


def test_the_record_shows_nothing_of_the_key_and_does_not_change(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    campaign = sandbox.add_campaign("Spring", paused=True)
    extract(client, tmp_path, campaign_id=campaign)
    record = (tmp_path / RECORD).read_bytes()
    changed = (tmp_path / RECORD).stat().st_mtime_ns

    extract(client, tmp_path, campaign_id=campaign)

    stored = json.loads(record)
    assert stored == {"version": 1, "people": "hash", "key": stored["key"], "campaigns": [campaign]}
    assert len(stored["key"]) == 16
    assert (tmp_path / RECORD).stat().st_mtime_ns == changed


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 2}', "7"])
def test_an_unreadable_record_is_an_error_that_says_what_to_do(
    content: str, client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    add_events(sandbox, 1)
    extract(client, tmp_path)
    (tmp_path / RECORD).write_text(content)

    with pytest.raises(InvalidInputError, match=r"sent/_extracted.json cannot be read.*delete it"):
        extract(client, tmp_path)


def test_a_failed_extraction_leaves_no_record(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.fault("v1.listSent", "status", status=400, times=None)

    with pytest.raises(Exception, match="400"):
        extract(client, tmp_path)

    assert not (tmp_path / RECORD).exists()


@pytest.mark.parametrize("plan", [Plan(), Plan(NOW - timedelta(days=1), NOW, is_fixed=True)])
def test_an_unknown_campaign_is_an_error_in_each_run(
    plan: Plan, client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.add_campaign("Spring", paused=True)

    for _ in range(2):
        with pytest.raises(NotFoundError, match=r"did not find it.*campaign_id is 'Spring'.*pass its id"):
            extract(client, tmp_path, plan=plan, campaign_id="Spring")

    assert ids(tmp_path) == []


@pytest.mark.parametrize("feed", ["sent", "reports"])
def test_a_campaign_that_was_deleted_may_still_have_events(
    feed: FeedName, client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    message = {"sent": "Sent", "reports": "Unsubscribed"}[feed]
    event, _ = (
        sandbox.add_event(message, email="ana@example.com", sequence_id=of, time_ms=ms(NOW - timedelta(hours=1)))
        for of in ("deleted", "another")
    )

    extract(client, tmp_path, [feed], campaign_id="deleted")

    assert ids(tmp_path) == [event.id]


def test_a_campaign_is_looked_up_once(client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path) -> None:
    campaign = sandbox.add_campaign("Spring", paused=True)

    for _ in range(3):
        extract(client, tmp_path, campaign_id=campaign)

    assert sum(request.path.endswith(f"/sequences/{campaign}") for request in sandbox.requests) == 1


def test_a_wrong_key_is_logged_once(sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with (
        SalesBlinkClient("wrong-key", base_url=sandbox.url, api_version="v1", reads_per_minute=0) as client,
        pytest.raises(AuthenticationError),
    ):
        extract(client, tmp_path)

    assert "totals by day" not in caplog.text


def test_the_log_has_times_in_utc_and_an_upper_estimate_for_one_campaign(
    client: SalesBlinkClient, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    campaign = sandbox.add_campaign("Spring", paused=True)

    extract(client, tmp_path, campaign_id=campaign)

    assert "sent from the first event to 2026-11-25 11:59:00 UTC: 0 events" in caplog.text
    assert "Reading sent takes at most about 1 requests" in caplog.text
