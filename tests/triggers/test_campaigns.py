"""What waits for campaigns in a triggerer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Shapes
from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger
from tests.apis import BOTH
from tests.triggers.running import USUAL, event_of, made_again, result_of

if TYPE_CHECKING:
    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)


@pytest.mark.parametrize("which", ["campaign_id", "campaign_name"])
@pytest.mark.parametrize("state", ["paused", "running"])
def test_it_ends_when_the_campaign_is_so(which: str, state: Any, sandbox: Sandbox) -> None:
    sandbox.add_campaign("Other", paused=state != "paused")
    campaign_id = sandbox.add_campaign("Spring", paused=state == "paused")
    meant = {"campaign_id": campaign_id} if which == "campaign_id" else {"campaign_name": "Spring"}

    ended = result_of(CampaignTrigger(state=state, **meant, **USUAL))

    assert ended == {"status": "met", "found": {"outcome": state, "campaign_id": campaign_id}}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"campaign_id": "nobody"}, "none with the id 'nobody'"),
        ({"campaign_name": "For ana@example.com"}, "none called 'For <address>"),
        ({"campaign_name": "Spring"}, "2 campaigns are called 'Spring': "),
    ],
)
def test_which_campaign_must_be_clear(arguments: dict[str, str], sentence: str, sandbox: Sandbox) -> None:
    for number in (1, 2):
        sandbox.add_campaign("Spring", id=f"s{number}")

    ended = result_of(CampaignTrigger(state="paused", **arguments, **USUAL))

    assert ended["status"] == "hopeless"
    assert sentence in ended["reason"]


@pytest.mark.apis("classic")  # v1 always shows it.
def test_an_unknown_state_is_hopeless(sandbox: Sandbox, campaign: Any) -> None:
    sandbox.shapes = Shapes(state="none")

    ended = result_of(CampaignTrigger(state="paused", campaign_id=campaign.id, **USUAL))

    assert ended["status"] == "hopeless"
    assert "Fields in its answer: campaignID, name." in ended["reason"]


@pytest.mark.apis("v1")
@pytest.mark.parametrize("which", ["campaign_id", "campaign_name"])
@pytest.mark.parametrize("state", ["completed", "needs-attention", "archived"])
def test_it_ends_when_the_campaign_is_in_a_state_of_v1(
    which: str, state: Any, polls: Polls, sandbox: Sandbox, client: SalesBlinkClient
) -> None:
    campaign_id, other = sandbox.add_campaign("Spring"), sandbox.add_campaign("Other")
    meant = {"campaign_id": campaign_id} if which == "campaign_id" else {"campaign_name": "Spring"}

    def reach(state: Any, campaign_id: str) -> None:
        if state == "archived":
            client.sequences.archive(campaign_id)
        else:
            sandbox.set_condition(campaign_id, state)

    async def triggerer() -> Any:
        waiting = asyncio.create_task(event_of(made_again(CampaignTrigger(state=state, **meant, **USUAL))))
        reach(state, other)
        while len(polls.looks) < 6:  # noqa: ASYNC110  # the sandbox is in another thread
            await asyncio.sleep(0.002)
        assert not waiting.done()
        reach(state, campaign_id)
        return await waiting

    assert asyncio.run(triggerer()) == {"status": "met", "found": {"outcome": state, "campaign_id": campaign_id}}


@pytest.mark.parametrize("arguments", [{"campaign_id": "c"}, {"campaign_name": "Spring"}])
def test_airflow_can_store_it(arguments: dict[str, str]) -> None:
    trigger = CampaignTrigger(state="running", **arguments, **USUAL)

    again = made_again(trigger)

    assert isinstance(again, CampaignTrigger)
    assert again.serialize() == trigger.serialize()
    assert again.serialize()[1] == {
        "campaign_id": None,
        "campaign_name": None,
        "state": "running",
        **arguments,
        **USUAL,
    }


def test_it_shows_no_more_than_its_connection() -> None:
    trigger = CampaignTrigger(state="running", campaign_name="For ana@example.com", **USUAL)

    assert repr(trigger) == "<CampaignTrigger on salesblink_default>"
