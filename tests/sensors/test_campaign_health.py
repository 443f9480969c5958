"""Watching a campaign's health, and acting when it is beyond a limit."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_provider_salesblink.client import ServerError
from airflow_provider_salesblink.sensors.campaigns import CampaignHealthSensor
from airflow_provider_salesblink.waiting.health import HealthLimits, Sample
from tests.campaign_mails import Mailing, mails

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis("v1")

INTERVAL, LATENCY = 1.0, 5.0
"""Seconds. The latency is that of five requests, and in deferrable mode also of starting the task again."""

UNHEALTHY = {
    "campaign_id": "...", "state": "running", "exceeded": "bounce_rate",
    "sent": 200, "bounced": 40, "unsubscribed": 1, "replied": 2,
    "bounce_rate": 0.2, "unsubscribe_rate": 0.005, "reply_rate": 0.01,
}  # fmt: skip


def sensor(campaign_id: str, **options: Any) -> CampaignHealthSensor:
    return CampaignHealthSensor(**{"task_id": "t", "campaign_id": campaign_id, "timeout": 60, **options})


def statuses(sandbox: Sandbox) -> list[str]:
    """Return the status of each write that reached the sandbox."""
    return [request.body["status"] for request in sandbox.requests if request.path.endswith("/status")]


@pytest.fixture
def unhealthy(sandbox: Sandbox, campaign: CampaignUnderTest) -> CampaignUnderTest:
    mails(sandbox, campaign.id, 200, bounced=40, unsubscribed=1, replied=2)
    return campaign


@pytest.mark.parametrize(("on_trip", "word"), [("pause", "paused"), ("succeed", "unhealthy")])
def test_an_unhealthy_campaign_ends_the_wait(
    on_trip: Any,
    word: str,
    way: dict[str, Any],
    unhealthy: CampaignUnderTest,
    sandbox: Sandbox,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
) -> None:
    with dag:
        sensor(unhealthy.id, on_trip=on_trip, **way)

    state, tries, found = ran()

    assert (state, tries) == ("success", 1)
    assert found == {**UNHEALTHY, "outcome": word, "campaign_id": unhealthy.id}
    assert statuses(sandbox) == (["PAUSED"] if on_trip == "pause" else [])
    assert sandbox.campaigns()[0].paused is (on_trip == "pause")


def test_by_default_the_task_fails_without_retries_and_says_why(
    way: dict[str, Any],
    unhealthy: CampaignUnderTest,
    sandbox: Sandbox,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
    reasons: list[str],
) -> None:
    with dag:
        sensor(unhealthy.id, **way)

    assert ran()[:2] == ("failed", 1)
    assert reasons == [
        f"Campaign {unhealthy.id} is beyond its limit: bounce_rate. Of 200 mails in the window: 40 bounced, 1 "
        "unsubscribed, 2 replied to. The campaign is running. Look at its addresses and texts before you continue it."
    ]
    assert statuses(sandbox) == []


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_campaign_that_somebody_else_paused_ends_the_wait(
    deferrable: bool,
    campaign: CampaignUnderTest,
    sandbox: Sandbox,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
    meanwhile: Callable[..., None],
) -> None:
    with dag:
        sensor(campaign.id, on_trip="pause", poke_interval=0.02, deferrable=deferrable)
    meanwhile(lambda: sandbox.happen("pause", to=campaign.id), after_looks=6)

    state, _, found = ran()

    assert state == "success"
    assert (found["outcome"], found["state"], found["exceeded"], found["sent"]) == ("ended", "paused", "", 0)
    assert statuses(sandbox) == []


def test_a_healthy_campaign_is_watched_until_the_timeout(campaign: CampaignUnderTest, sandbox: Sandbox) -> None:
    mails(sandbox, campaign.id, 199, bounced=199)

    with pytest.raises(AirflowSensorTimeout, match=f"Waited for campaign '{campaign.id}' to be beyond its limits"):
        sensor(campaign.id, timeout=0).execute({})


@pytest.mark.parametrize(
    ("options", "is_unhealthy"),
    [
        ({"window": "2h"}, True), ({"window": timedelta(hours=2)}, True), ({"window": "30m"}, False),
        ({"max_bounce_rate": 0.3}, False), ({"max_bounce_rate": None}, False), ({"min_sample": 201}, False),
        ({"max_bounce_rate": None, "max_unsubscribe_rate": 0.00001}, True),
        ({"max_bounce_rate": None, "min_reply_rate": 0.05}, True),
    ],
    ids=str,
)  # fmt: skip
def test_limits_and_window_decide(options: dict[str, Any], is_unhealthy: bool, unhealthy: CampaignUnderTest) -> None:
    assert bool(sensor(unhealthy.id, on_trip="succeed", **options).poke({})) is is_unhealthy


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"window": "soon"}, "window is 'soon'"),
        ({"window": "0h"}, "window is 0.0 seconds"),
        ({"max_bounce_rate": 8}, "max_bounce_rate is 8: give a share between 0 and 1"),
        ({"min_sample": 0}, "min_sample is 0"),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_arguments_that_make_no_sense_fail_the_task_before_anything_is_sent(
    options: dict[str, Any], sentence: str, deferrable: bool, sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match=sentence):
        sensor("c1", deferrable=deferrable, **options).execute({})

    assert sandbox.requests == []


def test_an_unknown_action_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="on_trip is 'stop'; it takes 'pause', 'fail', 'succeed'"):
        sensor("c1", on_trip="stop")


@pytest.mark.apis("classic")
@pytest.mark.parametrize("deferrable", [False, True])
def test_on_the_classic_api_it_says_what_is_needed(
    deferrable: bool,
    campaign: CampaignUnderTest,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
    reasons: list[str],
) -> None:
    with dag:
        sensor(campaign.id, deferrable=deferrable, poke_interval=0.02)

    assert ran()[:2] == ("failed", 1)
    assert "so they need API v1" in reasons[0]


def test_a_dry_run_says_that_it_would_pause(
    unhealthy: CampaignUnderTest, connection: Callable[..., None], sandbox: Sandbox
) -> None:
    connection(extra={"dry_run": True})

    found = sensor(unhealthy.id, on_trip="pause").poke({}).xcom_value

    assert (found["outcome"], found["would_be"], found["sent"]) == ("dry_run", "paused", 200)
    assert statuses(sandbox) == []


@pytest.mark.parametrize("kind", ["reset", "close", "cut", "truncated"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_pause_whose_answer_is_lost_is_not_sent_again(
    kind: str,
    deferrable: bool,
    unhealthy: CampaignUnderTest,
    sandbox: Sandbox,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
) -> None:
    with dag:
        sensor(unhealthy.id, on_trip="pause", deferrable=deferrable, poke_interval=0.02)
    sandbox.fault("v1.setSequenceStatus", kind, when="after")

    state, tries, found = ran()

    assert (state, tries, found["outcome"]) == ("success", 1, "paused")
    assert statuses(sandbox) == ["PAUSED"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_pause_that_did_not_arrive_is_sent_again(
    deferrable: bool,
    unhealthy: CampaignUnderTest,
    sandbox: Sandbox,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
) -> None:
    with dag:
        sensor(unhealthy.id, on_trip="pause", deferrable=deferrable, poke_interval=0.02)
    # Twice: the second failure ends the attempt. The next poll, or the next deferral, pauses.
    sandbox.fault("v1.setSequenceStatus", "reset", times=2)

    state, tries, found = ran()

    assert (state, tries, found["outcome"]) == ("success", 1, "paused")
    assert sandbox.campaigns()[0].paused


def test_a_pause_that_never_works_fails_the_try_and_the_log_says_that_mails_may_go_on(
    unhealthy: CampaignUnderTest,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CampaignHealthSensor, "log", logging.getLogger("tests.task"))
    sandbox.fault("v1.setSequenceStatus", "status", status=503, times=None)

    with pytest.raises(ServerError, match="503"):
        sensor(unhealthy.id, on_trip="pause", poke_interval=0.02, max_consecutive_failures=2).execute({})

    # Two polls, each with a write that failed and, after a look at the campaign, another one.
    assert statuses(sandbox) == ["PAUSED"] * 4
    assert "The campaign may still be running: pausing it may have failed." in caplog.text


def test_a_pause_that_never_works_ends_a_deferred_wait_too(unhealthy: CampaignUnderTest, sandbox: Sandbox) -> None:
    sandbox.fault("v1.setSequenceStatus", "status", status=503, times=None)
    watching = sensor(unhealthy.id, on_trip="pause", deferrable=True, max_consecutive_failures=2)
    found = {"status": "met", "found": {**UNHEALTHY, "outcome": "unhealthy", "campaign_id": unhealthy.id}}

    with pytest.raises(TaskDeferred) as deferred:
        watching.resume({}, found)
    with pytest.raises(ServerError, match="503"):
        watching.try_again({}, **deferred.value.kwargs)


def test_a_429_to_the_pause_is_waited_out_without_a_worker(unhealthy: CampaignUnderTest, sandbox: Sandbox) -> None:
    found = {**UNHEALTHY, "outcome": "unhealthy", "campaign_id": unhealthy.id}
    sandbox.fault("v1.setSequenceStatus", "429", retry_after=30, times=2)
    watching = sensor(unhealthy.id, on_trip="pause", deferrable=True, poke_interval=5)

    with pytest.raises(TaskDeferred) as deferred:
        watching.resume({}, {"status": "met", "found": found})

    assert deferred.value.trigger.serialize()[0].endswith("DateTimeTrigger")
    assert deferred.value.method_name == "try_again"
    stored = json.loads(json.dumps(deferred.value.kwargs))
    assert watching.try_again({}, event="2026-11-26T13:00:00", **stored)["outcome"] == "paused"
    assert sandbox.campaigns()[0].paused


def test_a_campaign_that_is_paused_already_gets_no_write(unhealthy: CampaignUnderTest, sandbox: Sandbox) -> None:
    sandbox.happen("pause", to=unhealthy.id)

    found = sensor(unhealthy.id, on_trip="pause").poke({}).xcom_value

    assert (found["outcome"], found["state"]) == ("paused", "paused")
    assert statuses(sandbox) == []


@pytest.mark.parametrize("operation", ["v1.listSent", "v1.listReports", "v1.listReplies", "v1.getSequence"])
@pytest.mark.parametrize(
    "fault", [{"kind": "reset"}, {"kind": "429", "retry_after": 0}, {"kind": "truncated"}], ids=str
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_page_that_is_lost_delays_the_decision_to_the_next_poll(
    operation: str,
    fault: dict[str, Any],
    deferrable: bool,
    unhealthy: CampaignUnderTest,
    sandbox: Sandbox,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
) -> None:
    with dag:
        sensor(unhealthy.id, on_trip="succeed", deferrable=deferrable, poke_interval=0.02)
    sandbox.fault(operation, **fault)

    state, tries, found = ran()

    assert (state, tries, found["sent"], found["bounced"]) == ("success", 1, 200, 40)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_campaign_that_bounces_8_percent_from_now_on_is_paused_within_one_interval_plus_latency(
    deferrable: bool,
    campaign: CampaignUnderTest,
    sandbox: Sandbox,
    dag: Any,
    ran: Callable[[], tuple[str, int, Any]],
) -> None:
    mails(sandbox, campaign.id, 150, bounced=3, prefix="good")
    with dag:
        sensor(campaign.id, on_trip="pause", deferrable=deferrable, poke_interval=INTERVAL)

    with Mailing(sandbox, campaign.id, per_second=100) as mailing:
        state, _, found = ran()

    assert (state, found["outcome"]) == ("success", "paused")
    enough = first_decisive(150, 3)
    assert 150 + len(mailing.sent_at) >= enough
    assert mailing.sent_at[-1] - mailing.sent_at[enough - 150 - 1] <= 1000 * (INTERVAL + LATENCY)


def first_decisive(good: int, bounced: int) -> int:
    """Return the number of mails, good ones first, with which the sensor has seen enough."""
    limits = HealthLimits(24 * 3600)
    bad = [number % 25 in (0, 12) for number in range(2000)]
    for sent in range(200, 2000):
        whole = Sample(sent, bounced + sum(bad[: sent - good]))
        newest = lambda size, sent=sent: Sample(size, sum(bad[sent - good - size : sent - good]))  # noqa: E731
        if sent - good >= 200 and limits.decide(whole, newest)[1]:
            return sent
    raise AssertionError("never enough")


def test_an_archived_campaign_is_not_brought_back_to_pause_it(
    unhealthy: CampaignUnderTest, sandbox: Sandbox, client: SalesBlinkClient
) -> None:
    client.sequences.archive(unhealthy.id)
    client.sequences.update(unhealthy.id, paused=False)
    requests = len(sandbox.requests)

    found = sensor(unhealthy.id, on_trip="pause").execute({})

    assert (found["outcome"], found["state"], found["exceeded"]) == ("paused", "archived", "bounce_rate")
    assert {request.method for request in sandbox.requests[requests:]} == {"GET"}
