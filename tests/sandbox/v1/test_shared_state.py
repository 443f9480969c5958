"""One state behind both APIs: a campaign is a sequence, a prospect is a lead on its list."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import CampaignState, Sandbox, SandboxUsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox.conftest import Call

VERSION_0_1_0 = """
CREATE TABLE campaign (n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, paused INT);
CREATE TABLE prospect (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, campaign_id TEXT NOT NULL, address TEXT NOT NULL,
    fields TEXT NOT NULL, unsubscribed INT, changed REAL);
CREATE INDEX prospect_campaign ON prospect (campaign_id, n);
CREATE INDEX prospect_address ON prospect (address, n);
CREATE INDEX prospect_changed ON prospect (changed);
CREATE TABLE member (n INTEGER PRIMARY KEY, record TEXT NOT NULL);
PRAGMA application_id = 0x5A1E5B01;
INSERT INTO campaign (id, name, paused) VALUES ('gone', 'Gone', 0), ('a', 'A', 0), ('b', 'B', 1);
DELETE FROM campaign WHERE id = 'gone';
"""


def test_a_prospect_of_the_classic_api_is_a_lead(sandbox: Sandbox, v1: Call, call: Call, campaign: str) -> None:
    data = {"First Name": "Ana", "Last Name": "Silva", "Email": "ana@example.com", "Company": "N", "Job Title": "CEO"}
    call("POST", "/api/prospect-add", json={"campaignID": campaign, "data": data})
    (own,) = sandbox.lists(campaign)

    (lead,) = v1("GET", f"/lists/{own.id}/leads").json()["data"]["contacts"]

    wanted = {
        "first_name": "Ana",
        "last_name": "Silva",
        "email": "ana@example.com",
        "company_name": "N",
        "job_title": "CEO",
    }
    assert lead.items() >= wanted.items()
    v1("PATCH", f"/leads/{lead['id']}", json={"company_name": "M", "job_title": "CTO"})
    assert sandbox.people()[0].fields == {**data, "Company": "M", "Job Title": "CTO"}


def test_a_lead_is_a_prospect_of_the_classic_api(sandbox: Sandbox, v1: Call, call: Call, campaign: str) -> None:
    (own,) = sandbox.lists(campaign)
    contact = {"email": "ana@example.com", "first_name": "Ana", "company_name": "N", "job_title": "CEO"}
    v1("POST", "/contacts", json={"list_id": own.id, "contacts": [contact]})
    sandbox.advance(1)

    (found,) = call("GET", f"/api/prospects/{campaign}").json()["data"]

    assert found["campaignID"] == campaign
    assert (found["Email"], found["First Name"], found["Company"]) == ("ana@example.com", "Ana", "N")
    assert found["job_title"] == "CEO"
    call("POST", "/api/prospect-unsubscribe", json={"prospectID": found["prospectID"]})
    assert "ana@example.com" in v1("GET", "/unsubscribe").text


def test_the_people_of_a_campaign_are_those_of_its_lists(sandbox: Sandbox, call: Call, people: str) -> None:
    other = sandbox.add_list("Other")
    sandbox.add_campaign("A", id="a", lists=[people, other])
    sandbox.add_campaign("B", id="b", lists=[other])
    for list_id, email in ((people, "ana@example.com"), (other, "ben@example.com")):
        sandbox.add_lead(list_id, {"email": email})

    assert [person.email for person in sandbox.people("a")] == ["ana@example.com", "ben@example.com"]
    assert [(person.email, person.campaign_id) for person in sandbox.people("b")] == [("ben@example.com", "b")]
    assert [(person.campaign_id, person.list_id) for person in sandbox.people()] == [("a", people), ("a", other)]
    assert [len(call("GET", f"/api/prospects/{each}").json()["data"]) for each in ("a", "b")] == [2, 1]
    assert sandbox.add_person("b", {"Email": "gil@example.com"}) in [lead.id for lead in sandbox.leads(other)]
    assert [each.name for each in sandbox.lists("a")] == ["People", "Other"]


def test_a_seed_may_have_lists() -> None:
    seed = {
        "lists": [{"id": "l", "name": "People", "leads": [{"email": "ana@example.com", "first_name": "Ana"}]}],
        "campaigns": [{"id": "a", "name": "A", "lists": ["l"], "people": [{"Email": "ben@example.com"}]}],
    }

    with Sandbox(seed=seed) as sandbox:
        assert [lead.email for lead in sandbox.leads("l")] == ["ana@example.com", "ben@example.com"]
        assert sandbox.people("a")[0].fields == {"Email": "ana@example.com", "First Name": "Ana"}
        assert [start.reason for start in sandbox.started] == ["attached", "added"]


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ({"lists": [{"name": 7}]}, "needs a name"),
        ({"lists": [{"name": "x", "people": []}]}, "Known: id, name, leads"),
        ({"lists": [{"id": "l", "name": "x"}], "campaigns": [{"name": "A", "lists": ["m"]}]}, "in the seed: l"),
        ({"campaigns": [{"name": "A", "lists": [], "people": [{}]}]}, "has no list"),
    ],
)
def test_a_wrong_list_in_a_seed_is_an_error(seed: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxUsageError, match=message):
        Sandbox(seed=seed)


def test_what_is_missing_is_an_error(sandbox: Sandbox, people: str) -> None:
    with pytest.raises(SandboxUsageError, match="no list"):
        sandbox.add_lead("nope", {})
    with pytest.raises(SandboxUsageError, match="already"):
        sandbox.add_list("People", id=people)
    bare = sandbox.add_campaign("Bare", lists=[])
    with pytest.raises(SandboxUsageError, match="has no list"):
        sandbox.add_person(bare, {})


def test_a_campaign_without_a_list_takes_nobody(sandbox: Sandbox, call: Call) -> None:
    bare = sandbox.add_campaign("Bare", lists=[])

    assert call("POST", "/api/prospect-add", json={"campaignID": bare, "data": {}}).status_code == 400


def test_a_file_of_version_0_1_0_still_opens(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    old = sqlite3.connect(file)
    old.executescript(VERSION_0_1_0)
    for number, (campaign, email, unsubscribed) in enumerate(
        [("b", "ben@example.com", 0), ("a", "Ana@example.com", 0), ("a", "gil@example.com", 1)]
    ):
        fields = json.dumps({"Email": email, "Score": number})
        values = (f"p{number}", campaign, email.casefold(), fields, unsubscribed, float(number))
        old.execute("INSERT INTO prospect VALUES (NULL, ?, ?, ?, ?, ?, ?)", values)
    old.commit()
    old.close()

    for _ in range(2):
        with Sandbox(db=file) as sandbox:
            assert sandbox.campaigns() == [CampaignState("a", "A", paused=False), CampaignState("b", "B", paused=True)]
            assert [(each.id, each.campaign_id, each.email, each.unsubscribed) for each in sandbox.people()] == [
                ("p0", "b", "ben@example.com", False),
                ("p1", "a", "Ana@example.com", False),
                ("p2", "a", "gil@example.com", True),
            ]
            assert sandbox.people("a")[0].fields == {"Email": "Ana@example.com", "Score": 1}
            assert [each.name for each in sandbox.lists()] == ["A", "B"]
            assert sandbox.started == []
