"""``/leads``: changing, unsubscribing, and the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider_salesblink.sandbox import V1Rules
from airflow_provider_salesblink.sandbox.v1.leads import SYSTEM_FIELDS

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

ANA = {"email": "ana@example.com", "first_name": "Ana"}


@pytest.fixture
def lead(sandbox: Sandbox, people: str) -> str:
    return sandbox.add_lead(people, ANA)


def test_several_columns_are_changed_at_once(sandbox: Sandbox, v1: Call, people: str, lead: str) -> None:
    changed = v1("PATCH", f"/leads/{lead}", json={"first_name": "Anna", "email": "Anna@Example.com", "score": 7})

    assert changed.json()["data"] == {"first_name": "Anna", "email": "anna@example.com", "score": 7}
    assert sandbox.leads(people)[0].fields == {"Email": "anna@example.com", "First Name": "Anna", "score": 7}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"First Name": "x"},
        {"Score": 1},
        {"email": "nothing"},
        {"email": None},
        *({name: 1} for name in SYSTEM_FIELDS),
    ],
    ids=str,
)
def test_a_change_is_refused(sandbox: Sandbox, v1: Call, people: str, lead: str, changes: dict[str, Any]) -> None:
    assert v1("PATCH", f"/leads/{lead}", json=changes).status_code == 400
    assert sandbox.leads(people)[0].fields == {"Email": "ana@example.com", "First Name": "Ana"}


def test_the_older_generation_changed_other_names(sandbox: Sandbox, v1: Call, people: str, lead: str) -> None:
    sandbox.v1 = V1Rules(columns="any")

    assert v1("PATCH", f"/leads/{lead}", json={"First_Name": "Anna"}).status_code == 200
    assert sandbox.leads(people)[0].fields == {"Email": "ana@example.com", "First Name": "Anna"}


def test_unsubscribing_is_for_one_lead_and_blocks_the_address(
    sandbox: Sandbox, v1: Call, people: str, lead: str
) -> None:
    other = sandbox.add_lead(sandbox.add_list("Other", id="other"), ANA)

    done = v1("POST", f"/leads/{lead}/unsubscribe").json()["data"]

    assert done == {"lead_id": lead, "email": "ana@example.com", "deleted_tasks": 0}
    assert [each.unsubscribed for each in (*sandbox.leads(people), *sandbox.leads("other"))] == [True, False]
    assert "ana@example.com" in v1("GET", "/unsubscribe").text
    assert other != lead


def test_the_history_of_a_lead_shows_its_events(sandbox: Sandbox, v1: Call, people: str) -> None:
    sequence = sandbox.add_campaign("Spring", lists=[people])
    lead = sandbox.add_lead(people, {**ANA, "company_name": "Northwind"})
    v1("POST", f"/leads/{lead}/unsubscribe")

    history = v1("GET", f"/leads/{lead}/activity").json()

    assert [(each["message"], each["sequence_id"], each["sequence_name"]) for each in history["data"]] == [
        ("Unsubscribed", sequence, "Spring"),
        ("Sent", sequence, "Spring"),
    ]
    assert history["lead"] == {
        "id": lead,
        "email": "ana@example.com",
        "first_name": "Ana",
        "last_name": None,
        "company_name": "Northwind",
    }
    assert (history["count"], history["total"], history["skip"], history["limit"]) == (2, 2, 0, 100)
    second = v1("GET", f"/leads/{lead}/activity?limit=1&skip=1").json()
    assert [each["message"] for each in second["data"]] == ["Sent"]
    assert v1("GET", f"/leads/{lead}/activity?sequence_id=other").json()["data"] == []
    assert v1("GET", f"/leads/{lead}/activity?to=1").json()["data"] == []
    assert len(v1("GET", f"/leads/{lead}/activity?from=1").json()["data"]) == 2


@pytest.mark.parametrize(("which", "index"), [("oldest", 0), ("newest", 1)])
def test_one_of_several_leads_of_an_address_is_shown(
    sandbox: Sandbox, v1: Call, people: str, which: Literal["oldest", "newest"], index: int
) -> None:
    sandbox.v1 = V1Rules(activity_lead=which)
    both = [sandbox.add_lead(people, ANA), sandbox.add_lead(sandbox.add_list("Other"), ANA)]

    found = v1("GET", "/leads/activity", params={"email": "ANA@example.com"}).json()

    assert found["lead"]["id"] == both[index]


def test_an_address_without_a_lead_is_not_found(v1: Call) -> None:
    assert v1("GET", "/leads/activity?email=nobody@example.com").status_code == 404
    assert v1("GET", "/leads/activity").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"first_name": "x"}),
        ("PUT", "/move", {"list_id": "x"}),
        ("POST", "/unsubscribe", None),
        ("GET", "/activity", None),
    ],
)
def test_an_unknown_lead_is_not_found(v1: Call, method: str, path: str, body: dict[str, str] | None) -> None:
    assert v1(method, f"/leads/nope{path}", json=body).json() == {"success": False, "message": "Lead not found."}


def test_a_lead_moves_only_to_a_known_list(sandbox: Sandbox, v1: Call, people: str, lead: str) -> None:
    assert v1("PUT", f"/leads/{lead}/move", json={"list_id": "nope"}).status_code == 404
    assert [each.id for each in sandbox.leads(people)] == [lead]
