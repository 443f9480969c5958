"""Leads and lists of the API v1: what is checked before it is sent, and what happens when answers are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    AmbiguousWriteError,
    ApiRefusedError,
    InvalidInputError,
    NotFoundError,
    UnreadableResponseError,
)
from tests.client.raw_server import Piece, answer
from tests.client.v1.conftest import ok
from tests.client.v1.documented_calls import ANA

if TYPE_CHECKING:
    from tests.client.v1.conftest import NewResources

LOST: list[Piece] = ["reset"]


def test_verifying_the_key(resources: NewResources) -> None:
    assert resources({"success": True, "message": "Key is valid"}).account.verify() == {}
    shown = {"account": {"name": "Northwind"}, "user": {"email": ANA}}
    assert resources(ok(shown)).account.verify() == shown
    with pytest.raises(ApiRefusedError):
        resources({"success": False, "message": "no"}).account.verify()
    for other in ({"hello": "world"}, [], {"success": "yes"}):
        with pytest.raises(UnreadableResponseError):
            resources(other).account.verify()


def test_adding_people_returns_how_many_were_accepted(resources: NewResources) -> None:
    api = resources({"success": True})

    assert api.leads.add("l1", [{"email": f"p{number}@example.com"} for number in range(500)]) == {"accepted": 500}
    (sent,) = api.server.requests
    assert sent.body["remove_duplicates"] is True
    assert len(sent.body["contacts"]) == 500


@pytest.mark.parametrize(
    ("contacts", "words"),
    [
        ([], "contacts has 0 people: pass 1 to 500"),
        ([{"email": ANA}] * 501, "contacts has 501 people: pass 1 to 500"),
        ([{"email": ANA}, {"email": "nobody"}], r"contacts\[1\]: .*not an e-mail address"),
        ([{"first_name": "Ana"}], r"contacts\[0\]: .*no 'Email' column"),
        ([{"email": ANA, "Plan A": 1, "plan_a": 2}], r"contacts\[0\]: .*two columns"),
        ([{"email": ANA, "list_id": "l2"}], r"contacts\[0\]: .*SalesBlink uses this name itself"),
        ([[ANA]], r"contacts\[0\]: .*not a mapping"),
        (ANA, "contacts is a str: pass a list"),
        ({"email": ANA}, "contacts is a dict: pass a list"),
        (7, "contacts is a int: pass a list"),
    ],
)
def test_people_are_checked_before_any_is_sent(resources: NewResources, contacts: Any, words: str) -> None:
    api = resources()

    with pytest.raises(InvalidInputError, match=words) as raised:
        api.leads.add("l1", contacts)
    assert api.server.requests == []
    assert ANA not in str(raised.value)


def test_a_lost_answer_to_an_add_is_an_error_and_nothing_is_sent_again(resources: NewResources) -> None:
    api = resources(script=lambda _: LOST)

    with pytest.raises(AmbiguousWriteError):
        api.leads.add("l1", [{"email": ANA}])
    assert len(api.server.requests) == 1


def test_a_dry_run_adds_nobody(resources: NewResources) -> None:
    api = resources(dry_run=True)

    assert api.leads.add("l1", [{"email": ANA}]) == {"accepted": 0, "dry_run": True}
    assert api.leads.unsubscribe("p1") == {"lead_id": "p1", "dry_run": True}
    assert api.sequences.clone("s1") == {"id": None, "dry_run": True}
    assert api.server.requests == []


def test_somebody_who_is_gone_after_a_lost_answer_was_removed(resources: NewResources) -> None:
    answers: list[list[Piece]] = [LOST, [answer({"success": False}, "404 Not Found")]]
    api = resources(script=lambda _: answers.pop(0))

    assert api.leads.remove("l1", ANA) == {"list_id": "l1"}
    with pytest.raises(NotFoundError):
        resources(script=lambda _: [answer({"success": False}, "404 Not Found")]).leads.remove("l1", ANA)


@pytest.mark.parametrize("fields", [{}, {"email": "nobody"}, {"archived": True}, {"Plan A": 1, "plan_a": 2}, []])
def test_fields_are_checked_before_they_are_sent(resources: NewResources, fields: Any) -> None:
    api = resources()

    with pytest.raises(InvalidInputError):
        api.leads.update("p1", fields)
    assert api.server.requests == []


def test_changing_a_lead(resources: NewResources) -> None:
    assert resources(ok({"first_name": "Bo"})).leads.update("p1", {"First Name": "Bo"}) == {
        "id": "p1",
        "first_name": "Bo",
    }
    assert resources(ok()).leads.move("p1", "l2") == {"id": "p1", "list_id": "l2"}
    counts = {"lead_id": "p1", "email": ANA, "deleted_tasks": 2}
    assert resources(ok(counts)).leads.unsubscribe("p1") == counts


def test_the_history_of_a_lead(resources: NewResources) -> None:
    event = {"id": "e1", "message": "Sent", "time": 1788264000000}
    shown = {**ok([event]), "lead": {"id": "p1", "email": ANA, "company_name": None}, "total": 1}
    api = resources(shown, shown)

    activity = api.leads.activity(email=ANA)
    assert activity.lead == {"id": "p1", "email": ANA, "company_name": None}
    assert [each["id"] for each in activity] == ["e1"]
    assert len(api.server.requests) == 1
    assert [each["time"].hour for each in api.leads.activity(lead_id="p1")] == [12]


def test_a_lead_without_a_history_is_shown_too(resources: NewResources) -> None:
    assert resources({**ok([]), "lead": {"id": "p1"}}).leads.activity(email=ANA).lead == {"id": "p1"}
    assert resources(ok([])).leads.activity(email=ANA).lead == {}


def test_the_history_needs_an_address_or_an_id(resources: NewResources) -> None:
    api = resources()

    for given in ({}, {"email": ANA, "lead_id": "p1"}, {"email": "p1"}, {"lead_id": ANA}, {"lead_id": ".."}):
        with pytest.raises(InvalidInputError):
            api.leads.activity(**given)
    assert api.server.requests == []


def test_an_id_is_one_quoted_part_of_the_path(resources: NewResources) -> None:
    api = resources(ok())

    api.leads.unsubscribe("a/b?c")

    assert api.server.requests[0].target.endswith("/leads/a%2Fb%3Fc/unsubscribe")


def test_a_list_is_created_once_though_the_answer_is_lost(resources: NewResources) -> None:
    found = ok([{"id": "l0", "name": "Spring"}, {"id": "l1", "name": "Spring 2"}, {"id": "l2", "name": "Spring"}])
    answers: list[list[Piece]] = [LOST, [answer(found)]]
    api = resources(script=lambda _: answers.pop(0))

    assert api.lists.create("Spring", ignore_ids=["l0"])["id"] == "l2"
    assert [request.method for request in api.server.requests] == ["POST", "GET"]
    assert "search=" not in api.server.requests[1].target


def test_a_list_that_was_not_created_is_sent_again(resources: NewResources) -> None:
    found, made = ok([{"id": "l0", "name": "Spring"}]), ok({"id": "l1", "name": "Spring"})
    answers: list[list[Piece]] = [LOST, [answer(found)], [answer(made)]]
    api = resources(script=lambda _: answers.pop(0))

    assert api.lists.create("Spring", ignore_ids=["l0"]) == {"id": "l1", "name": "Spring"}
    assert [request.method for request in api.server.requests] == ["POST", "GET", "POST"]


def test_a_list_in_an_array_of_one_is_a_list(resources: NewResources) -> None:
    listed = {"id": "l1", "name": "Spring", "date_created": "2026-09-01T12:00:00Z"}
    api = resources(ok([listed]), ok(listed), ok([]))

    assert api.lists.get("l1") == api.lists.get("l1")
    with pytest.raises(NotFoundError):
        api.lists.get("l1")


def test_the_leads_of_a_list(resources: NewResources) -> None:
    api = resources(ok({"contacts": [{"id": "p1", "Email": ANA, "custom_fields": {"Plan": "Gold"}}], "total": 1}))

    assert list(api.lists.leads("l1")) == [{"id": "p1", "email": ANA, "plan": "Gold"}]
