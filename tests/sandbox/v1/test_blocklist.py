"""The blocklist of the v1 API: paging, owners, and the shapes that nobody has documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

BLOCKLIST = f"{PREFIX}/unsubscribe"


def test_entries_are_added_once_and_listed_in_their_order(sandbox: Sandbox, call: Call) -> None:
    added = call("POST", BLOCKLIST, json={"emails": ["Ana@example.com", "example.org", "ana@example.com "]})

    assert added.json()["success"] is True
    assert [(entry["email"], entry["type"]) for entry in listed(call)] == [
        ("ana@example.com", "email"),
        ("example.org", "domain"),
    ]
    assert sandbox.blocked() == ["ana@example.com", "example.org"]


@pytest.mark.parametrize("body", [{"emails": "ana@example.com"}, {"email": "ana@example.com"}])
def test_the_bodies_of_the_vendors_tools_are_accepted(sandbox: Sandbox, call: Call, body: dict[str, Any]) -> None:
    call("POST", BLOCKLIST, json=body)

    assert sandbox.blocked() == ["ana@example.com"]


@pytest.mark.parametrize(
    "body", [{}, {"emails": []}, {"emails": [7]}, {"emails": {}}, ["ana@example.com"], {"emails": ["x"], "y": 1}]
)
@pytest.mark.parametrize("path", ["", "/remove"])
def test_another_body_is_refused(sandbox: Sandbox, call: Call, path: str, body: Any) -> None:
    sandbox.block("x")

    assert call("POST", BLOCKLIST + path, json=body).status_code == 400
    assert sandbox.blocked() == ["x"]


def test_a_page_has_at_most_100_entries(sandbox: Sandbox, call: Call) -> None:
    sandbox.block(*(f"{number}@example.com" for number in range(130)))

    assert len(listed(call)) == 50
    assert len(listed(call, limit=500)) == 100
    assert [entry["email"] for entry in listed(call, limit=100, skip=100)] == [
        f"{number}@example.com" for number in range(100, 130)
    ]


@pytest.mark.parametrize("query", [{"limit": 100, "skip": 50}, {"skip": 3}, {"limit": 500, "skip": 50}])
def test_skip_must_be_a_multiple_of_limit(call: Call, query: dict[str, int]) -> None:
    refused = call("GET", BLOCKLIST, params=query)

    assert (refused.status_code, refused.json()["success"]) == (400, False)


def test_entries_are_filtered(sandbox: Sandbox, call: Call) -> None:
    sandbox.block("ana@example.com", "ben@example.org", "example.com")

    assert [entry["email"] for entry in listed(call, search="EXAMPLE.com")] == ["ana@example.com", "example.com"]
    assert [entry["email"] for entry in listed(call, type="domain")] == ["example.com"]
    assert [entry["email"] for entry in listed(call, type="email", search="ben")] == ["ben@example.org"]


def test_each_user_has_an_own_blocklist(sandbox: Sandbox, call: Call) -> None:
    member = {"Authorization": sandbox.member_key}
    sandbox.block("ana@example.com")
    call("POST", BLOCKLIST, json={"emails": ["ben@example.com", "ana@example.com"]}, headers=member)
    (ana,) = listed(call)

    assert sandbox.blocked(by="member") == ["ben@example.com", "ana@example.com"]
    assert call("DELETE", f"{BLOCKLIST}/{ana['id']}", headers=member).status_code == 404
    assert is_blocked(call, "ben@example.com") is False
    assert call("DELETE", BLOCKLIST, headers=member).status_code == 200
    assert (sandbox.blocked(by="member"), sandbox.blocked()) == ([], ["ana@example.com"])


def test_entries_are_removed(sandbox: Sandbox, call: Call) -> None:
    sandbox.block("ana@example.com", "ben@example.com", "example.org")
    (ana, *_) = listed(call)

    call("POST", f"{BLOCKLIST}/remove", json={"emails": ["BEN@example.com", "unknown@example.com"]})
    assert sandbox.blocked() == ["ana@example.com", "example.org"]
    assert call("DELETE", f"{BLOCKLIST}/{ana['id']}").status_code == 200
    assert sandbox.blocked() == ["example.org"]
    assert call("DELETE", f"{BLOCKLIST}/{ana['id']}").status_code == 404


@pytest.mark.parametrize(
    ("shape", "blocked", "free"),
    [
        ("data", {"success": True, "data": {"blocked": True}}, {"success": True, "data": {"blocked": False}}),
        ("bare", {"success": True, "data": True}, {"success": True, "data": False}),
        ("blocked", {"success": True, "blocked": True}, {"success": True, "blocked": False}),
        ("exists", {"success": True, "exists": True}, {"success": True, "exists": False}),
    ],
)
def test_the_shapes_of_a_check(sandbox: Sandbox, call: Call, shape: Any, blocked: Any, free: Any) -> None:
    sandbox.block("ana@example.com")
    sandbox.v1 = V1Rules(check_shape=shape)

    assert check(call, "Ana@example.com") == blocked
    assert check(call, "ben@example.com") == free


def test_a_check_may_answer_with_the_entries(sandbox: Sandbox, call: Call) -> None:
    sandbox.block("ana@example.com")
    sandbox.v1 = V1Rules(check_shape="array")

    assert check(call, "ana@example.com")["data"] == listed(call)
    assert check(call, "ben@example.com") == {"success": True, "data": []}


@pytest.mark.parametrize("counts", [True, False])
def test_a_blocked_domain_may_count_in_a_check(sandbox: Sandbox, call: Call, *, counts: bool) -> None:
    sandbox.block("example.org")
    sandbox.v1 = V1Rules(check_domain=counts)

    assert is_blocked(call, "ana@Example.org") is counts
    assert is_blocked(call, "ana@sub.example.org") is False


def test_a_check_needs_an_address(call: Call) -> None:
    assert call("GET", f"{BLOCKLIST}/check").status_code == 400


@pytest.mark.parametrize("shape", ["data", "entries", "data.data"])
def test_the_shapes_of_the_list(sandbox: Sandbox, call: Call, shape: Literal["data", "entries", "data.data"]) -> None:
    sandbox.block("ana@example.com")
    sandbox.v1 = V1Rules(blocklist_shape=shape)

    data = call("GET", BLOCKLIST).json()["data"]

    entries = {"data": lambda: data, "entries": lambda: data["entries"], "data.data": lambda: data["data"]}[shape]()
    assert [entry["email"] for entry in entries] == ["ana@example.com"]


def listed(call: Call, **query: Any) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = call("GET", BLOCKLIST, params=query).json()["data"]
    return entries


def check(call: Call, email: str) -> dict[str, Any]:
    answer: dict[str, Any] = call("GET", f"{BLOCKLIST}/check", params={"email": email}).json()
    return answer


def is_blocked(call: Call, email: str) -> bool:
    blocked: bool = check(call, email)["data"]["blocked"]
    return blocked
