"""One poll of a feed serves all watchers, and shows only what it should."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_salesblink.client import UnsupportedByApiError
from airflow_provider_salesblink.client.identity import AddressHash
from airflow_provider_salesblink.waiting.feed_cursor import FEED_KINDS, FeedCursor
from airflow_provider_salesblink.waiting.feeds import Feed, NewEvents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox

HOUR = 3600 * 1000


class TellingClient:
    """A client whose reports show what no sandbox shows."""

    def __init__(self, *shown: dict[str, Any]) -> None:
        self.events = self
        self.addresses = AddressHash("key", api_key="")
        self._shown = shown

    def reports(self, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        return iter(self._shown)


def watcher(campaign_id: str = "c1", lookback: int = 24 * HOUR) -> NewEvents:
    return NewEvents(campaign_id, FeedCursor(lookback))


def bounces(*shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the bounces of one watched campaign when the reports show these entries."""
    ((_, found),) = Feed("bounced").look(TellingClient(*shown), [watcher()])  # type: ignore[arg-type]
    return [event.change for event in found.oldest_first()]


def entry(**other: Any) -> dict[str, Any]:
    return {"id": "e1", "message": "Bounced", "time": datetime.now(UTC), "sequence": "c1", **other}


@pytest.mark.parametrize(
    ("message", "is_reported"),
    [("Bounced", True), ("BOUNCED", True), ("Hard bounce", True), (None, True), ("", True), ("Sent", False)],
)
def test_reports_that_ignore_the_filter_do_not_become_bounces(message: str | None, is_reported: bool) -> None:
    assert bool(bounces(entry(message=message))) is is_reported


@pytest.mark.parametrize(
    ("other", "is_reported"),
    [({"sequence": ""}, True), ({"sequence": None, "sequence_id": "c1"}, True), ({"sequence": "c2"}, False)],
)
def test_an_event_without_its_campaign_is_of_the_one_that_was_asked_for(
    other: dict[str, Any],
    is_reported: bool,
) -> None:
    assert bool(bounces(entry(**other))) is is_reported


def test_an_event_without_an_id_or_a_time_is_recognized_by_its_content() -> None:
    cursor = FeedCursor(24 * HOUR)
    shown = [entry(id=None, email="ana@example.com", time=None), entry(id=None, email="ben@example.com", time=None)]

    polls = [
        list(cursor.advance(found))
        for _ in range(2)
        for _, found in Feed("bounced").look(TellingClient(*shown), [NewEvents("c1", cursor)])  # type: ignore[arg-type]
    ]

    assert [len(each) for each in polls] == [2, 0]


@pytest.mark.parametrize("email", [None, "", 7, "ana"])
def test_an_event_without_an_address_has_no_person_or_the_hash_of_its_text(email: Any) -> None:
    (change,) = bounces(entry(email=email))

    assert (change["person"] is not None) is (email == "ana")


@pytest.mark.apis("v1")
def test_several_campaigns_are_one_request_with_the_longest_lookback(
    client: SalesBlinkClient, sandbox: Sandbox
) -> None:
    ids = [sandbox.add_campaign(f"No. {number}") for number in range(3)]
    now = int(datetime.now(UTC).timestamp() * 1000)
    for campaign_id in ids:
        sandbox.add_event("Opened", email="ana@example.com", sequence_id=campaign_id, time_ms=now - 2 * HOUR)
    short, long, other = watcher(ids[0], HOUR), watcher(ids[0]), watcher(ids[1])

    found = {condition: found.oldest_first() for condition, found in Feed("opened").look(client, [short, long, other])}

    assert [len(found[condition]) for condition in (short, long, other)] == [0, 1, 1]
    (request,) = sandbox.requests
    query = parse_qs(request.query)
    assert "sequence_id" not in query
    assert 0 <= now - 24 * HOUR - int(query["from"][0]) <= 2000


@pytest.mark.parametrize("kind", FEED_KINDS)
def test_on_the_classic_api_nothing_is_sent(kind: Any, client: SalesBlinkClient, sandbox: Sandbox) -> None:
    with pytest.raises(UnsupportedByApiError, match="ProspectEventTrigger reports appeared, changed and unsubscribed"):
        list(Feed(kind).look(client, [watcher()]))

    assert sandbox.requests == []
