"""Prospects on the API v1, where they are leads on lists: with the words and records of the classic API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    SalesBlinkClient,
    UnsupportedByApiError,
)
from airflow_provider_salesblink.loading.add_person import add_person
from airflow_provider_salesblink.sandbox import V1Rules
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Received
    from tests.conftest import CampaignUnderTest

EMAIL = "ana@example.com"
ANA = {"Email": EMAIL, "First Name": "Ana"}
BO = {"Email": "bo@example.com"}


def emails(prospects: Any) -> list[str]:
    return [each["email"] for each in prospects]


@pytest.fixture
def list_id(sandbox: Sandbox, campaign: CampaignUnderTest) -> str:
    """The list of the campaign."""
    return sandbox.lists(campaign.id)[0].id


# Searching


def test_a_search_finds_each_lead_with_its_campaigns(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, list_id: str
) -> None:
    autumn = sandbox.add_campaign("Autumn", paused=True, lists=[list_id])
    unused = sandbox.add_list("Unused")
    first, second = sandbox.add_lead(list_id, ANA), sandbox.add_lead(unused, ANA)
    sandbox.add_lead(list_id, BO)

    found = client.prospects.search("ANA@example.com")

    assert {(each["id"], each["campaign_id"]) for each in found} == {
        (first, campaign.id),
        (first, autumn),
        (second, None),
    }
    assert {each["unsubscribed"] for each in found} == {False}
    assert found[0]["fields"]["First Name"] == "Ana"
    assert found[0]["raw"]["list_id"] in (list_id, unused)


def test_nobody_is_found(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    sandbox.add_person(campaign.id, BO)

    assert client.prospects.search(EMAIL) == []
    assert client.prospects.in_campaign(campaign.id, EMAIL) == []


@pytest.mark.parametrize("archived_leads", ["left_out", "included"])
@pytest.mark.parametrize("is_archived", [True, False])
def test_archived_leads_are_found_once(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    campaign: CampaignUnderTest,
    list_id: str,
    archived_leads: Any,
    is_archived: bool,
) -> None:
    sandbox.v1 = V1Rules(archived_leads=archived_leads)
    ana = sandbox.add_lead(list_id, ANA, archived=is_archived)

    for found in (
        client.prospects.search(EMAIL),
        client.prospects.list(campaign.id),
        client.prospects.in_campaign(campaign.id, EMAIL),
        client.prospects.look_up(campaign.id, EMAIL).in_campaign,
    ):
        assert [each["id"] for each in found] == [ana]


def test_leads_on_archived_lists_are_found(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    old = sandbox.add_list("Old")
    ana = sandbox.add_lead(old, ANA)
    client.lists.archive(old)

    assert [(each["id"], each["campaign_id"]) for each in client.prospects.search(EMAIL)] == [(ana, None)]


@pytest.mark.parametrize("stored", ["Ana@Example.com", "ana@example.com", "ANA@EXAMPLE.COM"])
def test_any_spelling_of_an_address_is_found(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, stored: str
) -> None:
    ana = sandbox.add_person(campaign.id, {"Email": stored})

    for asked in ("ana@example.com", "Ana@EXAMPLE.com"):
        assert [each["id"] for each in client.prospects.in_campaign(campaign.id, asked)] == [ana]


def test_who_only_has_the_address_as_a_name_is_somebody_else(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    sandbox.add_person(campaign.id, {"Email": "bo@example.com", "First Name": EMAIL})
    sandbox.add_person(campaign.id, {"Email": f"x{EMAIL}"})

    assert client.prospects.in_campaign(campaign.id, EMAIL) == []


@pytest.mark.parametrize("lists_in_listing", [True, False])
def test_a_campaign_is_found_if_the_listing_leaves_its_lists_out(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, lists_in_listing: bool
) -> None:
    sandbox.v1 = V1Rules(lists_in_listing=lists_in_listing)
    sandbox.add_person(campaign.id, ANA)

    assert [each["campaign_id"] for each in client.prospects.search(EMAIL)] == [campaign.id]


def test_who_was_mailed_and_is_on_no_list_any_more_is_in_the_campaign(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    ana = sandbox.add_person(campaign.id, ANA)
    client.leads.move(ana, sandbox.add_list("Elsewhere"))
    sandbox.add_person(sandbox.add_campaign("Autumn"), BO)

    assert [each["id"] for each in client.prospects.in_campaign(campaign.id, EMAIL)] == [ana]
    assert client.prospects.in_campaign(campaign.id, BO["Email"]) == []


# One prospect


def test_one_prospect(sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest) -> None:
    ana = sandbox.add_person(campaign.id, {**ANA, "Job Title": "CTO"})
    sandbox.add_person(sandbox.add_campaign("Autumn"), ANA)

    found = client.prospects.get(ana)

    assert (found["id"], found["email"], found["campaign_id"]) == (ana, EMAIL, campaign.id)
    assert found["fields"]["Job Title"] == "CTO"
    assert found["unsubscribed"] is False
    with pytest.raises(NotFoundError):
        client.prospects.get("nothing")


def test_a_prospect_without_an_address_is_shown_as_it_is(serve: Serve, new_client: NewClient) -> None:
    server = serve(lambda _: [answer({"success": True, "data": [], "lead": {"id": "p1", "first_name": "Ana"}})])

    found = new_client(base_url=server.url).prospects.get("p1")

    assert (found["id"], found["email"], found["campaign_id"], found["unsubscribed"]) == ("p1", None, None, None)
    assert found["fields"] == {"First Name": "Ana"}
    assert len(server.requests) == 1


# Everybody in a campaign


@pytest.mark.parametrize("unran_lists_leads", [True, False])
@pytest.mark.parametrize("paused", [True, False])
def test_the_people_of_a_campaign_are_those_of_its_sequence_and_its_lists(
    sandbox: Sandbox, client: SalesBlinkClient, paused: bool, unran_lists_leads: bool
) -> None:
    sandbox.v1 = V1Rules(unran_lists_leads=unran_lists_leads)
    lists = [sandbox.add_list("First"), sandbox.add_list("Second")]
    campaign_id = sandbox.add_campaign("Spring", paused=paused, lists=lists)
    sandbox.add_lead(lists[0], ANA)
    sandbox.add_lead(lists[1], BO)

    assert sorted(emails(client.prospects.list(campaign_id))) == [EMAIL, BO["Email"]]
    assert {each["campaign_id"] for each in client.prospects.list(campaign_id)} == {campaign_id}


def test_who_left_the_list_is_in_the_campaign_while_it_has_tasks_for_them(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    ana = sandbox.add_person(campaign.id, ANA)
    sandbox.add_person(campaign.id, BO)
    client.leads.move(ana, sandbox.add_list("Elsewhere"))

    found = {each["email"]: each for each in client.prospects.list(campaign.id)}

    assert found.keys() == {EMAIL, BO["Email"]}
    assert (found[EMAIL]["id"], found[EMAIL]["fields"]["First Name"]) == (ana, "Ana")


def test_a_person_on_two_lists_of_a_campaign_is_one(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    lists = [sandbox.add_list("First"), sandbox.add_list("Second")]
    campaign_id = sandbox.add_campaign("Spring", paused=True, lists=lists)
    for list_id, email in zip(lists, (EMAIL, "Ana@Example.com"), strict=True):
        sandbox.add_lead(list_id, {"Email": email})

    assert len(client.prospects.list(campaign_id)) == 1


def test_the_lead_that_the_sequence_mails_is_the_one(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    lists = [sandbox.add_list("First"), sandbox.add_list("Second")]
    campaign_id = sandbox.add_campaign("Spring", lists=[lists[1]])
    mailed = sandbox.add_lead(lists[1], ANA)
    client.campaigns.pause(campaign_id)
    client.sequences.update(campaign_id, lists=lists)
    sandbox.add_lead(lists[0], ANA)

    (found,) = client.prospects.list(campaign_id)

    assert (found["id"], found["fields"]["status"]) == (mailed, "contacted")


@pytest.mark.parametrize(
    ("message", "status"),
    [("Opened", "opened"), ("Clicked", "clicked"), ("Replied", "replied"), ("Bounced", "bounced")],
)
def test_the_status_is_the_one_in_the_sequence(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, message: str, status: str
) -> None:
    ana = sandbox.add_person(campaign.id, {**ANA, "Status": "VIP"})
    event = next(each for each in sandbox.events if each.lead_id == ana)
    sandbox.add_event(message, lead_id=ana, sequence_id=event.sequence_id)

    (found,) = client.prospects.list(campaign.id)

    assert found["fields"]["status"] == status
    assert found["unsubscribed"] is False


def test_a_column_named_status_is_not_taken_for_the_state(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    campaign_id = sandbox.add_campaign("Spring", paused=True)
    sandbox.add_person(campaign_id, {**ANA, "Status": "unsubscribed"})

    (found,) = client.prospects.list(campaign_id)

    assert found["fields"]["status"] is None
    assert found["unsubscribed"] is None


@pytest.mark.parametrize("many", [0, 1, 100, 101, 250])
def test_long_lists_are_complete(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, many: int
) -> None:
    people = [f"p{number}@example.com" for number in range(many)]
    for email in people:
        sandbox.add_person(campaign.id, {"Email": email})

    assert emails(client.prospects.list(campaign.id)) == people


def test_the_leads_of_a_list_are_read_as_they_are_needed(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, list_id: str
) -> None:
    for number in range(250):
        sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"})

    assert next(client.prospects.each(campaign.id))["email"] == "p0@example.com"
    assert sum(f"/lists/{list_id}/leads" in request.path for request in sandbox.requests) == 1


def test_a_campaign_that_does_not_exist(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    sandbox.add_campaign("Spring")

    with pytest.raises(NotFoundError):
        client.prospects.list("nothing")


# Changing


def test_an_update_is_one_patch_with_all_fields(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    ana = sandbox.add_person(campaign.id, ANA)

    record = client.prospects.update(ana, {"Company": "Northwind", "Job Title": "CTO", "Size": 7})

    (request,) = sandbox.requests
    assert (request.method, request.path.rpartition("v1.0.0")[2]) == ("PATCH", f"/leads/{ana}")
    assert request.body == {"company_name": "Northwind", "job_title": "CTO", "size": "7"}
    assert (record["id"], record["fields"]["Company"]) == (ana, "Northwind")


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"First Name": "Ana", "Company": "Northwind", "Job Title": "CTO"}, {"job_title": "CTO"}),
        ({"First Name": "Anna", "Company": "Southwind"}, {"first_name": "Anna", "company_name": "Southwind"}),
        ({"First Name": "Ana", "Company": "Northwind"}, None),
    ],
)
def test_only_the_fields_that_differ_are_sent_in_one_patch(
    sandbox: Sandbox,
    new_client: NewClient,
    campaign: CampaignUnderTest,
    tmp_path: Path,
    fields: dict[str, str],
    sent: dict[str, str] | None,
) -> None:
    sandbox.add_person(campaign.id, {**ANA, "Company": "Northwind"})
    client = new_client(pacing_url=f"file://{tmp_path}/shared.sqlite")

    outcome, _ = add_person(client, campaign.id, {"Email": EMAIL, **fields}, on_existing="update")

    assert outcome == ("updated" if sent else "unchanged")
    assert [each.body for each in sandbox.requests if each.method != "GET"] == ([sent] if sent else [])


@pytest.mark.parametrize("call", ["get", "update", "unsubscribe"])
def test_a_lead_s_id_with_a_slash_is_one_part_of_the_path(
    sandbox: Sandbox, client: SalesBlinkClient, list_id: str, call: str
) -> None:
    ana = sandbox.add_lead(list_id, ANA, id="a/b?c")
    arguments = [{"Company": "Northwind"}] if call == "update" else []

    assert getattr(client.prospects, call)(ana, *arguments)["id"] == ana
    assert any("/leads/a%2Fb%3Fc" in request.path for request in sandbox.requests)


def test_an_update_of_nobody_is_not_found(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    with pytest.raises(NotFoundError):
        client.prospects.update("nothing", {"Company": "Northwind"})
    assert len(sandbox.requests) >= 1


def test_an_update_in_a_dry_run(sandbox: Sandbox, new_client: NewClient) -> None:
    record = new_client(dry_run=True).prospects.update("p1", {"Company": "Northwind"})

    assert (record["id"], record.get("dry_run")) == ("p1", True)
    assert sandbox.requests == []


# Adding: what is refused before anything is sent


def test_a_person_cannot_be_enrolled_a_second_time(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    with pytest.raises(UnsupportedByApiError, match=r"Use on_existing='skip' or 'update'\. Nothing was sent") as caught:
        client.prospects.add(campaign.id, BO, ignore_ids=["p1"])
    assert caught.value.permanent
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "data", [{}, {"First Name": "Bo"}, {"Email": "no address"}, {"Email": "bo@example.com", "since": {1}}]
)
def test_who_cannot_be_added_is_refused_before_anything_is_sent(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, data: dict[str, Any]
) -> None:
    for add, given in ((client.prospects.add, data), (client.prospects.send, [data])):
        with pytest.raises(InvalidInputError):
            add(campaign.id, given)
    assert sandbox.requests == []


def test_a_client_that_must_not_add_adds_nobody(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    client = new_client(adds_refused="Not on this machine.")

    for add, given in ((client.prospects.add, BO), (client.prospects.send, [BO])):
        with pytest.raises(InvalidInputError, match="Not on this machine"):
            add(campaign.id, given)
    assert sandbox.requests == []


# The team


def test_the_members_of_the_team(sandbox: Sandbox, client: SalesBlinkClient) -> None:
    members = client.team.list()

    assert [(each["name"], each["email"]) for each in members] == [
        (each["raw"]["name"].removesuffix(" (Me)"), each["raw"]["email"]) for each in members
    ]
    assert not any("(Me)" in (each["name"] or "") for each in members)
    assert any("(Me)" in each["raw"]["name"] for each in members)
    assert len(sandbox.requests) == 1


def test_a_key_that_sees_nobody_is_not_allowed_to_see_the_team(sandbox: Sandbox, new_client: NewClient) -> None:
    with pytest.raises(PermissionDeniedError, match="shows them to owners, administrators and clients only") as caught:
        new_client(api_key=sandbox.member_key).team.list()
    assert caught.value.permanent


@pytest.mark.parametrize("user", [{}, {"name": None, "email": 7}])
def test_a_member_who_is_not_shown_is_none(serve: Serve, new_client: NewClient, user: dict[str, Any]) -> None:
    def script(_: Received) -> list[bytes]:
        return [answer({"success": True, "data": [{"id": "u1", **user}]})]

    (member,) = new_client(base_url=serve(script).url).team.list()

    assert (member["name"], member["email"], member["raw"]["id"]) == (None, None, "u1")
