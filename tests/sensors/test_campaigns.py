"""Waiting for a campaign to be paused, or running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_salesblink.operators.campaigns import PauseCampaignOperator
from airflow_provider_salesblink.sandbox import Shapes
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)


@pytest.mark.parametrize("shape", ["paused", "pause", "status"])
@pytest.mark.parametrize(
    ("state", "paused", "is_so"),
    [("paused", True, True), ("paused", False, False), ("running", False, True), ("running", True, False)],
)
def test_each_state_differs_from_the_other(shape: Any, state: Any, paused: bool, is_so: bool, sandbox: Sandbox) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=paused)
    sandbox.add_campaign("Winter", paused=not paused)
    sandbox.shapes = Shapes(state=shape)

    seen = CampaignSensor(task_id="t", campaign_id=campaign_id, state=state).poke({})

    assert bool(seen) == is_so
    assert seen.xcom_value == ({"outcome": state, "campaign_id": campaign_id} if is_so else None)


def test_a_name_means_the_campaign_that_has_it_in_full(sandbox: Sandbox) -> None:
    sandbox.add_campaign("Spring sale", paused=True)
    spring = sandbox.add_campaign("Spring")
    sensor = CampaignSensor(task_id="t", campaign_name="Spring")

    assert not sensor.poke({})
    sandbox.happen("pause", to=spring)
    assert sensor.poke({}).xcom_value["campaign_id"] == spring


@pytest.mark.parametrize("argument", ["campaign_id", "campaign_name", "salesblink_conn_id"])
def test_what_says_which_campaign_is_templated(argument: str) -> None:
    assert argument in CampaignSensor.template_fields


def test_the_campaign_may_come_from_another_task_or_a_parameter(
    campaign: Any, way: dict[str, Any], run_dag: Callable[..., Any], dag: Any
) -> None:
    dag.params["campaign"] = campaign.name
    with dag:
        pause = PauseCampaignOperator(task_id="pause", campaign_id=campaign.id)
        sensor = CampaignSensor(
            task_id="by_id", campaign_id="{{ ti.xcom_pull(task_ids='pause')['campaign_id'] }}", **way
        )
        named = CampaignSensor(
            task_id="by_name",
            campaign_name="{{ params.campaign }}",
            salesblink_conn_id="salesblink_{{ 'default' }}",
            **way,
        )
        pause >> [sensor, named]

    assert run_dag(dag).state == "success"


def test_many_campaigns_are_waited_for_by_mapping(
    sandbox: Sandbox, way: dict[str, Any], run_dag: Callable[..., Any], dag: Any
) -> None:
    ids = [sandbox.add_campaign(f"Spring {number}", paused=number < 2) for number in range(3)]
    with dag:
        CampaignSensor.partial(task_id="t", timeout=0 if "deferrable" not in way else 60, **way).expand(
            campaign_id=ids[:2]
        )

    run = run_dag(dag)

    assert run.state == "success"
    (task, _) = run.get_task_instances()
    found = [task.xcom_pull(task_ids="t", map_indexes=number) for number in range(2)]
    assert found == [{"outcome": "paused", "campaign_id": campaign_id} for campaign_id in ids[:2]]


def test_a_mapped_sensor_may_differ_in_the_state(campaign: Any, run_dag: Callable[..., Any], dag: Any) -> None:
    with dag:
        CampaignSensor.partial(task_id="t", campaign_id=campaign.id, timeout=0).expand(state=["running", "paused"])

    states = {task.map_index: task.state for task in run_dag(dag).get_task_instances()}

    assert states == {0: "success", 1: "failed"}


def test_a_state_that_never_comes_is_looked_for_every_poke_interval(
    polls: Polls, campaign: Any, slept: list[float]
) -> None:
    with pytest.raises(AirflowSensorTimeout):
        CampaignSensor(task_id="t", campaign_id=campaign.id, poke_interval=20, timeout=50).execute({})

    assert slept == [20, 20, 20]
    assert len(polls.looks) == 4


def test_a_campaign_named_after_a_person_does_not_leak_the_address() -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    with pytest.raises(AirflowFailException, match="none called 'For <address>"):
        CampaignSensor(task_id="t", campaign_name="For ana@example.com").poke({})
