"""What all sensors share: poke, reschedule and deferrable mode end alike, and what would never come ends at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseHook

from airflow_provider_salesblink.sandbox import Shapes
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

SECONDS = 0.02
UNTOLD = {"shapes": Shapes(state="none")}


# What comes.


def test_what_is_there_already_is_found_at_the_first_look(
    polls: Polls, sandbox: Sandbox, campaign: Any, way: dict[str, Any], dag: Any, ran: Callable[[], Any]
) -> None:
    sandbox.happen("pause", to=campaign.id)
    with dag:
        CampaignSensor(task_id="t", campaign_id=campaign.id, **{**way, "poke_interval": 1})

    assert ran() == ("success", 1, {"outcome": "paused", "campaign_id": campaign.id})
    assert len(polls.looks) == 1


def test_a_campaign_is_waited_for(
    polls: Polls,
    sandbox: Sandbox,
    campaign: Any,
    way: Any,
    dag: Any,
    ran: Callable[[], Any],
    meanwhile: Callable[..., None],
) -> None:
    with dag:
        CampaignSensor(task_id="t", campaign_name="Spring", **way)
    meanwhile(lambda: sandbox.happen("pause", to=campaign.id))

    assert ran() == ("success", 1, {"outcome": "paused", "campaign_id": campaign.id})
    assert {(request.method, request.path) for request in polls.looks} == {("GET", polls.of_campaigns)}


def test_a_person_is_waited_for(
    polls: Polls,
    sandbox: Sandbox,
    campaign: Any,
    way: Any,
    dag: Any,
    ran: Callable[[], Any],
    meanwhile: Callable[..., None],
) -> None:
    ana = sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    sandbox.add_person(campaign.id, {"Email": "ben@example.com", "Replied": "2026"})
    with dag:
        ProspectSensor(
            task_id="t", campaign_id=campaign.id, email="Ana@example.com ", where={"Replied": {"exists": True}}, **way
        )
    meanwhile(lambda: sandbox.happen("reply", to=ana))

    found = {"outcome": "found", "prospect_id": ana, "campaign_id": campaign.id, "unsubscribed": False}
    assert ran() == ("success", 1, found)
    assert {request.path for request in polls.looks} == {polls.of_people(campaign.id)}


# What would never come.


WRONG_KEY = {"connection": {"password": "not-the-key"}}
WRONG_EXTRA = {"connection": {"extra": {"reads_per_hour": 1}}}
SPRING = {"campaign_id": "spring"}
COMPLETED = {**SPRING, "state": "completed"}
ANA = {"campaign_id": "spring", "email": "ana@example.com"}
HOPELESS = {
    "key": (CampaignSensor, SPRING, WRONG_KEY, "refused the key of connection 'salesblink_default'"),
    "key, of people": (ProspectSensor, ANA, WRONG_KEY, "refused the key of connection 'salesblink_default'"),
    "extra": (CampaignSensor, SPRING, WRONG_EXTRA, "Connection 'salesblink_default': unknown extra 'reads_per_hour'"),
    "connection": (CampaignSensor, {**SPRING, "salesblink_conn_id": "nope"}, {}, "There is no connection 'nope'"),
    "id": (CampaignSensor, {"campaign_id": "x/y"}, {}, "has none with the id 'x/y'"),
    "id, of people": (ProspectSensor, {**ANA, "campaign_id": "x/y"}, {}, "404 on GET "),
    "name": (CampaignSensor, {"campaign_name": "spring"}, {}, "has none called 'spring'"),
    "names": (
        CampaignSensor, {"campaign_name": "Spring"}, {"twice": True}, "2 campaigns are called 'Spring': "),
}  # fmt: skip
ON_CLASSIC = {
    # On v1, campaigns always show whether they are paused, and people show in time whether they opted out.
    "state": (CampaignSensor, SPRING, UNTOLD, "Fields in its answer: campaignID, name."),
    "opt-out": (ProspectSensor, {**ANA, "unsubscribed": True}, UNTOLD, "Fields in its answer: Company, Email, "),
    "state of v1": (CampaignSensor, COMPLETED, {}, "The state 'completed' exists on SalesBlink's API v1 only."),
}
ON_V1 = {
    "id": (CampaignSensor, {**COMPLETED, "campaign_id": "x/y"}, {}, "has none with the id 'x/y'"),
    "name": (CampaignSensor, {"campaign_name": "spring", "state": "archived"}, {}, "has none called 'spring'"),
    "names": (
        CampaignSensor, {"campaign_name": "Spring", "state": "completed"}, {"twice": True}, "are called 'Spring': "),
}  # fmt: skip


@pytest.fixture
def ends_at_once(
    sandbox: Sandbox,
    connection: Callable[..., None],
    way: dict[str, Any],
    dag: Any,
    ran: Callable[[], Any],
    reasons: list[str],
) -> Callable[..., None]:
    def ends_at_once(sensor: Any, arguments: dict[str, Any], world: dict[str, Any], sentence: str) -> None:
        sandbox.add_person(sandbox.add_campaign("Spring", id="spring"), {"Email": "ana@example.com", "Company": "Acme"})
        if "twice" in world:
            sandbox.add_campaign("Spring", id="s2")
        sandbox.shapes = world.get("shapes", Shapes())
        connection(**world.get("connection", {}))
        with dag:
            sensor(task_id="t", **arguments, **{**way, "poke_interval": 1})

        assert ran() == ("failed", 1, None)
        (reason,) = reasons
        assert sentence in reason
        assert "@" not in reason

    return ends_at_once


@pytest.mark.parametrize("case", HOPELESS.values(), ids=HOPELESS)
def test_what_would_never_come_ends_the_task_at_once(
    case: tuple[Any, ...], polls: Polls, ends_at_once: Callable[..., None]
) -> None:
    ends_at_once(*case)

    assert len(polls.looks) <= 1


@pytest.mark.apis("classic")
@pytest.mark.parametrize("case", ON_CLASSIC.values(), ids=ON_CLASSIC)
def test_what_would_never_come_on_the_classic_api(
    case: tuple[Any, ...], sandbox: Sandbox, ends_at_once: Callable[..., None]
) -> None:
    ends_at_once(*case)

    assert len(sandbox.requests) == (case[1] is not COMPLETED)


@pytest.mark.apis("v1")
@pytest.mark.parametrize("case", ON_V1.values(), ids=ON_V1)
def test_what_would_never_come_on_v1(
    case: tuple[Any, ...], sandbox: Sandbox, ends_at_once: Callable[..., None]
) -> None:
    ends_at_once(*case)

    # The campaigns in the state, all of them, and again those in the state.
    assert len(sandbox.requests) <= 3


@pytest.mark.parametrize("arguments", [{"campaign_id": "nobody"}, {}])
def test_a_soft_failure_skips_the_task(
    arguments: dict[str, Any], way: dict[str, Any], dag: Any, ran: Callable[[], Any]
) -> None:
    with dag:
        CampaignSensor(task_id="t", soft_fail=True, **arguments, **way)

    assert ran() == ("skipped", 1, None)


def test_a_sensor_that_never_fails_skips_a_task_whose_arguments_are_wrong() -> None:
    for deferrable in (False, True):
        with pytest.raises(AirflowSkipException):
            CampaignSensor(task_id="t", never_fail=True, deferrable=deferrable).execute({})


@pytest.mark.parametrize(
    ("sensor", "arguments", "sentence"),
    [
        (CampaignSensor, {}, "exactly one of campaign_id or campaign_name; got neither"),
        (CampaignSensor, {"campaign_id": "a", "campaign_name": "b"}, "campaign_id or campaign_name; got both"),
        (CampaignSensor, {"campaign_id": ""}, "campaign_id is empty"),
        (CampaignSensor, {"campaign_id": "None"}, "campaign_id is the text 'None'"),
        (CampaignSensor, {"campaign_id": "ana@example.com"}, "campaign_id contains an @"),
        (CampaignSensor, {"campaign_name": 7.5}, "campaign_name is a float"),
        (ProspectSensor, {}, "exactly one of prospect_id or email; got neither"),
        (
            ProspectSensor,
            {"prospect_id": "p", "email": "a@example.com"},
            "exactly one of prospect_id or email; got both",
        ),
        (ProspectSensor, {"prospect_id": "ana@example.com"}, "prospect_id contains an @"),
        (ProspectSensor, {"prospect_id": True}, "prospect_id is a bool"),
        (ProspectSensor, {"email": "ana"}, "email is not an e-mail address"),
        (ProspectSensor, {"prospect_id": "p", "campaign_id": ".."}, "campaign_id is not an id"),
        (ProspectSensor, {"prospect_id": "p", "where": "{'A': 'b'}"}, "where is a text, but not the JSON"),
        (ProspectSensor, {"prospect_id": "p", "where": ""}, "where is a text, but not the JSON"),
        (ProspectSensor, {"prospect_id": "p", "where": [1]}, "where is a list"),
        (ProspectSensor, {"prospect_id": "p", "where": {"A": None}}, "where['A'] is a NoneType"),
        (ProspectSensor, {"prospect_id": "p", "where": {"A": {"lt": 1}}}, "where['A'] has no test"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("deferrable", [False, True])
def test_arguments_that_cannot_be_right_are_errors_before_anything_is_sent(
    sandbox: Sandbox, sensor: Any, arguments: dict[str, Any], sentence: str, deferrable: bool
) -> None:
    usual = {"campaign_id": "spring"} if sensor is ProspectSensor else {}

    with pytest.raises(AirflowFailException) as refused:
        sensor(task_id="t", deferrable=deferrable, **{**usual, **arguments}).execute({})

    assert sentence in str(refused.value)
    assert "@example" not in str(refused.value)
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("sensor", "arguments", "sentence"),
    [
        (CampaignSensor, {"state": "stopped"}, "state is 'stopped'; it takes 'paused', 'running'"),
        (CampaignSensor, {"max_consecutive_failures": 0}, "max_consecutive_failures is 0"),
        (ProspectSensor, {"campaign_id": "c", "unsubscribed": "yes"}, "unsubscribed is 'yes'"),
    ],
)
def test_what_is_no_template_is_checked_when_the_dag_is_read(
    sensor: Any, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        sensor(task_id="t", **arguments)


# What fails in passing.


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 503}, {"kind": "reset"}, {"kind": "html"}, {"kind": "429", "retry_after": 0}],
    ids=lambda fault: str(fault["kind"]),
)
def test_what_fails_in_passing_does_not_end_the_wait(
    polls: Polls,
    fault: dict[str, Any],
    sandbox: Sandbox,
    campaign: Any,
    way: dict[str, Any],
    dag: Any,
    ran: Callable[[], Any],
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", times=2, **fault)
    with dag:
        CampaignSensor(task_id="t", campaign_id=campaign.id, max_consecutive_failures=3, **way)

    assert ran()[:2] == ("success", 1)
    assert [bool(request.fault) for request in polls.looks[:3]] == [True, True, False]


def test_too_many_failures_in_a_row_use_the_tasks_retries(
    polls: Polls,
    sandbox: Sandbox,
    campaign: Any,
    way: dict[str, Any],
    dag: Any,
    ran: Callable[[], Any],
    reasons: list[str],
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", "status", status=503, times=3)
    with dag:
        CampaignSensor(task_id="t", campaign_id=campaign.id, max_consecutive_failures=2, **way)

    # A reschedule does not remember what failed before it.
    rescheduled = way.get("mode") == "reschedule"
    assert ran()[:2] == ("success", 1 if rescheduled else 2)
    assert [f"503 on GET {polls.of_campaigns}" in reason for reason in reasons] == ([] if rescheduled else [True])


def test_a_reschedule_goes_on_after_any_failure(
    polls: Polls, sandbox: Sandbox, campaign: Any, dag: Any, ran: Callable[[], Any]
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", "reset")
    with dag:
        CampaignSensor(
            task_id="t",
            campaign_id=campaign.id,
            mode="reschedule",
            poke_interval=SECONDS,
            max_consecutive_failures=1,
        )

    assert ran()[:2] == ("success", 1)


def test_only_failures_in_a_row_count(
    polls: Polls,
    sandbox: Sandbox,
    campaign: Any,
    way: Any,
    dag: Any,
    ran: Callable[[], Any],
    meanwhile: Callable[..., None],
) -> None:
    for _ in range(3):
        polls.fault("campaigns", "status", status=503)
        polls.fault("campaigns", "slow", seconds=0)
    with dag:
        CampaignSensor(task_id="t", campaign_id=campaign.id, max_consecutive_failures=2, **way)
    meanwhile(lambda: sandbox.happen("pause", to=campaign.id), after_looks=6)

    assert ran()[:2] == ("success", 1)


# How it is chosen to wait in the triggerer.


def test_airflows_own_setting_makes_sensors_deferrable() -> None:
    code = (
        "from airflow_provider_salesblink.sensors.campaigns import CampaignSensor as S;"
        "print([S(task_id='t').deferrable, S(task_id='u', deferrable=False).deferrable])"
    )
    environment = {**os.environ, "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"}

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[True, False]"


def test_a_sensor_asks_nothing_when_it_defers(sandbox: Sandbox, campaign: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import TaskDeferred

    monkeypatch.setattr(BaseHook, "get_connection", lambda *_: pytest.fail("The triggerer fetches the connection."))

    with pytest.raises(TaskDeferred) as deferred:
        CampaignSensor(task_id="t", campaign_id=campaign.id, deferrable=True).execute({})

    assert deferred.value.method_name == "resume"
    assert not sandbox.requests
