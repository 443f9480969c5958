"""Opt-outs on the API v1: unsubscribing everywhere, and reading who opted out from leads and from the blocklist."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    InvalidInputError,
    NotFoundError,
    SalesBlinkClient,
    UnreadableResponseError,
)
from airflow_provider_salesblink.loading.add_person import add_person
from airflow_provider_salesblink.sandbox import V1Rules
from tests.client.raw_server import answer
from tests.conftest import HASTE

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Received
    from tests.conftest import CampaignUnderTest

EMAIL = "ana@example.com"
ANA = {"Email": EMAIL}

every_check = pytest.mark.parametrize("check_shape", ["data", "bare", "blocked", "exists", "array"])
every_blocklist = pytest.mark.parametrize("blocklist_shape", ["data", "entries", "data.data"])


@pytest.fixture
def twice(sandbox: Sandbox, campaign: CampaignUnderTest) -> list[str]:
    """The ids of the two leads of a person who is on the lists of two campaigns."""
    other = sandbox.add_campaign("Autumn")
    return [sandbox.add_person(each, ANA) for each in (campaign.id, other)]


def unsubscribes(sandbox: Sandbox) -> list[str]:
    """Return the ids of the leads that were unsubscribed."""
    return [request.path.split("/")[-2] for request in sandbox.requests if request.method == "POST"]


# Unsubscribing


@every_check
@every_blocklist
def test_all_leads_of_a_person_are_unsubscribed_and_the_blocklist_is_read(
    sandbox: Sandbox, client: SalesBlinkClient, twice: list[str], check_shape: Any, blocklist_shape: Any
) -> None:
    sandbox.v1 = V1Rules(check_shape=check_shape, blocklist_shape=blocklist_shape)

    record = client.prospects.unsubscribe(twice[1])

    assert sorted(unsubscribes(sandbox)) == sorted(twice)
    assert unsubscribes(sandbox)[0] == twice[1]
    assert [person.unsubscribed for person in sandbox.people()] == [True, True]
    assert (record["id"], record["email"], record["unsubscribed"]) == (twice[1], EMAIL, True)
    assert record["raw"]["lead_ids"] == [twice[1], twice[0]]
    assert sandbox.blocked() == [EMAIL]


def test_other_people_and_archived_leads(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    list_id = sandbox.lists(campaign.id)[0].id
    ana = sandbox.add_lead(list_id, ANA)
    archived = sandbox.add_lead(sandbox.add_list("Old"), {"Email": "Ana@Example.com"}, archived=True)
    # The search of a list looks into names, too.
    sandbox.add_lead(list_id, {"Email": "ana@example.com.au", "First Name": EMAIL})

    client.prospects.unsubscribe(ana)

    assert sorted(unsubscribes(sandbox)) == sorted([ana, archived])


def test_a_second_unsubscribe_changes_nothing(sandbox: Sandbox, client: SalesBlinkClient, twice: list[str]) -> None:
    assert client.prospects.unsubscribe(twice[0]) == client.prospects.unsubscribe(twice[0])
    assert sandbox.blocked() == [EMAIL]


def test_an_unknown_id_is_not_found(sandbox: Sandbox, client: SalesBlinkClient, twice: list[str]) -> None:
    with pytest.raises(NotFoundError):
        client.prospects.unsubscribe("nothing")
    assert unsubscribes(sandbox) == []
    assert not any(person.unsubscribed for person in sandbox.people())
    assert twice


def test_a_lead_that_disappears_meanwhile_does_not_stop_the_others(serve: Serve, new_client: NewClient) -> None:
    leads = [{"id": lead_id, "email": EMAIL} for lead_id in ("p1", "p2", "p3")]

    def script(request: Received) -> list[bytes]:
        if "/leads/p1/activity" in request.target:
            return [answer({"success": True, "data": [], "lead": leads[0]})]
        if request.method == "POST":
            return [answer({}, "404 Not Found") if "/p2/" in request.target else answer({"success": True})]
        if "/lists" in request.target:
            return [answer({"success": True, "data": leads if "/leads" in request.target else [{"id": "l1"}]})]
        return [answer({"success": True, "data": {"blocked": True}})]

    server = serve(script)

    record = new_client(base_url=server.url).prospects.unsubscribe("p1")

    assert record["unsubscribed"] is True
    assert [request.target.split("/")[-2] for request in server.sent("POST")] == ["p1", "p2", "p3"]


def test_a_blocklist_that_shows_the_address_late_is_waited_for(
    sandbox: Sandbox, new_client: NewClient, twice: list[str]
) -> None:
    sandbox.v1 = V1Rules(blocklist_delay=0.5)
    client = new_client(policy=replace(HASTE, settling_time=10, backoff=0.1))

    assert client.prospects.unsubscribe(twice[0])["unsubscribed"] is True
    assert len(unsubscribes(sandbox)) == 2


def test_a_blocklist_without_the_address_is_an_error(
    sandbox: Sandbox, client: SalesBlinkClient, twice: list[str]
) -> None:
    sandbox.v1 = V1Rules(blocklist_delay=3600)

    with pytest.raises(UnreadableResponseError, match="accepted the unsubscribe, but its blocklist does not show"):
        client.prospects.unsubscribe(twice[0])
    assert len(unsubscribes(sandbox)) == 2


def test_a_blocklist_that_cannot_be_read_is_none_and_logged(
    serve: Serve, new_client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    def script(request: Received) -> list[bytes]:
        if request.target.endswith("/p1/unsubscribe"):
            return [answer({"success": True})]
        if "/leads/p1/activity" in request.target:
            return [answer({"success": True, "data": [], "lead": {"id": "p1", "email": EMAIL}})]
        return [answer({"success": True, "data": {"what": 1}} if "unsubscribe" in request.target else [])]

    record = new_client(base_url=serve(script).url).prospects.unsubscribe("p1")

    assert record["unsubscribed"] is None
    assert "Its answers do not show whether the blocklist has it" in caplog.text


def test_a_dry_run_unsubscribes_nobody(sandbox: Sandbox, new_client: NewClient, twice: list[str]) -> None:
    record = new_client(dry_run=True).prospects.unsubscribe(twice[0])

    assert (record["id"], record.get("dry_run")) == (twice[0], True)
    assert unsubscribes(sandbox) == []
    assert sandbox.blocked() == []


# Reading


@every_check
@every_blocklist
@pytest.mark.parametrize("entry", [None, EMAIL, "example.com"])
@pytest.mark.parametrize("check_domain", [True, False])
def test_an_opt_out_is_read_from_the_blocklist(
    sandbox: Sandbox,
    client: SalesBlinkClient,
    campaign: CampaignUnderTest,
    check_shape: Any,
    blocklist_shape: Any,
    entry: str | None,
    check_domain: bool,
) -> None:
    sandbox.v1 = V1Rules(check_shape=check_shape, blocklist_shape=blocklist_shape, check_domain=check_domain)
    ana = sandbox.add_person(campaign.id, ANA)
    sandbox.block("bo@example.com", "example.com.au")
    if entry:
        sandbox.block(entry)

    expected = entry is not None
    assert client.prospects.search(EMAIL)[0]["unsubscribed"] is expected
    assert client.prospects.get(ana)["unsubscribed"] is expected
    assert client.prospects.look_up(campaign.id, EMAIL).opted_out is expected
    assert client.prospects.opted_out_elsewhere(campaign.id, EMAIL) is expected


@every_check
def test_somebody_who_is_no_lead_can_be_blocked(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest, check_shape: Any
) -> None:
    sandbox.v1 = V1Rules(check_shape=check_shape)
    sandbox.block("Ana@Example.com")

    found = client.prospects.look_up(campaign.id, "ANA@example.com")

    assert (list(found.everywhere), list(found.in_campaign), found.opted_out) == ([], [], True)


@pytest.mark.parametrize("answered", [{"data": {"what": 1}}, {"data": None}, {"data": "no"}, {}])
def test_what_no_answer_shows_is_none_and_nobody_is_added(
    sandbox: Sandbox, serve: Serve, new_client: NewClient, tmp_path: Path, answered: dict[str, Any]
) -> None:
    def script(request: Received) -> list[bytes]:
        if "/unsubscribe" in request.target:
            return [answer({"success": True, **answered}) if "check" in request.target else answer({"what": 1})]
        if request.target.endswith("/sequences/s1"):
            return [answer({"success": True, "data": {"id": "s1", "lists": ["l1"]}})]
        return [answer([]) if "activity" not in request.target else answer({}, "404 Not Found")]

    server = serve(script)
    client = new_client(base_url=server.url, pacing_url=f"file://{tmp_path}/shared.sqlite")

    assert client.prospects.look_up("s1", EMAIL).opted_out is None
    with pytest.raises(InvalidInputError, match=r"does not say whether they opted out; nothing was sent"):
        add_person(client, "s1", ANA)
    assert server.sent("POST") == []
    assert sandbox.requests == []


def test_an_empty_check_alone_clears_nobody(serve: Serve, new_client: NewClient) -> None:
    """The entries of colleagues are not shown, so an empty answer is not "no"."""

    def script(request: Received) -> list[bytes]:
        if "check" in request.target:
            return [answer({"success": True, "data": []})]
        return [answer({"what": 1}) if "/unsubscribe" in request.target else answer({}, "404 Not Found")]

    client = new_client(base_url=serve(script).url)

    assert client.prospects.opted_out_elsewhere("s1", EMAIL) is None


@pytest.mark.parametrize("activity_lead", ["oldest", "newest"])
def test_an_opt_out_is_read_from_the_history(
    sandbox: Sandbox, client: SalesBlinkClient, twice: list[str], activity_lead: Any
) -> None:
    sandbox.v1 = V1Rules(activity_lead=activity_lead)
    shown = twice[0 if activity_lead == "oldest" else 1]
    sandbox.add_event("Unsubscribed", lead_id=shown)

    assert [each["unsubscribed"] for each in client.prospects.search(EMAIL)] == [True, True]


def test_an_opt_out_that_the_sequence_shows(
    sandbox: Sandbox, client: SalesBlinkClient, campaign: CampaignUnderTest
) -> None:
    ana = sandbox.add_person(campaign.id, ANA)
    sandbox.happen("unsubscribe", to=ana)

    (record,) = client.prospects.list(campaign.id)

    assert record["unsubscribed"] is True
    assert record["fields"]["status"] == "unsubscribed"


@pytest.mark.parametrize("opted_out", ["lead", "address", "domain"])
@pytest.mark.parametrize("is_there", [True, False])
def test_who_opted_out_is_not_added(
    sandbox: Sandbox,
    new_client: NewClient,
    client: SalesBlinkClient,
    campaign: CampaignUnderTest,
    tmp_path: Path,
    opted_out: str,
    is_there: bool,
) -> None:
    elsewhere = sandbox.add_person(campaign.id if is_there else sandbox.add_campaign("Autumn"), ANA)
    if opted_out == "lead":
        client.prospects.unsubscribe(elsewhere)
    else:
        sandbox.block({"address": EMAIL, "domain": "example.com"}[opted_out])
    adding = new_client(pacing_url=f"file://{tmp_path}/shared.sqlite")

    outcome, record = add_person(adding, campaign.id, {"Email": "Ana@Example.com"})

    assert (outcome, record["unsubscribed"]) == ("opted_out", True)
    assert not any(request.path.endswith("/contacts") for request in sandbox.requests)
