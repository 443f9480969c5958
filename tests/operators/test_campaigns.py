"""Operators for campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_salesblink.operators.campaigns import (
    GetCampaignOperator,
    ListCampaignsOperator,
    PauseCampaignOperator,
    SearchCampaignsOperator,
    UnpauseCampaignOperator,
)
from airflow_provider_salesblink.sandbox import Shapes
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox

pytestmark = pytest.mark.apis(*BOTH)


def test_pausing_stops_a_campaign_and_says_which(sandbox: Sandbox) -> None:
    campaign_id = sandbox.add_campaign("Spring")

    result = PauseCampaignOperator(task_id="t", campaign_id=campaign_id).execute({})

    assert result == {"outcome": "paused", "campaign_id": campaign_id}
    assert sandbox.campaigns()[0].paused


def test_unpausing_lets_it_go_on(sandbox: Sandbox) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=True)

    result = UnpauseCampaignOperator(task_id="t", campaign_id=campaign_id).execute({})

    assert result == {"outcome": "unpaused", "campaign_id": campaign_id}
    assert not sandbox.campaigns()[0].paused


def test_a_pause_that_fails_says_that_the_campaign_may_go_on(
    connection: Callable[..., None], task_log: Callable[[], list[str]]
) -> None:
    connection(password="wrong-key")

    with pytest.raises(AirflowFailException, match="refused the key"):
        PauseCampaignOperator(task_id="t", campaign_id="spring").execute({})
    assert task_log() == ["The campaign may still be running: pausing it may have failed."]

    with pytest.raises(AirflowFailException, match="refused the key"):
        UnpauseCampaignOperator(task_id="t", campaign_id="spring").execute({})
    assert len(task_log()) == 1


def test_a_tasks_log_shows_its_outcome_in_one_line(sandbox: Sandbox, task_log: Callable[[], list[str]]) -> None:
    sandbox.add_campaign("Spring", id="spring")

    ListCampaignsOperator(task_id="t").execute({})
    GetCampaignOperator(task_id="t", campaign_id="spring").execute({})

    assert task_log() == [
        "Outcome: found, count 1, campaigns 1.",
        "Outcome: found, campaign_id spring, name Spring, paused False.",
    ]


def test_pausing_twice_is_pausing_once(sandbox: Sandbox) -> None:
    campaign_id = sandbox.add_campaign("Spring")
    operator = PauseCampaignOperator(task_id="t", campaign_id=campaign_id)

    assert operator.execute({}) == operator.execute({})


def test_a_name_means_the_one_campaign_that_has_it_in_full(sandbox: Sandbox) -> None:
    sandbox.add_campaign("Spring sale")
    spring = sandbox.add_campaign("Spring")

    result = PauseCampaignOperator(task_id="t", campaign_name="Spring").execute({})

    assert result["campaign_id"] == spring
    assert [campaign.id for campaign in sandbox.campaigns() if campaign.paused] == [spring]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["Summer"], "No campaign is called 'Spring'. Pass its full name, or its id."),
        (["Spring sale"], "No campaign is called 'Spring'; similar: 'Spring sale'."),
        (["spring"], "No campaign is called 'Spring'; similar: 'spring'."),
        (["Spring", "Spring"], "2 campaigns are called 'Spring': "),
    ],
)
def test_a_name_of_no_campaign_or_of_two_stops_before_anything_is_sent(
    names: list[str], sentence: str, sandbox: Sandbox, writes: Callable[[], list[Any]]
) -> None:
    for name in names:
        sandbox.add_campaign(name)

    with pytest.raises(AirflowFailException) as refused:
        PauseCampaignOperator(task_id="t", campaign_name="Spring").execute({})

    assert sentence in str(refused.value)
    assert writes() == []


@pytest.mark.parametrize("given", [{}, {"campaign_id": "a", "campaign_name": "b"}])
@pytest.mark.parametrize("operator", [PauseCampaignOperator, UnpauseCampaignOperator])
def test_both_or_neither_of_id_and_name_is_an_error_before_anything_is_sent(
    operator: type[PauseCampaignOperator], given: dict[str, str], sandbox: Sandbox
) -> None:
    with pytest.raises(AirflowFailException, match="exactly one of campaign_id or campaign_name"):
        operator(task_id="t", **given).execute({})

    assert not sandbox.requests


@pytest.mark.parametrize("campaign_id", ["", "  ", 7.0, True, "..", "a\nb"])
def test_an_id_that_is_none_is_an_error_before_anything_is_sent(campaign_id: Any, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="campaign_id"):
        PauseCampaignOperator(task_id="t", campaign_id=campaign_id).execute({})

    assert not sandbox.requests


def test_an_unknown_campaign_fails_the_task_for_good() -> None:
    with pytest.raises(
        AirflowFailException, match=r"404 on POST /api/(campaign-status|public/v1\.0\.0/sequences/nobody/status)"
    ):
        PauseCampaignOperator(task_id="t", campaign_id="nobody").execute({})


def test_the_campaigns_come_with_ids_names_and_states(sandbox: Sandbox) -> None:
    spring = sandbox.add_campaign("Spring")
    winter = sandbox.add_campaign("Winter", paused=True)

    result = ListCampaignsOperator(task_id="t").execute({})

    assert (result["outcome"], result["count"]) == ("found", 2)
    # The two APIs list them in different orders.
    assert sorted(result["campaigns"], key=lambda campaign: campaign["name"]) == [
        {"id": spring, "name": "Spring", "paused": False},
        {"id": winter, "name": "Winter", "paused": True},
    ]


def test_a_search_finds_parts_of_names(sandbox: Sandbox) -> None:
    sandbox.add_campaign("Winter")
    spring = sandbox.add_campaign("Spring sale")

    result = SearchCampaignsOperator(task_id="t", term="spring").execute({})

    assert [found["id"] for found in result["campaigns"]] == [spring]


def test_a_search_without_a_hit_is_a_success() -> None:
    assert SearchCampaignsOperator(task_id="t", term="x").execute({}) == {
        "outcome": "found",
        "count": 0,
        "campaigns": [],
    }


def test_one_campaign_is_looked_at_by_id(sandbox: Sandbox) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=True)

    assert GetCampaignOperator(task_id="t", campaign_id=campaign_id).execute({}) == {
        "outcome": "found",
        "campaign_id": campaign_id,
        "name": "Spring",
        "paused": True,
    }


# Shapes are those of the classic API.
@pytest.mark.apis("classic")
def test_a_state_that_salesblink_does_not_return_is_not_guessed(sandbox: Sandbox) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=True)
    sandbox.shapes = Shapes(state="none")

    assert GetCampaignOperator(task_id="t", campaign_id=campaign_id).execute({})["paused"] is None


def test_a_campaign_named_after_a_person_does_not_leak_the_address(sandbox: Sandbox) -> None:
    sandbox.add_campaign("For ana@example.com")

    (campaign,) = ListCampaignsOperator(task_id="t").execute({})["campaigns"]

    assert campaign["name"] == "For <address>"


def test_a_dry_run_changes_nothing_and_says_so(
    sandbox: Sandbox, connection: Callable[..., None], writes: Callable[[], list[Any]]
) -> None:
    connection(extra={"dry_run": True})
    campaign_id = sandbox.add_campaign("Spring")

    result = PauseCampaignOperator(task_id="t", campaign_name="Spring").execute({})

    assert result == {"outcome": "dry_run", "would_be": "paused", "campaign_id": campaign_id}
    assert writes() == []
