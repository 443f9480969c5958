"""A failing pipeline pauses the campaign that it feeds, and the log says so when pausing failed."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, AirflowNotFoundException, task

from airflow_provider_salesblink.client import AuthenticationError, NotFoundError, ServerError
from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.notifications.campaigns import PauseCampaignNotifier
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api

pytestmark = pytest.mark.usefixtures("connection")

on_both_apis = pytest.mark.apis(*BOTH)
"""For the tests that depend on what SalesBlink answers; the others are about Airflow."""

PAUSED_BY = {"classic": "/api/campaign-status", "v1": "/api/public/v1.0.0/sequences/{}/status"}
"""The call that pauses a campaign on each API."""

may_be_awaited = pytest.mark.generation(3)
"""From 3.1 on Airflow awaits notifiers."""


@pytest.fixture
def dag() -> DAG:
    return DAG("pipeline", schedule=None, start_date=datetime(2026, 1, 1))  # noqa: DTZ001


def failing(dag: DAG, **arguments: Any) -> DAG:
    """``dag`` with one task, which fails."""

    @task(**arguments)
    def extract() -> None:
        raise AirflowFailException("The CRM is down.")

    with dag:
        extract()
    return dag


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "was not paused" in record.getMessage()]


# In a real Airflow.


@on_both_apis
def test_a_task_that_fails_pauses_the_campaign(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    run = run_dag(failing(dag, on_failure_callback=PauseCampaignNotifier(campaign_id=campaign.id)))

    assert run.state == "failed"
    assert sandbox.campaigns()[0].paused


def test_a_dag_that_fails_pauses_the_campaign(sandbox: Sandbox, run_dag: Callable[..., Any]) -> None:
    notifier = PauseCampaignNotifier(campaign_name="{{ dag.dag_id }}")
    sandbox.add_campaign("pipeline")
    dag = DAG("pipeline", schedule=None, start_date=datetime(2026, 1, 1), on_failure_callback=notifier)  # noqa: DTZ001

    assert run_dag(failing(dag)).state == "failed"
    assert [each.name for each in sandbox.campaigns() if each.paused] == ["pipeline"]


def test_a_task_that_succeeds_pauses_nothing(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    with dag:

        @task(on_failure_callback=PauseCampaignNotifier(campaign_id=campaign.id))
        def extract() -> None:
            pass

        extract()

    assert run_dag(dag).state == "success"
    assert not sandbox.requests


def test_it_is_paused_once_the_retries_are_spent(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    seen = []
    with dag:

        @task(retries=1, retry_delay=0, on_failure_callback=PauseCampaignNotifier(campaign_id=campaign.id))
        def extract() -> None:
            seen.append(sandbox.campaigns()[0].paused)
            raise ValueError("The CRM is down.")

        extract()

    assert run_dag(dag).state == "failed"
    assert seen == [False, False]
    assert sandbox.campaigns()[0].paused


@on_both_apis
def test_a_name_means_the_one_campaign_that_has_it(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    sandbox.add_campaign("Spring sale")

    run_dag(failing(dag, on_failure_callback=PauseCampaignNotifier(campaign_name="Spring")))

    assert [each.id for each in sandbox.campaigns() if each.paused] == [campaign.id]


def test_the_connection_is_a_template_too(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    notifier = PauseCampaignNotifier(
        campaign_id=campaign.id, salesblink_conn_id="salesblink_{{ dag_run.conf['account'] }}"
    )

    run_dag(failing(dag, on_failure_callback=notifier), run_conf={"account": "default"})

    assert sandbox.campaigns()[0].paused


def test_one_notifier_pauses_the_campaign_of_each_run(
    sandbox: Sandbox, campaign: Any, dag: DAG, run_dag: Callable[..., Any]
) -> None:
    other = sandbox.add_campaign("Winter")
    failing(dag, on_failure_callback=PauseCampaignNotifier(campaign_id="{{ dag_run.conf['campaign'] }}"))

    run_dag(dag, run_conf={"campaign": campaign.id})
    assert [each.id for each in sandbox.campaigns() if each.paused] == [campaign.id]

    run_dag(dag, run_conf={"campaign": other})
    assert [each.id for each in sandbox.campaigns() if each.paused] == [campaign.id, other]


@on_both_apis
def test_with_a_wrong_key_the_failure_stays_what_it_was_and_the_log_says_that_mail_goes_on(
    api: Api,
    sandbox: Sandbox,
    campaign: Any,
    connection: Callable[..., None],
    dag: DAG,
    run_dag: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    connection(password="wrong-key")

    run = run_dag(failing(dag, on_failure_callback=PauseCampaignNotifier(campaign_id=campaign.id)))

    (extract,) = run.get_task_instances()
    assert (run.state, extract.state) == ("failed", "failed")
    assert not sandbox.campaigns()[0].paused
    (said,) = alarms(caplog)
    call = PAUSED_BY[api.version].format(campaign.id)
    assert said.startswith(
        f"Campaign '{campaign.id}' was not paused and may keep mailing people. Pause it by hand in SalesBlink. "
        f"Reason: SalesBlink refused the key of connection 'salesblink_default' (401 on POST {call})"
    )
    everything = caplog.text + capfd.readouterr().out
    assert "wrong-key" not in everything
    assert "The CRM is down." in everything


@on_both_apis
def test_a_server_that_stumbles_twice_is_asked_again(
    api: Api,
    sandbox: Sandbox,
    campaign: Any,
    dag: DAG,
    run_dag: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    api.fault("campaign-status", "status", status=503, times=2)

    run_dag(failing(dag, on_failure_callback=PauseCampaignNotifier(campaign_id=campaign.id)))

    assert sandbox.campaigns()[0].paused
    assert [request.status for request in sandbox.requests if request.method == "POST"] == [503, 503, 200]
    assert alarms(caplog) == []


# By itself.


@on_both_apis
@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"campaign_id": "nobody"}, NotFoundError, "Campaign 'nobody' was not paused"),
        ({"campaign_name": "Winter"}, NotFoundError, "Campaign 'Winter' was not paused"),
        ({"campaign_name": "For ana@x.yz"}, NotFoundError, "No campaign is called 'For <address>"),
        ({"campaign_id": ""}, ValueError, "campaign_id"),
        ({"campaign_id": "c", "salesblink_conn_id": "nope"}, AirflowNotFoundException, "nope"),
    ],
)
def test_what_fails_says_so_and_goes_on_to_airflow(
    given: dict[str, Any], error: type[Exception], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(error):
        PauseCampaignNotifier(**given).notify({})

    (said,) = alarms(caplog)
    assert reason in said
    assert "ana@" not in caplog.text


def test_a_connection_that_cannot_work_says_so(
    connection: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    connection(password=None)

    with pytest.raises(InvalidConnectionError):
        PauseCampaignNotifier(campaign_id="c").notify({})
    assert "has no API key" in alarms(caplog)[0]


def test_a_template_that_cannot_be_rendered_says_so(dag: DAG, caplog: pytest.LogCaptureFixture) -> None:
    notifier = PauseCampaignNotifier(campaign_id="{{ oops")

    with pytest.raises(Exception, match="campaign_id cannot be rendered as a Jinja template"):
        notifier({"dag": dag})
    assert "Campaign '{{ oops' was not paused" in alarms(caplog)[0]


@pytest.mark.parametrize("given", [{}, {"campaign_id": "a", "campaign_name": "b"}])
def test_both_or_neither_of_id_and_name_is_an_error_when_the_dag_is_read(given: dict[str, str]) -> None:
    with pytest.raises(AirflowFailException, match="exactly one of campaign_id or campaign_name"):
        PauseCampaignNotifier(**given)


@on_both_apis
def test_a_dry_run_pauses_nothing_and_says_so(
    sandbox: Sandbox, campaign: Any, connection: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    connection(extra={"dry_run": True})

    PauseCampaignNotifier(campaign_id=campaign.id).notify({})

    assert not sandbox.campaigns()[0].paused
    assert f"Campaign {campaign.id}: would be paused." in caplog.text


# On an event loop.


async def _longest_gap_while(awaitable: Any) -> float:
    """The longest time for which the loop did nothing else."""
    gaps = [0.0]

    async def tick() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            gaps.append(now - before)
            before = now

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.05)
    await awaitable
    await asyncio.sleep(0.05)
    ticking.cancel()
    return max(gaps)


def _pausing(campaign_id: str) -> Any:
    return PauseCampaignNotifier(campaign_id=campaign_id).async_notify({})


@on_both_apis
def test_a_slow_server_does_not_hold_up_the_loop(api: Api, sandbox: Sandbox, campaign: Any) -> None:
    asyncio.run(_longest_gap_while(_pausing(campaign.id)))  # what is imported once is imported now
    api.fault("campaign-status", "slow", seconds=1.5)

    began = time.monotonic()
    gap = asyncio.run(_longest_gap_while(_pausing(campaign.id)))

    assert time.monotonic() - began >= 1.5
    assert gap < 0.5
    assert sandbox.campaigns()[0].paused


@may_be_awaited
def test_it_can_be_awaited_as_deadline_alerts_do(sandbox: Sandbox, campaign: Any) -> None:
    async def alert() -> None:
        await PauseCampaignNotifier(campaign_id="{{ campaign }}", context={"campaign": campaign.id})

    asyncio.run(alert())

    assert sandbox.campaigns()[0].paused


@may_be_awaited
def test_a_deadline_alerts_own_trigger_pauses_the_campaign(sandbox: Sandbox, campaign: Any) -> None:
    from airflow.triggers.callback import CallbackTrigger

    notifier = f"{PauseCampaignNotifier.__module__}.{PauseCampaignNotifier.__name__}"
    given = {"campaign_id": "{{ dag_run.conf.campaign }}", "context": {"dag_run": {"conf": {"campaign": campaign.id}}}}

    async def alert() -> list[Any]:
        return [event.payload async for event in CallbackTrigger(notifier, given).run()]

    assert [done["state"] for done in asyncio.run(alert())] == ["running", "success"]
    assert sandbox.campaigns()[0].paused


@on_both_apis
@pytest.mark.parametrize(
    ("trouble", "error"),
    [({"kind": "status", "status": 401}, AuthenticationError), ({"kind": "status", "status": 500}, ServerError)],
)
def test_what_fails_on_the_loop_says_so_too(
    trouble: dict[str, Any],
    error: type[Exception],
    api: Api,
    campaign: Any,
    connection: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection(extra={"max_attempts": 1})
    api.fault("campaign-status", times=None, **trouble)

    with pytest.raises(error):
        asyncio.run(_pausing(campaign.id))

    (said,) = alarms(caplog)
    call = re.escape(PAUSED_BY[api.version].format(campaign.id))
    assert re.match(f"Campaign '{campaign.id}' was not paused .*Reason: .*on POST {call}", said)
