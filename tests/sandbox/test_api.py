"""All documented calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call


def test_all_campaigns(sandbox: Sandbox, call: Call) -> None:
    spring, autumn = sandbox.add_campaign("Spring"), sandbox.add_campaign("Autumn", paused=True)

    assert call("GET", "/api/campaigns").json() == {
        "success": True,
        "error": False,
        "data": [
            {"campaignID": spring, "name": "Spring", "paused": False},
            {"campaignID": autumn, "name": "Autumn", "paused": True},
        ],
    }


@pytest.mark.parametrize(
    ("term", "names"),
    [("SPRING", ["Spring 2027", "Late spring"]), ("2027", ["Spring 2027"]), ("winter", []), ("%", ["100 %"])],
)
def test_campaigns_are_found_by_a_part_of_their_name(sandbox: Sandbox, call: Call, term: str, names: list[str]) -> None:
    for name in ("Spring 2027", "Late spring", "100 %"):
        sandbox.add_campaign(name)

    found = call("GET", "/api/campaign", params={"term": term}).json()["data"]

    assert [campaign["name"] for campaign in found] == names


@pytest.mark.parametrize("odd", ["plain", "a/b c", "..", "50%", "ä?&#", "a%2Fb"])
def test_a_campaign_id_may_contain_any_character(sandbox: Sandbox, call: Call, odd: str) -> None:
    from urllib.parse import quote

    sandbox.add_campaign("Odd", id=odd)
    # requests resolves dots as path segments, so encode them as well.
    quoted = quote(odd, safe="").replace(".", "%2E")

    found = call("GET", f"/api/campaign/{quoted}")

    assert found.json()["data"] == {"campaignID": odd, "name": "Odd", "paused": False}
    assert call("GET", f"/api/prospects/{quoted}").json()["data"] == []


def test_an_unencoded_slash_is_not_part_of_an_id(sandbox: Sandbox, call: Call) -> None:
    sandbox.add_campaign("Odd", id="a/b")

    assert call("GET", "/api/campaign/a/b").status_code == 404


@pytest.mark.parametrize("pause", [True, False])
def test_a_campaign_is_paused_and_unpaused(sandbox: Sandbox, call: Call, *, pause: bool) -> None:
    campaign = sandbox.add_campaign("Spring", paused=not pause)

    answered = call("POST", "/api/campaign-status", json={"campaignID": campaign, "pause": pause})

    assert answered.json()["data"]["paused"] is pause
    assert [campaign.paused for campaign in sandbox.campaigns()] == [pause]


def test_people_are_found_by_address_in_all_campaigns(sandbox: Sandbox, call: Call) -> None:
    spring, autumn = sandbox.add_campaign("Spring"), sandbox.add_campaign("Autumn")
    first = sandbox.add_person(spring, {"Email": " Ana@Example.com"})
    second = sandbox.add_person(autumn, {"Email": "ana@example.com"})
    sandbox.add_person(autumn, {"Email": "ben@example.com"})

    found = call("GET", "/api/prospect", params={"term": "ANA@example.com "}).json()["data"]

    assert [(person["prospectID"], person["campaignID"]) for person in found] == [(first, spring), (second, autumn)]


def test_an_unknown_address_returns_an_empty_list(call: Call) -> None:
    answered = call("GET", "/api/prospect", params={"term": "nobody@example.com"})

    assert (answered.status_code, answered.json()["data"]) == (200, [])


def test_people_of_a_campaign_in_order_of_adding(sandbox: Sandbox, call: Call, campaign: str) -> None:
    for name in "cab":
        sandbox.add_person(campaign, {"Email": f"{name}@example.com"})
    sandbox.add_person(sandbox.add_campaign("Other"), {"Email": "d@example.com"})

    found = call("GET", f"/api/prospects/{campaign}").json()["data"]

    assert [person["Email"] for person in found] == ["c@example.com", "a@example.com", "b@example.com"]


def test_one_person(sandbox: Sandbox, call: Call, campaign: str) -> None:
    ana = sandbox.add_person(campaign, {"First Name": "Ana", "Email": "ana@example.com"}, unsubscribed=True)

    assert call("GET", f"/api/prospect/{ana}").json()["data"] == {
        "prospectID": ana,
        "campaignID": campaign,
        "First Name": "Ana",
        "Email": "ana@example.com",
        "unsubscribed": True,
    }


def test_a_person_is_added_with_every_column(sandbox: Sandbox, call: Call, campaign: str) -> None:
    columns = {"First Name": "Zoë 🦊", "Email": "zoe@example.com", "Score": 7, "Tags": ["a"], "Note": None}

    added = call("POST", "/api/prospect-add", json={"campaignID": campaign, "data": columns}).json()["data"]

    (zoe,) = sandbox.people(campaign)
    assert (zoe.id, zoe.email, zoe.fields, zoe.unsubscribed) == (added["prospectID"], "zoe@example.com", columns, False)
    assert list(zoe.fields) == list(columns)


def test_the_same_address_is_added_a_second_time(sandbox: Sandbox, call: Call, campaign: str) -> None:
    for _ in range(2):
        call("POST", "/api/prospect-add", json={"campaignID": campaign, "data": {"Email": "ana@example.com"}})

    assert [person.email for person in sandbox.people(campaign)] == ["ana@example.com"] * 2


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("Company", {"Email": "ana@example.com", "Company": "new@example.com"}),
        ("email", {"Email": "new@example.com", "Company": "Old"}),
        ("Shoe size", {"Email": "ana@example.com", "Company": "Old", "Shoe size": "new@example.com"}),
    ],
)
def test_a_column_is_changed(sandbox: Sandbox, call: Call, campaign: str, key: str, fields: dict[str, str]) -> None:
    ana = sandbox.add_person(campaign, {"Email": "ana@example.com", "Company": "Old"})

    call("POST", "/api/prospect", json={"prospectID": ana, "key": key, "value": "new@example.com"}).raise_for_status()

    assert [person.fields for person in sandbox.people()] == [fields]
    found = call("GET", "/api/prospect", params={"term": "new@example.com"}).json()["data"]
    assert len(found) == (1 if key == "email" else 0)


def test_a_person_is_unsubscribed(sandbox: Sandbox, call: Call, campaign: str) -> None:
    ana, _ = (sandbox.add_person(campaign, {"Email": "ana@example.com"}) for _ in range(2))

    answered = call("POST", "/api/prospect-unsubscribe", json={"prospectID": ana})

    assert answered.json()["data"]["unsubscribed"] is True
    assert [person.unsubscribed for person in sandbox.people()] == [True, False]


def test_members_of_the_team(call: Call) -> None:
    members = call("GET", "/api/my-team").json()["data"]

    assert {frozenset(member) for member in members} == {
        frozenset({"user_name", "email", "company_name", "user_picture"})
    }
