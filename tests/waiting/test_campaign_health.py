"""One poll of a campaign's health: what counts, what does not, and what it costs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import NotFoundError, ServerError, UnsupportedByApiError
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules
from airflow_provider_salesblink.waiting.campaign_health import CampaignHealth, EveryHealth, Health, Unhealthy
from airflow_provider_salesblink.waiting.conditions import Hopeless, Met
from airflow_provider_salesblink.waiting.health import HealthLimits, Sample
from tests.campaign_mails import HOUR, MINUTE, event, mails, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis("v1")

DAY = 24 * 3600.0


@pytest.fixture(autouse=True)
def _rules(sandbox: Sandbox) -> Iterator[None]:
    before = sandbox.v1
    yield
    sandbox.v1 = before


def health(client: SalesBlinkClient, campaign_id: str, **limits: Any) -> Health:
    condition = EveryHealth(HealthLimits(**{"window": DAY, "min_sample": 20, **limits}))
    ((_, found),) = CampaignHealth(campaign_id).look(client, [condition])
    assert isinstance(found, Health)
    return found


def verdict(client: SalesBlinkClient, campaign_id: str, **limits: Any) -> dict[str, Any] | None:
    condition = Unhealthy(HealthLimits(**{"window": DAY, "min_sample": 20, **limits}))
    found = [each for _, each in CampaignHealth(campaign_id).look(client, [condition])]
    assert all(isinstance(each, Met) for each in found)
    return found[0].found if found else None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "rules",
    [
        {}, {"feed_repeats": 1}, {"feed_moves": 1}, {"feed_order": "arrival"},
        {"event_time": "iso", "event_sequence": "sequence_id", "feed_envelope": True},
        {"from_inclusive": False, "to_inclusive": False},
    ],
    ids=str,
)  # fmt: skip
def test_each_event_counts_once(
    rules: dict[str, Any], client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    sandbox.v1 = V1Rules(**rules)
    mails(sandbox, campaign.id, 230, bounced=110, unsubscribed=3, replied=2)

    found = health(client, campaign.id)

    assert found.sample == Sample(230, 110, 3, 2)
    assert found.exceeded == ["bounce_rate"]
    assert found.found() == {
        "outcome": "unhealthy", "campaign_id": campaign.id, "state": "running", "exceeded": "bounce_rate",
        "sent": 230, "bounced": 110, "unsubscribed": 3, "replied": 2,
        "bounce_rate": 0.4783, "unsubscribe_rate": 0.013, "reply_rate": 0.0087,
    }  # fmt: skip


def test_only_this_campaigns_events_in_the_window_count_and_no_opens(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    other = sandbox.add_campaign("Other")
    mails(sandbox, campaign.id, 20)
    mails(sandbox, campaign.id, 20, at=-25 * HOUR, bounced=20, prefix="old")
    mails(sandbox, campaign.id, 20, at=HOUR, bounced=20, prefix="future")
    mails(sandbox, other, 20, bounced=20)
    for number in range(20):
        event(sandbox, campaign.id, "Opened", f"p{number}")

    assert health(client, campaign.id).sample == Sample(20)


def test_a_bounce_of_a_mail_before_the_window_does_not_count(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    # A day's mails have just left the window, and their bounces have not.
    mails(sandbox, campaign.id, 30, at=-25 * HOUR, prefix="old")
    mails(sandbox, campaign.id, 20)
    for number in range(15):
        event(sandbox, campaign.id, "Bounced", f"old{number}", at=-23 * HOUR)
    event(sandbox, campaign.id, "Bounced", "P3")

    assert health(client, campaign.id).sample == Sample(20, bounced=1)


def test_a_late_event_counts_when_it_arrives_and_a_future_one_when_it_is_due(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    mails(sandbox, campaign.id, 20)
    for number in range(10):
        event(sandbox, campaign.id, "Bounced", f"p{number}", at=-20 * HOUR, arrives_ms=now_ms() + HOUR)
    event(sandbox, campaign.id, "Bounced", "p19", at=400)

    assert health(client, campaign.id).sample == Sample(20)
    sandbox.advance(3600)
    threading.Event().wait(0.5)
    assert health(client, campaign.id).sample == Sample(20, bounced=11)


def test_the_newest_mails_show_that_a_list_has_turned_bad(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    mails(sandbox, campaign.id, 380, at=-5 * HOUR, prefix="good")
    mails(sandbox, campaign.id, 20, at=-MINUTE, bounced=15)

    found = health(client, campaign.id)

    assert (found.sample, found.exceeded) == (Sample(20, bounced=15), ["bounce_rate"])


def test_all_who_watch_a_campaign_share_a_poll_of_the_longest_window(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    mails(sandbox, campaign.id, 20, at=-30 * MINUTE)
    mails(sandbox, campaign.id, 20, at=-2 * HOUR, prefix="old", bounced=19)
    short, long = HealthLimits(3600, min_sample=20), HealthLimits(3 * 3600, min_sample=20)
    waiting, every, other = Unhealthy(short), EveryHealth(short), Unhealthy(long)

    found = dict(CampaignHealth(campaign.id).look(client, [waiting, every, other]))

    assert set(found) == {every, other}
    assert found[every].sample == Sample(20)  # type: ignore[union-attr]
    assert found[other].found["bounced"] == 19  # type: ignore[union-attr]
    assert sorted(request.path.rsplit("/", 1)[-1] for request in sandbox.requests) == sorted(
        [campaign.id, "replies", "reports", "reports", "sent"]
    )


@pytest.mark.parametrize("state", ["paused", "archived", "completed"])
def test_a_campaign_that_no_longer_runs_ends_the_wait(
    state: Any, client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    assert verdict(client, campaign.id) is None
    if state == "archived":
        client.sequences.archive(campaign.id)
    elif state == "paused":
        sandbox.happen("pause", to=campaign.id)
    else:
        sandbox.set_condition(campaign.id, state)

    found = verdict(client, campaign.id)

    assert found
    assert (found["outcome"], found["state"]) == ("ended", state)


def test_a_paused_campaign_may_be_unhealthy_too(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    mails(sandbox, campaign.id, 20, unsubscribed=10)
    sandbox.happen("pause", to=campaign.id)

    found = verdict(client, campaign.id)

    assert found
    assert (found["outcome"], found["state"], found["exceeded"]) == ("unhealthy", "paused", "unsubscribe_rate")


@pytest.mark.parametrize("operation", ["v1.listSent", "v1.listReports", "v1.listReplies", "v1.getSequence"])
def test_a_page_that_is_lost_decides_nothing(
    operation: str, client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    mails(sandbox, campaign.id, 20, bounced=20)
    sandbox.fault(operation, "status", status=503, times=None)

    with pytest.raises(ServerError):
        verdict(client, campaign.id)


def test_an_unknown_campaign_is_an_error(client: SalesBlinkClient) -> None:
    with pytest.raises(NotFoundError):
        verdict(client, "nobody")


@pytest.mark.apis("classic")
def test_on_the_classic_api_nothing_is_sent(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    with pytest.raises(UnsupportedByApiError, match=r"CampaignHealthSensor and its triggers .* need API v1"):
        verdict(client, campaign.id)

    assert sandbox.requests == []


@pytest.mark.parametrize("message", ["Bounced", "Unsubscribed"])
def test_one_person_counts_once_however_often_the_same_is_reported(
    message: str, client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    mails(sandbox, campaign.id, 20)
    for number in range(15):
        event(sandbox, campaign.id, message, "p0", at=-HOUR + number)

    found = health(client, campaign.id)

    assert (found.sample.bounced + found.sample.unsubscribed, found.exceeded, found.unclear) == (1, [], [])


def test_each_mail_to_a_person_may_bounce_and_the_person_unsubscribes_once(
    client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    for message in ("Sent", "Sent", "Bounced", "Bounced", "Bounced", "Unsubscribed", "Unsubscribed"):
        event(sandbox, campaign.id, message, "p0")

    assert health(client, campaign.id).sample == Sample(2, bounced=2, unsubscribed=1)


@pytest.mark.parametrize("without", ["Sent", "Bounced", "Replied"])
def test_what_has_no_address_is_not_guessed(
    without: str, client: SalesBlinkClient, sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    limits: dict[str, Any] = {"min_reply_rate": 0.5, "max_bounce_rate": None} if without == "Replied" else {}
    for number in range(20):
        for message in ("Sent", "Replied" if without == "Replied" else "Bounced"):
            event(sandbox, campaign.id, message, f"p{number}", **({"email": ""} if message == without else {}))

    found = health(client, campaign.id, **limits)
    waiting = Unhealthy(HealthLimits(DAY, min_sample=20, **limits))
    ((_, decided),) = CampaignHealth(campaign.id).look(client, [waiting])

    assert (found.exceeded, len(found.unclear)) == ([], 1)
    assert isinstance(decided, Hopeless)
    assert "have no 'email' in SalesBlink's feeds" in decided.reason
