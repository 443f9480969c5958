"""What waits for people in a triggerer, without knowing their addresses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_salesblink.sandbox import Shapes
from airflow_provider_salesblink.sensors.prospects import ProspectSensor
from airflow_provider_salesblink.triggers.prospects import ProspectTrigger
from tests.apis import BOTH
from tests.triggers.running import USUAL, made_again, result_of, stored

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

ADDRESS = "Ana@example.com"


def deferred(**arguments: Any) -> Any:
    """The trigger for which a sensor is deferred."""
    with pytest.raises(TaskDeferred) as raised:
        ProspectSensor(
            task_id="t", deferrable=True, poke_interval=0.02, max_consecutive_failures=1, **arguments
        ).execute({})
    return raised.value.trigger


@pytest.fixture
def ana(sandbox: Sandbox, campaign: Any) -> str:
    sandbox.add_person(campaign.id, {"Email": "ben@example.com", "Stage": "Lost"}, unsubscribed=True)
    return sandbox.add_person(campaign.id, {"Email": "ana@example.com", "Stage": "Won", "Score": "7"})


@pytest.mark.parametrize("who", ["email", "prospect_id"])
def test_it_ends_when_the_person_is_so(who: str, ana: str, campaign: Any) -> None:
    meant = {"email": ADDRESS} if who == "email" else {"prospect_id": ana}
    where = {"Stage": {"in": ("Won", "Lost")}, "Score": {"gte": 5, "exists": True}}

    ended = result_of(made_again(deferred(campaign_id=campaign.id, where=where, unsubscribed=False, **meant)))

    found = {"outcome": "found", "prospect_id": ana, "campaign_id": campaign.id, "unsubscribed": False}
    assert ended == {"status": "met", "found": found}


@pytest.mark.apis("classic")  # v1 shows it in time.
def test_an_untold_opt_out_is_hopeless_for_those_who_ask_for_it(sandbox: Sandbox, ana: str, campaign: Any) -> None:
    sandbox.shapes = Shapes(state="none")

    ended = result_of(ProspectTrigger(campaign_id=campaign.id, prospect_id=ana, unsubscribed=True, **USUAL))

    assert ended["status"] == "hopeless"
    assert "Fields in its answer: Email, Score, Stage, campaignID, prospectID." in ended["reason"]


def test_an_unknown_campaign_is_hopeless() -> None:
    ended = result_of(ProspectTrigger(campaign_id="a/b", prospect_id="p", **USUAL))

    assert ended["status"] == "hopeless"
    assert "404 on GET " in ended["reason"]


@pytest.mark.parametrize("who", [{"prospect_id": "p"}, {"who": "00" * 16}])
@pytest.mark.parametrize(
    "wished", [{}, {"unsubscribed": True}, {"where": {"A": "b", "C": {"in": ["d", 1], "exists": True, "gte": 1.5}}}]
)
def test_airflow_can_store_it(who: dict[str, str], wished: dict[str, Any]) -> None:
    trigger = ProspectTrigger(campaign_id="c", **who, **wished, **USUAL)

    again = made_again(trigger)

    nothing = {"prospect_id": None, "who": None, "where": None, "unsubscribed": None}
    assert isinstance(again, ProspectTrigger)
    assert again.serialize() == trigger.serialize()
    assert again.serialize()[1] == {**nothing, "campaign_id": "c", **who, **wished, **USUAL}


@pytest.mark.usefixtures("ana")
@pytest.mark.parametrize(
    "fault", [None, {"kind": "status", "status": 503}, {"kind": "status", "status": 401}, {"kind": "cut"}]
)
def test_the_address_is_in_nothing_that_airflow_keeps_or_shows(
    polls: Polls,
    fault: dict[str, Any] | None,
    campaign: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault:
        polls.fault("prospects", **fault)
    trigger = deferred(campaign_id=campaign.id, email=ADDRESS)

    ended = result_of(trigger)

    assert ended["status"] == ("met" if fault is None else "hopeless" if fault.get("status") == 401 else "gave_up")
    assert caplog.records
    printed = capfd.readouterr()
    shown = [repr(trigger), str(trigger), ended, stored(trigger).kwargs, caplog.text, printed.out, printed.err]
    assert [each for each in map(str, shown) if "@" in each or "%40" in each] == []
    assert repr(trigger) == "<ProspectTrigger on salesblink_default>"
