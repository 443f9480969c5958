"""``soft_fail``, ``never_fail``, ``silent_fail`` and ``exponential_backoff`` mean the same in every mode."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from tests.apis import BOTH
from tests.sensors.conftest import WAYS
from tests.sensors.test_times import LateSensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

HOPELESS = {
    "an unknown campaign": (CampaignSensor, {"campaign_id": "nobody"}),
    "a wrong key": (CampaignSensor, {"campaign_id": "spring"}),
    "wrong arguments": (CampaignSensor, {}),
    "a wrong test": (ProspectSensor, {"campaign_id": "spring", "prospect_id": "p", "where": {"Stage": {"lt": 1}}}),
    "no connection": (CampaignSensor, {"campaign_id": "spring", "salesblink_conn_id": "nope"}),
    "a broken connection": (CampaignSensor, {"campaign_id": "spring"}),
}
BROKEN = {"a wrong key": {"password": "not-the-key"}, "a broken connection": {"extra": {"reads": 1}}}
FLAGS: dict[str, dict[str, Any]] = {
    "none": {}, "soft": {"soft_fail": True}, "never": {"never_fail": True}, "silent": {"silent_fail": True},
    "silent and never": {"silent_fail": True, "never_fail": True},
    "silent and soft": {"silent_fail": True, "soft_fail": True},
}  # fmt: skip
SKIPS = ("soft", "never", "silent and never", "silent and soft")
# Airflow's flags see only how a wait ends, which is the same on both APIs (test_base.py): one API is enough for so many
# combinations.
ONE_API = pytest.mark.apis("classic")


@ONE_API
@pytest.mark.parametrize(
    ("cause", "flag"),
    [*(("an unknown campaign", flag) for flag in FLAGS), *((cause, "silent and never") for cause in HOPELESS)],
)
def test_what_would_never_come(
    cause: str,
    flag: str,
    sandbox: Sandbox,
    connection: Callable[..., None],
    way: dict[str, Any],
    dag: Any,
    ran: Callable[[], Any],
) -> None:
    sandbox.add_campaign("Spring", id="spring")
    connection(**BROKEN.get(cause, {}))
    sensor, arguments = HOPELESS[cause]
    with dag:
        sensor(task_id="t", timeout=60, **arguments, **FLAGS[flag], **way)

    assert ran() == ("skipped" if flag in SKIPS else "failed", 1, None)


@ONE_API
@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("mode", WAYS)
def test_a_timeout(mode: str, flag: str, campaign: Any, dag: Any, ran: Callable[[], Any]) -> None:
    # What is deferred is resumed with the words of the scheduler; the other modes come to it by themselves.
    with dag:
        if mode == "deferrable":
            LateSensor(task_id="t", campaign_id=campaign.id, timeout=60, **FLAGS[flag])
        else:
            CampaignSensor(
                task_id="t", campaign_id=campaign.id, mode=mode, poke_interval=0.02, timeout=0.1, **FLAGS[flag]
            )

    assert ran() == ("skipped" if flag in SKIPS else "failed", 1, None)


@ONE_API
@pytest.mark.parametrize(
    ("flag", "state"),
    [
        ("none", "failed"), ("soft", "failed"), ("never", "skipped"), ("silent", "success"),
        ("silent and never", "success"), ("silent and soft", "success"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["poke", "deferrable"])
@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "reset"}], ids=["503", "reset"])
def test_more_passing_failures_than_may_be(
    polls: Polls,
    fault: dict[str, Any],
    mode: str,
    flag: str,
    state: str,
    sandbox: Sandbox,
    campaign: Any,
    dag: Any,
    ran: Callable[[], Any],
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", times=4, **fault)
    with dag:
        CampaignSensor(
            task_id="t", campaign_id=campaign.id, max_consecutive_failures=2, retries=0, poke_interval=0.02, timeout=60,
            **WAYS[mode], **FLAGS[flag],
        )  # fmt: skip

    assert ran()[:2] == (state, 1)


@pytest.mark.parametrize(("flag", "state"), [("none", "failed"), ("never", "skipped"), ("silent", "failed")])
def test_failures_that_last_end_a_rescheduled_wait_by_its_timeout(
    polls: Polls, flag: str, state: str, campaign: Any, dag: Any, ran: Callable[[], Any]
) -> None:
    polls.fault("campaigns", "status", status=503, times=None)
    with dag:
        CampaignSensor(
            task_id="t", campaign_id=campaign.id, mode="reschedule", poke_interval=0.02, timeout=0.2, **FLAGS[flag]
        )

    assert ran() == (state, 1, None)


def test_a_trigger_that_broke_skips_what_never_fails() -> None:
    sensor = CampaignSensor(task_id="t", campaign_id="c", never_fail=True)

    with pytest.raises(AirflowSkipException):
        sensor.resume_execution("__fail__", {"error": "Trigger failure"}, {})


def test_a_skip_says_why() -> None:
    sensor = CampaignSensor(task_id="t", campaign_id="c", never_fail=True)

    with pytest.raises(AirflowSkipException, match=r"never_fail is set: 3 polls in a row failed\."):
        sensor.resume_execution("resume", {"event": {"status": "gave_up", "reason": "3 polls in a row failed."}}, {})


# How often it is looked.


def deferred(**arguments: Any) -> Any:
    """The trigger of a sensor that is deferred."""
    with pytest.raises(TaskDeferred) as deferred:
        CampaignSensor(task_id="t", campaign_id="c", deferrable=True, **arguments).execute({})
    return deferred.value.trigger


def test_a_deferred_sensor_backs_off_as_it_would_in_a_worker() -> None:
    before = time.time()
    trigger = deferred(poke_interval=20, timeout=900, exponential_backoff=True, max_wait=timedelta(minutes=5))

    assert trigger.poll_interval == 20
    assert trigger.backoff.pop("began") == pytest.approx(before, abs=5)
    assert trigger.backoff == {"timeout": 900, "longest": 300}


def test_without_it_the_interval_stays() -> None:
    trigger = deferred(poke_interval=20, max_wait=300)

    assert trigger.backoff is None
    assert "backoff" not in trigger.serialize()[1]


def test_a_deferred_sensor_looks_less_and_less_often(
    polls: Polls, sandbox: Sandbox, campaign: Any, dag: Any, ran: Callable[[], Any], meanwhile: Callable[..., None]
) -> None:
    with dag:
        CampaignSensor(
            task_id="t", campaign_id=campaign.id, deferrable=True, poke_interval=0.02, timeout=900,
            exponential_backoff=True,
        )  # fmt: skip
    meanwhile(lambda: sandbox.happen("pause", to=campaign.id), after_looks=3)

    assert ran() == ("success", 1, {"outcome": "paused", "campaign_id": campaign.id})
    looks = [request.at for request in polls.looks]
    # Airflow's formula has one second as the least; a look each 0.02 s would be the interval as it was given.
    assert min(later - earlier for earlier, later in pairwise(looks)) > 0.85
