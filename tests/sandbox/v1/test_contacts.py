"""``/contacts``: the import, what it drops without a word, and how duplicates are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider_salesblink.sandbox import V1Rules
from airflow_provider_salesblink.sandbox.lead_store import database_id

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

ANA = {"email": "ana@example.com", "first_name": "Ana"}


def add(v1: Call, list_id: str, *contacts: dict[str, Any], **body: Any) -> int:
    return v1("POST", "/contacts", json={"list_id": list_id, "contacts": list(contacts), **body}).status_code


def addresses(sandbox: Sandbox, list_id: str) -> list[str]:
    return [lead.email for lead in sandbox.leads(list_id)]


def test_contacts_are_accepted_first_and_appear_later(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.v1 = V1Rules(import_delay=60)

    answer = v1("POST", "/contacts", json={"list_id": people, "contacts": [ANA]})

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert sandbox.leads(people) == []
    assert v1("GET", f"/lists/{people}/leads").json()["data"]["contacts"] == []
    sandbox.advance(60)
    assert addresses(sandbox, people) == ["ana@example.com"]
    assert [lead["email"] for lead in v1("GET", f"/lists/{people}/leads").json()["data"]["contacts"]] == [
        "ana@example.com"
    ]


def test_a_contact_is_not_there_twice_after_reads(sandbox: Sandbox, v1: Call, people: str) -> None:
    add(v1, people, ANA)
    sandbox.advance(1)
    for _ in range(3):
        v1("GET", f"/lists/{people}/leads")

    assert addresses(sandbox, people) == ["ana@example.com"]


def test_accepted_contacts_are_in_the_file_after_the_sandbox_stops(tmp_path: Any) -> None:
    from airflow_provider_salesblink.sandbox import Sandbox as Own

    with Own(db=tmp_path / "db", v1=V1Rules(import_delay=60), key="k") as own:
        import requests  # noqa: TID251  # the tests are this server's client

        people = own.add_list("People")
        requests.post(
            f"{own.url}/api/public/v1.0.0/contacts",
            json={"list_id": people, "contacts": [ANA]},
            headers={"Authorization": "k"},
            timeout=5,
        )
    with Own(db=tmp_path / "db") as own:
        assert addresses(own, people) == ["ana@example.com"]


@pytest.mark.parametrize(
    ("contacts", "status"),
    [
        ([], 400),
        ([{"email": f"p{n}@example.com"} for n in range(500)], 200),
        ([{"email": f"p{n}@example.com"} for n in range(501)], 400),
        ([{"email": "nothing"}, {"first_name": "Ana"}, {"email": 7}], 400),
        ([{"email": "nothing"}, ANA], 200),
        ([{**ANA, "First_Name": "Ana"}], 400),
        ([{**ANA, "First Name": "Ana"}], 400),
    ],
    ids=["none", "500", "501", "no valid one", "one valid one", "Title_Case", "space"],
)
def test_a_request_is_refused_only_for_three_reasons(
    sandbox: Sandbox, v1: Call, people: str, contacts: list[dict[str, Any]], status: int
) -> None:
    assert add(v1, people, *contacts) == status
    sandbox.advance(1)
    valid = [contact["email"] for contact in contacts if "@" in str(contact.get("email"))]
    assert addresses(sandbox, people) == (valid if status == 200 else [])


def test_the_older_generation_accepted_other_names(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.v1 = V1Rules(columns="any")

    assert add(v1, people, {"Email": "ana@example.com", "First_Name": "Ana", "Company": "Northwind"}) == 200
    sandbox.advance(1)

    (lead,) = v1("GET", f"/lists/{people}/leads").json()["data"]["contacts"]
    assert (lead["email"], lead["first_name"], lead["company_name"]) == ("ana@example.com", "Ana", "Northwind")


def test_duplicates_stay_unless_the_request_says_otherwise(sandbox: Sandbox, v1: Call, people: str) -> None:
    for _ in range(2):
        add(v1, people, ANA)
        sandbox.advance(1)
    assert len(sandbox.leads(people)) == 2

    add(v1, people, ANA, remove_duplicates=True)
    sandbox.advance(1)

    assert len(sandbox.leads(people)) == 1


def test_duplicates_are_removed_after_they_appear(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.v1 = V1Rules(import_delay=10, dedupe_delay=10)
    for _ in range(2):
        add(v1, people, ANA, remove_duplicates=True)

    sandbox.advance(10)
    assert len(sandbox.leads(people)) == 2
    sandbox.advance(10)
    assert len(sandbox.leads(people)) == 1


@pytest.mark.parametrize(("keeps", "kept"), [("oldest", 0), ("newest", 1)])
def test_one_of_the_duplicates_stays(
    sandbox: Sandbox, v1: Call, people: str, keeps: Literal["oldest", "newest"], kept: int
) -> None:
    sandbox.v1 = V1Rules(dedupe_keeps=keeps, dedupe_delay=10)
    for _ in range(2):
        add(v1, people, ANA, remove_duplicates=True)
        sandbox.advance(1)
    both = [lead.id for lead in sandbox.leads(people)]

    sandbox.advance(10)

    assert [lead.id for lead in sandbox.leads(people)] == [both[kept]]


@pytest.mark.parametrize(("case", "left"), [("folded", 1), ("exact", 2)])
def test_case_may_count_for_duplicates(
    sandbox: Sandbox, v1: Call, people: str, case: Literal["folded", "exact"], left: int
) -> None:
    sandbox.v1 = V1Rules(dedupe_case=case)

    add(v1, people, ANA, {"email": "Ana@Example.com"}, remove_duplicates=True)
    sandbox.advance(1)
    sandbox.advance(1)

    assert len(sandbox.leads(people)) == left


def test_duplicates_on_other_lists_stay_unless_the_rule_or_the_list_says_otherwise(
    sandbox: Sandbox, v1: Call, people: str
) -> None:
    sandbox.add_lead(sandbox.add_list("Other"), ANA)
    add(v1, people, ANA, remove_duplicates=True)
    sandbox.advance(1)
    assert len(sandbox.leads(people)) == 1

    sandbox.v1 = V1Rules(duplicate_removal_other_list=True)
    add(v1, people, {"email": "ben@example.com"}, ANA)
    sandbox.advance(1)
    sandbox.advance(1)
    assert addresses(sandbox, people) == ["ana@example.com", "ben@example.com"]

    sandbox.v1 = V1Rules()
    v1("PATCH", f"/lists/{people}", json={"duplicate_removal_other_list": True})
    assert addresses(sandbox, people) == ["ben@example.com"]


def test_a_share_of_the_contacts_may_never_appear(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.v1 = V1Rules(import_loses=0.5)

    assert add(v1, people, *({"email": f"p{n}@example.com"} for n in range(200))) == 200
    sandbox.advance(1)

    assert 50 < len(sandbox.leads(people)) < 150


def test_a_share_of_the_contacts_may_be_archived_at_once(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.v1 = V1Rules(import_archives=1)
    sandbox.add_campaign("A", lists=[people])

    add(v1, people, ANA)
    sandbox.advance(1)

    assert [lead.archived for lead in sandbox.leads(people)] == [True]
    assert sandbox.started == []


def test_a_setting_is_not_a_column(sandbox: Sandbox, v1: Call, people: str) -> None:
    add(v1, people, {**ANA, "starred": True, "score": 7})
    sandbox.advance(1)

    assert sandbox.leads(people)[0].fields == {"Email": "ana@example.com", "First Name": "Ana", "score": 7}
    assert "score" in v1("GET", f"/lists/{people}").json()["data"]["fields"]


def test_a_contact_is_removed_once(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_lead(people, ANA)
    gone = {"list_id": people, "email": "ANA@example.com"}

    assert [v1("POST", "/contacts/remove", json=gone).status_code for _ in range(2)] == [200, 404]
    assert sandbox.leads(people) == []


@pytest.mark.parametrize("path", ["/contacts", "/contacts/remove"])
def test_an_unknown_list_is_not_found(v1: Call, path: str) -> None:
    body = {"contacts": [ANA]} if path == "/contacts" else {"email": "ana@example.com"}

    assert v1("POST", path, json={"list_id": "nope", **body}).status_code == 404


def test_a_contact_is_archived_by_its_database_id(sandbox: Sandbox, v1: Call, people: str) -> None:
    add(v1, people, ANA)
    sandbox.advance(1)
    (lead,) = sandbox.leads(people)
    path = f"/contacts/{database_id(lead.id)}/archive"

    assert v1("PUT", path, json={"archived": True}).status_code == 200
    assert sandbox.leads(people)[0].archived
    assert v1("PUT", path, json={"archived": False}).status_code == 200
    assert not sandbox.leads(people)[0].archived
    assert v1("PUT", f"/contacts/{lead.id}/archive", json={}).status_code == 400
    assert v1("PUT", f"/contacts/{'0' * 24}/archive", json={}).status_code == 404
