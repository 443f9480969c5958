"""``/lists`` and the leads of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider_salesblink.sandbox import ListState, V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call


def names(v1: Call, **query: Any) -> list[str]:
    return [found["name"] for found in v1("GET", "/lists", params=query).json()["data"]]


def leads(v1: Call, list_id: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = v1("GET", f"/lists/{list_id}/leads", params=query).json()["data"]["contacts"]
    return found


def test_a_list_is_created_read_and_changed(sandbox: Sandbox, v1: Call) -> None:
    created = v1("POST", "/lists", json={"name": "People", "starred": True}).json()["data"]

    assert (created["name"], created["contacts_count"], created["starred"]) == ("People", 0, True)
    assert v1("GET", f"/lists/{created['id']}").json() == {"success": True, "data": created}
    changed = v1("PATCH", f"/lists/{created['id']}", json={"name": "Others", "archived": True}).json()["data"]
    assert (changed["name"], changed["starred"], changed["archived"]) == ("Others", True, False)
    assert sandbox.lists() == [ListState(created["id"], "Others")]


def test_nothing_makes_names_unique(v1: Call) -> None:
    for _ in range(2):
        v1("POST", "/lists", json={"name": "People"})

    assert names(v1) == ["People", "People"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 7}, {"name": "x", "starred": "yes"}, [], "x"], ids=str)
def test_a_list_needs_a_name(sandbox: Sandbox, v1: Call, body: Any) -> None:
    assert v1("POST", "/lists", json=body).status_code == 400
    assert sandbox.lists() == []


def test_the_filters_only_work_when_they_are_true(sandbox: Sandbox, v1: Call) -> None:
    for name in ("One", "Two", "Gone"):
        sandbox.add_list(name, id=name)
    v1("PUT", "/lists/Gone/archive", json={"archived": True})
    v1("PATCH", "/lists/Two", json={"starred": True, "folder": "F"})

    assert names(v1, sortType="asc") == ["One", "Two"]
    assert names(v1) == ["Two", "One"]
    assert names(v1, archived="false", starred="false") == ["Two", "One"]
    assert names(v1, archived="true") == ["Gone"]
    assert names(v1, starred="true") == names(v1, folder="f") == ["Two"]
    assert names(v1, search="ON", unknown="ignored") == ["One"]
    v1("PUT", "/lists/Gone/archive", json={"archived": False})
    assert names(v1, search="gone") == ["Gone"]


def test_a_limit_above_the_maximum_is_lowered_without_a_word(sandbox: Sandbox, v1: Call, people: str) -> None:
    for number in range(120):
        sandbox.add_list(f"list {number}")
        sandbox.add_lead(people, {"email": f"p{number:03}@example.com"})

    assert len(names(v1, limit=500)) == 100
    assert len(names(v1, limit=500, skip=100)) == 21
    assert (len(names(v1, limit=7)), len(names(v1, limit="x", skip="y"))) == (7, 100)
    whole = leads(v1, people, limit=500) + leads(v1, people, limit=500, skip=100)
    assert [lead["email"] for lead in whole] == [f"p{number:03}@example.com" for number in range(120)]


def test_the_total_counts_the_page(sandbox: Sandbox, v1: Call, people: str) -> None:
    for number in range(5):
        sandbox.add_lead(people, {"email": f"p{number}@example.com"})

    assert v1("GET", f"/lists/{people}/leads?limit=2").json()["data"]["total"] == 2
    assert v1("GET", f"/lists/{people}/leads?limit=2&skip=4").json()["data"]["total"] == 1


def test_a_search_also_looks_into_names(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_lead(people, {"email": "ana@example.com"})
    sandbox.add_lead(people, {"email": "t@example.com", "last_name": "Tanaka"})
    sandbox.add_lead(people, {"email": "ben@example.com"})

    assert [lead["email"] for lead in leads(v1, people, search="ANA")] == ["ana@example.com", "t@example.com"]
    assert [lead["email"] for lead in leads(v1, people, search="ana@", sort="desc")] == ["ana@example.com"]


def test_leads_are_filtered_by_sequence_and_status(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_lead(people, {"email": "idle@example.com"}, archived=False)
    sandbox.add_campaign("A", id="a", lists=[people])
    sandbox.add_campaign("B", id="b", lists=[people], paused=True)
    lead = sandbox.add_lead(people, {"email": "gone@example.com"})
    v1("POST", f"/leads/{lead}/unsubscribe")

    assert len(leads(v1, people, sequence="a")) == 2
    assert leads(v1, people, sequence="b") == []
    assert [each["id"] for each in leads(v1, people, status="unsubscribed")] == [lead]
    assert [each["email"] for each in leads(v1, people, status="contacted", sequence="a")] == ["idle@example.com"]
    assert leads(v1, people, status="replied") == []


@pytest.mark.parametrize(("shown", "count"), [("left_out", 1), ("included", 2)])
def test_archived_leads_may_be_shown(
    sandbox: Sandbox, v1: Call, people: str, shown: Literal["left_out", "included"], count: int
) -> None:
    sandbox.v1 = V1Rules(archived_leads=shown)
    sandbox.add_lead(people, {"email": "ana@example.com"})
    sandbox.add_lead(people, {"email": "old@example.com"}, archived=True)

    assert len(leads(v1, people)) == count
    assert [(lead["email"], lead["archived"]) for lead in leads(v1, people, archived="true")] == [
        ("old@example.com", True)
    ]


@pytest.mark.parametrize("shape", ["object", "array"])
def test_a_single_list_may_be_an_array(
    sandbox: Sandbox, v1: Call, people: str, shape: Literal["object", "array"]
) -> None:
    sandbox.v1 = V1Rules(single_list=shape)

    data = v1("GET", f"/lists/{people}").json()["data"]

    assert (data if shape == "object" else data[0])["id"] == people


@pytest.mark.parametrize("place", ["flat", "custom_fields"])
@pytest.mark.parametrize("case", ["snake", "title"])
def test_columns_may_be_spelled_and_placed_otherwise(
    sandbox: Sandbox,
    v1: Call,
    people: str,
    place: Literal["flat", "custom_fields"],
    case: Literal["snake", "title"],
) -> None:
    sandbox.v1 = V1Rules(lead_columns=place, lead_case=case)
    lead_id = sandbox.add_lead(people, {"email": "ana@example.com", "first_name": "Ana", "score": 7, "id": "mine"})

    (lead,) = leads(v1, people)

    assert (lead["id"], lead["list_id"], lead["archived"]) == (lead_id, people, False)
    assert lead["first_name" if case == "snake" else "First_Name"] == "Ana"
    assert lead["email" if case == "snake" else "Email"] == "ana@example.com"
    score = "score" if case == "snake" or place == "custom_fields" else "Score"
    assert (lead if place == "flat" else lead["custom_fields"])[score] == 7


def test_a_member_cannot_change_the_list_of_another_user(sandbox: Sandbox, v1: Call, people: str) -> None:
    member = {"Authorization": sandbox.member_key}

    assert v1("PATCH", f"/lists/{people}", json={"name": "x"}, headers=member).status_code == 403
    own = v1("POST", "/lists", json={"name": "own"}, headers=member).json()["data"]
    assert own["owned_by"] == "mia@example.com"
    assert v1("PATCH", f"/lists/{own['id']}", json={"name": "x"}, headers=member).status_code == 200
    assert v1("PATCH", f"/lists/{own['id']}", json={"name": "y"}).status_code == 200
    assert v1("GET", f"/lists/{people}", headers=member).status_code == 200


def test_an_id_may_have_a_slash(sandbox: Sandbox, v1: Call) -> None:
    sandbox.add_list("Odd", id="a/b c")
    sandbox.add_lead("a/b c", {"email": "ana@example.com"}, id="x/y")

    assert v1("GET", "/lists/a%2Fb%20c").json()["data"]["name"] == "Odd"
    assert len(leads(v1, "a%2Fb%20c")) == 1
    assert v1("PATCH", "/leads/x%2Fy", json={"score": 1}).status_code == 200
    assert v1("GET", "/lists/a/b%20c").status_code == 404
    sandbox.add_campaign("Odd", id="c/d", lists=["a/b c"])
    assert len(v1("GET", "/sequences/c%2Fd/leads").json()["data"]) == 1
    assert v1("GET", "/sequences/c%2Fd/leads/x%2Fy/messages").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("PATCH", ""), ("PUT", "/archive"), ("GET", "/leads")], ids=str
)
def test_an_unknown_list_is_not_found(v1: Call, method: str, path: str) -> None:
    options = {} if method == "GET" else {"json": {}}

    assert v1(method, f"/lists/nope{path}", **options).json() == {"success": False, "message": "List not found."}
