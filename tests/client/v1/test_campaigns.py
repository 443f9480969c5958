"""Campaigns on the API v1, where they are sequences: with the words and records of the classic API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.client import (
    InvalidInputError,
    NotFoundError,
    SalesBlinkClient,
    UnreadableResponseError,
)
from airflow_provider_salesblink.sandbox import V1Rules
from tests.client.raw_server import answer
from tests.conftest import HASTE

if TYPE_CHECKING:
    from airflow_provider_salesblink.choices import CampaignState
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Received
    from tests.conftest import CampaignUnderTest

ANA, BO = {"Email": "ana@example.com"}, {"Email": "bo@example.com"}


def sent(sandbox: Sandbox) -> list[tuple[str, str]]:
    """Return method and last part of the path of each write."""
    return [
        (request.method, request.path.rpartition("/")[2]) for request in sandbox.requests if request.method != "GET"
    ]


def test_the_record_of_a_campaign(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    found = client.campaigns.get(campaign.id)

    assert (found["id"], found["name"], found["paused"]) == (campaign.id, "Spring", False)
    assert found["raw"]["lists"] == [each.id for each in sandbox.lists(campaign.id)]
    assert client.campaigns.list()[0]["id"] == campaign.id


def test_all_campaigns_of_all_pages_without_archived_ones(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    known = [sandbox.add_campaign(f"Spring {number}") for number in range(101)]
    client.sequences.archive(sandbox.add_campaign("Old"))

    assert sorted(each["id"] for each in client.campaigns.list()) == sorted(known)


def test_a_search_compares_the_name(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    spring = sandbox.add_campaign("Spring Sale")
    sandbox.add_campaign("Autumn")

    assert [each["id"] for each in client.campaigns.search("spring s")] == [spring]
    assert client.campaigns.search("winter") == []


def test_what_a_search_finds_by_something_else_is_left_out(serve: Serve, new_client: NewClient) -> None:
    found = [{"id": "1", "name": "Spring"}, {"id": "2", "name": "Autumn"}, {"id": "3", "name": None}]
    server = serve(lambda _: [answer({"success": True, "data": found})])

    assert [each["id"] for each in new_client(base_url=server.url).campaigns.search("spring")] == ["1"]


@pytest.mark.parametrize("shown", [{}, {"paused": None}, {"paused": "false"}, {"paused": 1}])
def test_a_state_that_is_not_shown_is_not_guessed(
    serve: Serve, new_client: NewClient, shown: dict[str, object]
) -> None:
    server = serve(lambda _: [answer({"success": True, "data": {"id": "1", "name": 7, **shown}})])

    found = new_client(base_url=server.url).campaigns.get("1")

    assert (found["name"], found["paused"]) == (None, None)


def test_a_campaign_without_an_id_is_unreadable(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({"success": True, "data": [{"name": "Spring"}]})])

    with pytest.raises(UnreadableResponseError, match="has no id"):
        new_client(base_url=server.url).campaigns.list()


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("running", ["Completed", "Needs", "Running"]),
        ("paused", ["Paused"]),
        ("completed", ["Completed"]),
        ("needs-attention", ["Needs"]),
        ("archived", ["Archived"]),
    ],
)
def test_campaigns_in_a_state(
    sandbox: Sandbox, client: SalesBlinkClient, state: CampaignState, names: list[str]
) -> None:
    ids = {name: sandbox.add_campaign(name) for name in ("Running", "Paused", "Completed", "Needs", "Archived")}
    client.campaigns.pause(ids["Paused"])
    sandbox.set_condition(ids["Completed"], "completed")
    sandbox.set_condition(ids["Needs"], "needs-attention")
    client.sequences.archive(ids["Archived"])

    assert sorted(each["name"] or "" for each in client.campaigns.in_state(state)) == names


# Pausing


def test_pausing_is_read_back(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    paused = client.campaigns.pause(campaign.id)

    assert (paused["id"], paused["name"], paused["paused"]) == (campaign.id, "Spring", True)
    assert sandbox.campaigns()[0].paused
    assert [request.body for request in sandbox.requests] == [{"status": "PAUSED"}, None]
    client.campaigns.pause(campaign.id)
    assert sandbox.campaigns()[0].paused


def test_a_campaign_that_does_not_pause_is_an_error(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({"success": True, "data": {"id": "1", "paused": False}})])

    with pytest.raises(UnreadableResponseError, match="accepted the call, but still shows campaign 1 as running"):
        new_client(base_url=server.url).campaigns.pause("1")


def test_a_pause_that_shows_late_is_waited_for(serve: Serve, new_client: NewClient) -> None:
    reads: list[Received] = []

    def script(request: Received) -> list[bytes]:
        if request.method == "GET":
            reads.append(request)
        return [answer({"success": True, "data": {"id": "1", "paused": len(reads) >= 3}})]

    client = new_client(base_url=serve(script).url, policy=replace(HASTE, settling_time=5))

    assert client.campaigns.pause("1")["paused"] is True
    assert len(reads) == 3


def test_a_state_that_is_never_shown_ends_the_wait(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({"success": True, "data": {"id": "1"}})])
    client = new_client(base_url=server.url, policy=replace(HASTE, settling_time=60))

    assert client.campaigns.pause("1")["paused"] is None
    assert client.campaigns.unpause("1")["paused"] is None
    assert [(each.method, each.body) for each in server.requests if each.method != "GET"] == [
        ("POST", {"status": "PAUSED"}),
        ("POST", {"status": "ACTIVE"}),
    ]


@pytest.mark.parametrize("call", ["pause", "unpause"])
def test_a_campaign_that_does_not_exist(sandbox: Sandbox, client: SalesBlinkClient, call: str) -> None:
    sandbox.add_campaign("Spring")

    with pytest.raises(NotFoundError):
        getattr(client.campaigns, call)("nothing")


# Resuming


@pytest.fixture
def paused(sandbox: Sandbox) -> str:
    """A paused campaign with two people."""
    campaign_id = sandbox.add_campaign("Autumn", paused=True)
    for person in (ANA, BO):
        sandbox.add_person(campaign_id, person)
    return campaign_id


def test_resuming_sends_the_status_alone_where_that_is_enough(
    sandbox: Sandbox, client: SalesBlinkClient, paused: str
) -> None:
    resumed = client.campaigns.unpause(paused)

    assert (resumed["id"], resumed["paused"]) == (paused, False)
    assert sent(sandbox) == [("POST", "status")]
    assert sorted(start.email for start in sandbox.started) == [ANA["Email"], BO["Email"]]


def test_resuming_sends_the_patch_only_where_the_status_alone_does_nothing(
    sandbox: Sandbox, client: SalesBlinkClient, paused: str
) -> None:
    sandbox.v1 = V1Rules(active_alone=False, replan_starts_again=True)

    resumed = client.campaigns.unpause(paused)

    assert resumed["paused"] is False
    assert sent(sandbox) == [("POST", "status"), ("PATCH", paused)]
    assert sandbox.requests[-2].body == {"launchTimingMode": "now", "paused": False}
    assert sorted(start.email for start in sandbox.started) == [ANA["Email"], BO["Email"]]


@pytest.mark.parametrize("active_alone", [True, False])
@pytest.mark.parametrize("replan_starts_again", [True, False])
@pytest.mark.parametrize("operation", ["v1.setSequenceStatus", "v1.updateSequence"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["reset", "status"])
def test_resuming_starts_everybody_once_whatever_is_lost(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    paused: str,
    active_alone: bool,
    replan_starts_again: bool,
    operation: str,
    when: str,
    kind: str,
) -> None:
    sandbox.v1 = V1Rules(active_alone=active_alone, replan_starts_again=replan_starts_again)
    sandbox.fault(operation, kind, when=when, status=500)

    assert client.campaigns.unpause(paused)["paused"] is False
    assert sorted(start.email for start in sandbox.started) == [ANA["Email"], BO["Email"]]


@pytest.mark.parametrize("times", [1, 3])
def test_a_campaign_that_runs_is_not_started_again(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, times: int
) -> None:
    sandbox.v1 = V1Rules(replan_starts_again=True)
    sandbox.add_person(campaign.id, ANA)

    for _ in range(times):
        assert client.campaigns.unpause(campaign.id)["paused"] is False

    assert sent(sandbox) == []
    assert len(sandbox.started) == 1


def test_an_archived_campaign_is_not_resumed(sandbox: Sandbox, client: SalesBlinkClient, paused: str) -> None:
    client.sequences.archive(paused)
    before = sent(sandbox)

    with pytest.raises(InvalidInputError, match=f"Campaign {paused} is archived.*nothing was sent. Restore it"):
        client.campaigns.unpause(paused)

    assert sent(sandbox) == before
    assert not sandbox.started


def test_a_campaign_that_does_not_resume_is_an_error(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({"success": True, "data": {"id": "1", "paused": True}})])

    with pytest.raises(UnreadableResponseError, match="still shows campaign 1 as paused"):
        new_client(base_url=server.url).campaigns.unpause("1")
    assert [request.method for request in server.requests if request.method != "GET"] == ["POST", "PATCH"]


@pytest.mark.parametrize("call", ["pause", "unpause"])
def test_a_dry_run_sends_nothing(sandbox: Sandbox, new_client: NewClient, paused: str, call: str) -> None:
    record = getattr(new_client(dry_run=True).campaigns, call)(paused)

    assert (record["id"], record["dry_run"]) == (paused, True)
    assert sent(sandbox) == []
    assert sandbox.campaigns()[0].paused


@pytest.mark.parametrize("campaign_id", ["a/b", "a b", "a?b", "ä"])
def test_an_id_of_any_characters_is_one_part_of_the_path(
    sandbox: Sandbox, client: SalesBlinkClient, campaign_id: str
) -> None:
    sandbox.add_campaign("Spring", id=campaign_id)

    assert client.campaigns.pause(campaign_id)["paused"] is True
    assert client.campaigns.unpause(campaign_id)["id"] == campaign_id
    assert client.campaigns.get(campaign_id)["name"] == "Spring"
