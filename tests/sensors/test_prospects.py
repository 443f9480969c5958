"""Waiting for somebody to be in a campaign, and to be as wished."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_salesblink.operators.prospects import AddProspectOperator
from airflow_provider_salesblink.sandbox import Shapes, V1Rules
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

ALERTS = {"email": ["oncall@example.com"], "email_on_failure": True, "email_on_retry": True}


def dag_with_alerts() -> DAG:
    return DAG("alerts", schedule=None, start_date=datetime(2026, 1, 1), default_args=ALERTS)  # noqa: DTZ001


@pytest.fixture
def ana(sandbox: Sandbox, campaign: Any) -> str:
    sandbox.add_person(sandbox.add_campaign("Winter"), {"Email": "ana@example.com", "Stage": "Won"}, unsubscribed=True)
    return sandbox.add_person(campaign.id, {"Email": "ana@example.com", "Stage": "Lost", "Score": "9"})


@pytest.mark.parametrize(
    ("wished", "is_so"),
    [
        ({}, True),
        ({"where": {}}, True),
        ({"where": {"Stage": "Lost"}}, True),
        ({"where": {"Stage": "Won"}}, False),
        ({"where": {"Stage": {"in": ["Won", "Lost"]}}}, True),
        ({"where": {"Score": {"gte": 10}}}, False),
        ({"where": {"Stage": "Lost", "Reply": {"exists": True}}}, False),
        ({"unsubscribed": False}, True),
        ({"unsubscribed": True}, False),
    ],
)
@pytest.mark.parametrize("by", ["email", "prospect_id"])
def test_the_person_must_be_as_wished_in_this_campaign(
    by: str, wished: dict[str, Any], is_so: bool, ana: str, campaign: Any
) -> None:
    who = {"email": "ANA@example.com"} if by == "email" else {"prospect_id": ana}

    seen = ProspectSensor(task_id="t", campaign_id=campaign.id, **who, **wished).poke({})

    found = {"outcome": "found", "prospect_id": ana, "campaign_id": campaign.id, "unsubscribed": False}
    assert bool(seen) == is_so
    assert seen.xcom_value == (found if is_so else None)


@pytest.mark.apis("v1")
@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("open", "opened"), ("click", "clicked"), ("reply", "replied"), ("bounce", "bounced"),
        ("unsubscribe", "unsubscribed"),
    ],
)  # fmt: skip
def test_a_state_in_the_campaign_is_waited_for(
    event: str, status: str, ana: str, sandbox: Sandbox, campaign: Any
) -> None:
    sensor = ProspectSensor(task_id="t", campaign_id=campaign.id, prospect_id=ana, where={"status": status})
    any_of = ProspectSensor(
        task_id="u", campaign_id=campaign.id, email="ana@example.com", where={"status": {"in": ["x", status]}}
    )

    assert not sensor.poke({})
    assert not any_of.poke({})
    sandbox.happen(event, to=ana)
    assert sensor.poke({}).xcom_value["prospect_id"] == ana
    assert any_of.poke({})


@pytest.mark.apis("v1")
def test_the_first_states_in_the_campaign_are_waited_for(sandbox: Sandbox) -> None:
    campaign = sandbox.add_campaign("Summer", paused=True)
    ana = sandbox.add_person(campaign, {"Email": "ana@example.com"})

    def seen(status: Any) -> bool:
        sensor = ProspectSensor(task_id="t", campaign_id=campaign, prospect_id=ana, where={"status": status})
        return bool(sensor.poke({}))

    assert seen({"exists": False}), "whether a campaign that never ran shows states is not documented"
    sandbox.v1 = V1Rules(unran_lists_leads=True)
    assert seen("not_contacted")
    sandbox.happen("unpause", to=campaign)
    assert seen("contacted")
    assert not seen("not_contacted")


@pytest.mark.parametrize("column", ["status", "Status"])
def test_a_column_of_the_persons_own_is_never_taken_for_the_state(
    column: str, api: Api, sandbox: Sandbox, campaign: Any
) -> None:
    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com", column: "replied"})

    seen = ProspectSensor(task_id="t", campaign_id=campaign.id, prospect_id=ana, where={column: "replied"}).poke({})

    # On the classic API, it is a column as any other.
    assert bool(seen) is not api.is_v1


@pytest.mark.apis("v1")
def test_an_opt_out_that_is_still_open_is_waited_for(sandbox: Sandbox) -> None:
    campaign = sandbox.add_campaign("Summer", paused=True)
    ana = sandbox.add_person(campaign, {"Email": "ana@example.com"})
    opted_out, not_opted_out = (
        ProspectSensor(task_id=f"t{number}", campaign_id=campaign, prospect_id=ana, unsubscribed=bool(number))
        for number in (1, 0)
    )

    assert not opted_out.poke({})
    assert not not_opted_out.poke({})
    sandbox.happen("unpause", to=campaign)
    assert not_opted_out.poke({})
    assert not opted_out.poke({})
    sandbox.happen("unsubscribe", to=ana)
    assert opted_out.poke({}).xcom_value["unsubscribed"] is True


@pytest.mark.usefixtures("ana")
@pytest.mark.parametrize("who", [{"email": "ben@example.com"}, {"prospect_id": "nobody"}])
def test_somebody_who_is_not_there_yet_is_waited_for(who: dict[str, str], campaign: Any) -> None:
    assert not ProspectSensor(task_id="t", campaign_id=campaign.id, **who).poke({})


@pytest.mark.apis("classic")  # v1 shows it in time.
def test_an_untold_opt_out_matters_only_to_those_who_ask_for_it(sandbox: Sandbox, ana: str, campaign: Any) -> None:
    sandbox.shapes = Shapes(state="none")
    indifferent = ProspectSensor(task_id="t", campaign_id=campaign.id, prospect_id=ana)
    sensor = ProspectSensor(task_id="u", campaign_id=campaign.id, prospect_id=ana, unsubscribed=False)

    assert indifferent.poke({}).xcom_value["unsubscribed"] is None
    with pytest.raises(AirflowFailException, match=r"prospect has unsubscribed.*Fields in its answer: .*Stage"):
        sensor.poke({})


def test_everything_that_says_what_to_wait_for_is_templated(
    polls: Polls, campaign: Any, way: dict[str, Any], run_dag: Callable[..., Any], dag: Any
) -> None:
    dag.params["who"] = "ana@example.com"
    with dag:
        add = AddProspectOperator(
            task_id="add", campaign_id=campaign.id, data={"Email": "ana@example.com", "Stage": "Won", "Run": "manual"}
        )
        added = "ti.xcom_pull(task_ids='add')"
        by_id = ProspectSensor(
            task_id="by_id",
            campaign_id=f"{{{{ {added}['campaign_id'] }}}}",
            prospect_id=f"{{{{ {added}['prospect_id'] }}}}",
            where={"Stage": {"in": ["{{ 'Won' }}"]}, "Run": "{{ run_id.partition('__')[0] }}"},
            **way,
        )
        by_address = ProspectSensor(
            task_id="by_address",
            campaign_id=campaign.id,
            email="{{ params.who }}",
            salesblink_conn_id="salesblink_{{ 'default' }}",
            **way,
        )
        add >> [by_id, by_address]

    assert run_dag(dag).state == "success"
    assert {request.path for request in polls.looks[-2:]} == {polls.of_people(campaign.id)}


def test_many_people_are_waited_for_by_mapping_in_a_dag_with_alerts(
    sandbox: Sandbox, campaign: Any, way: dict[str, Any], run_dag: Callable[..., Any]
) -> None:
    people = [sandbox.add_person(campaign.id, {"Email": f"{name}@example.com"}) for name in ("ana", "ben", "oncall")]
    with dag_with_alerts() as dag:
        ProspectSensor.partial(task_id="by_email", campaign_id=campaign.id, **way).expand(
            email=["ana@example.com", "{{ 'ben' }}@example.com"]
        )
        ProspectSensor.partial(task_id="by_id", campaign_id=campaign.id, **way).expand(prospect_id=people[:2])

    run = run_dag(dag)

    assert run.state == "success"
    (task, *_) = run.get_task_instances()
    for task_id in ("by_email", "by_id"):
        found = [task.xcom_pull(task_ids=task_id, map_indexes=number)["prospect_id"] for number in range(2)]
        assert found == people[:2]


def test_nobody_is_mailed_by_airflow_when_the_task_fails() -> None:
    with dag_with_alerts():
        made = ProspectSensor(task_id="t", campaign_id="c", email="ana@example.com", email_on_failure=True)
        mapped = ProspectSensor.partial(task_id="m", campaign_id="c", email="ana@example.com").expand(
            salesblink_conn_id=["a", "b"]
        )

    assert made.email == "ana@example.com"
    assert (made.email_on_failure, made.email_on_retry) == (False, False)
    assert (mapped.partial_kwargs["email_on_failure"], mapped.partial_kwargs["email_on_retry"]) == (False, False)


def test_the_recipient_of_alerts_is_not_taken_for_the_person() -> None:
    with dag_with_alerts():
        made = ProspectSensor(task_id="t", campaign_id="c", prospect_id="p")
        nobody = ProspectSensor(task_id="u", campaign_id="c")
        mapped = ProspectSensor.partial(task_id="m", campaign_id="c").expand(prospect_id=["p"])

    assert made.email is None
    assert mapped.partial_kwargs.get("email") is None
    with pytest.raises(AirflowFailException, match="exactly one of prospect_id or email; got neither"):
        nobody.poke({})
