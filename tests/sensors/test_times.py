"""When sensors look, and when they end because nothing came.

``dag.test()`` reschedules as a scheduler does, on both versions, but lets no deferral time out. So a scheduler's own
method is asked here what it reports to a task whose trigger ran too long, and the task is resumed with that.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_salesblink.client import ConnectionFailedError, RateLimitedError
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from airflow_provider_salesblink.sensors.base import SalesBlinkSensor
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

IN_WORKERS = pytest.mark.parametrize("mode", ["poke", "reschedule"])


class LateSensor(CampaignSensor):
    """Is where a deferred task is after its time ran out."""

    def execute(self, context: Any) -> Any:
        return self.resume_execution("__fail__", {"error": words_of_a_scheduler()}, context)


def words_of_a_scheduler() -> str:
    """What this Airflow's scheduler reports to a task whose trigger ran too long."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.taskinstance import TaskInstance  # noqa: TID251
    from airflow.utils.session import create_session

    with create_session() as session:
        task = session.query(TaskInstance).filter(TaskInstance.dag_id == "under_test").first()
        before = {name: getattr(task, name) for name in ("state", "next_method", "next_kwargs", "trigger_timeout")}
        task.state, task.trigger_timeout = "deferred", datetime.now(UTC) - timedelta(minutes=1)
        session.flush()
        SchedulerJobRunner(Job()).check_trigger_timeouts(session=session)
        session.refresh(task)
        assert (task.state, task.next_method) == ("scheduled", "__fail__")
        words = task.next_kwargs["error"]
        for name, value in before.items():
            setattr(task, name, value)
    return str(words)


# A sensor's timeout.


@IN_WORKERS
def test_a_sensors_timeout_uses_no_retries(
    mode: str, campaign: Any, dag: Any, ran: Callable[[], Any], reasons: list[str]
) -> None:
    with dag:
        CampaignSensor(task_id="t", campaign_id=campaign.id, mode=mode, poke_interval=0.02, timeout=0.1)

    assert ran() == ("failed", 1, None)
    assert f"Waited for campaign '{campaign.id}' to be paused. Sensor has timed out" in reasons[0]


@pytest.mark.parametrize(
    ("sensor", "words"),
    [
        (CampaignSensor(task_id="t", campaign_name="For ana@example.com", state="running"),
         "campaign 'For <address>' to be running"),
        (ProspectSensor(task_id="t", campaign_id="c", email="ana@example.com", where={"Stage": "Won"}),
         "the person with that address in campaign 'c', with matching 'Stage'"),
        (ProspectSensor(task_id="t", campaign_id="c", prospect_id="p", unsubscribed=True),
         "prospect 'p' in campaign 'c', unsubscribed"),
    ],
    ids=str,
)  # fmt: skip
def test_a_timeout_says_what_was_waited_for_and_shows_nobody(sensor: SalesBlinkSensor, words: str) -> None:
    with pytest.raises(AirflowSensorTimeout, match=f"^Waited for {words}. It was not met"):
        sensor.timed_out({})


@IN_WORKERS
def test_a_soft_timeout_skips(mode: str, campaign: Any, dag: Any, ran: Callable[[], Any]) -> None:
    with dag:
        CampaignSensor(task_id="t", campaign_id=campaign.id, mode=mode, poke_interval=0.02, timeout=0.1, soft_fail=True)

    assert ran() == ("skipped", 1, None)


def test_a_deferred_sensors_timeout_is_its_triggers(campaign: Any) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        CampaignSensor(task_id="t", campaign_id=campaign.id, timeout=90, poke_interval=7, deferrable=True).execute({})

    assert deferred.value.timeout == timedelta(seconds=90)
    assert deferred.value.trigger.poll_interval == 7


def test_a_deferred_sensors_timeout_uses_no_retries(
    campaign: Any, dag: Any, ran: Callable[[], Any], reasons: list[str]
) -> None:
    with dag:
        LateSensor(task_id="t", campaign_id=campaign.id, timeout=60)

    assert ran() == ("failed", 1, None)
    assert reasons == [
        f"Waited for campaign '{campaign.id}' to be paused. "
        "It was not met within the timeout of 60 s, or within execution_timeout."
    ]


def test_a_deferred_sensors_soft_timeout_skips(campaign: Any, dag: Any, ran: Callable[[], Any]) -> None:
    with dag:
        LateSensor(task_id="t", campaign_id=campaign.id, soft_fail=True)

    assert ran() == ("skipped", 1, None)


@pytest.mark.parametrize("soft_fail", [False, True])
def test_a_trigger_that_broke_is_no_timeout(soft_fail: bool) -> None:
    sensor = CampaignSensor(task_id="t", campaign_id="c", soft_fail=soft_fail)

    with pytest.raises(Exception, match="" if soft_fail else "Trigger failure") as failed:
        sensor.resume_execution("__fail__", {"error": "Trigger failure"}, {})

    assert isinstance(failed.value, AirflowSkipException) == soft_fail
    assert not isinstance(failed.value, AirflowSensorTimeout)


def test_what_may_pass_is_no_soft_failure() -> None:
    # In poke mode Airflow lets such errors through, too.
    sensor = CampaignSensor(task_id="t", campaign_id="c", soft_fail=True)

    with pytest.raises(ConnectionFailedError, match="3 polls in a row"):
        sensor.resume_execution("resume", {"event": {"status": "gave_up", "reason": "3 polls in a row failed."}}, {})


# A server's Retry-After.


def test_no_look_is_taken_before_the_servers_time(
    polls: Polls, sandbox: Sandbox, campaign: Any, way: dict[str, Any], dag: Any, ran: Callable[[], Any]
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", "429", retry_after=1)
    with dag:
        CampaignSensor(task_id="t", campaign_id=campaign.id, **way)

    assert ran()[:2] == ("success", 1)
    first, second = polls.looks[:2]
    assert second.at - first.at >= 1


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ({"retry_after": 1800}, 1800),
        ({"retry_after": 1800, "retry_after_form": "date"}, 1800),
        ({"retry_after": None}, 60),
        ({"retry_after": 3}, 5),
        ({"retry_after": 0}, 5),
    ],
)
def test_the_server_or_else_poke_interval_says_how_long_to_wait(
    polls: Polls, fault: dict[str, Any], seconds: int, sandbox: Sandbox, campaign: Any, slept: list[float]
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", "429", **fault)

    CampaignSensor(task_id="t", campaign_id=campaign.id, poke_interval=5, timeout=3600).execute({})

    assert slept == [pytest.approx(seconds, abs=2 if "retry_after_form" in fault else 0.5)]


def test_a_worker_is_not_held_past_the_timeout_by_a_long_retry_after(
    polls: Polls, campaign: Any, slept: list[float]
) -> None:
    polls.fault("campaigns", "429", retry_after=86400)

    with pytest.raises(AirflowSensorTimeout):
        CampaignSensor(task_id="t", campaign_id=campaign.id, poke_interval=5, timeout=100).execute({})

    assert sum(slept) == pytest.approx(100, abs=6)
    assert len(polls.looks) == 1


def test_a_later_look_is_not_kept_waiting_by_an_earlier_429(polls: Polls, campaign: Any, slept: list[float]) -> None:
    polls.fault("campaigns", "429", retry_after=300)

    with pytest.raises(AirflowSensorTimeout):
        CampaignSensor(task_id="t", campaign_id=campaign.id, poke_interval=100, timeout=550).execute({})

    assert slept == [pytest.approx(300, abs=1), 100, 100, 100]


def test_a_retry_counts_and_waits_from_the_start(
    polls: Polls, sandbox: Sandbox, campaign: Any, slept: list[float]
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", "429", retry_after=300, times=3)
    sensor = CampaignSensor(task_id="t", campaign_id=campaign.id, poke_interval=5, max_consecutive_failures=2)

    with pytest.raises(RateLimitedError):
        sensor.execute({})
    sensor.execute({})

    assert slept == [pytest.approx(300, abs=1)] * 2
