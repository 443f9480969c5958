"""The pages, the calls that they use, and which origins may use them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Limits, Shapes

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_pages_load_nothing_from_elsewhere(call: Call, path: str) -> None:
    page = call("GET", path)

    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert re.findall(r'(?:src|href)="(?!/|data:,)[^"]*"|https?://|innerHTML', page.text) == []


def test_the_state_that_the_page_shows(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.add_person(campaign, {"Email": "ana@example.com", "Company": "X"}, unsubscribed=True)
    sandbox.limits, sandbox.shapes = Limits(reads=3), Shapes(id_style="id")
    sandbox.fault("campaigns", "status", status=503, times=2)
    call("GET", "/api/campaigns?x=1")

    state = call("GET", "/sandbox/state").json()

    assert state["campaigns"] == [
        {"id": campaign, "name": "Spring", "paused": False, "archived": False, "people": 1, "unsubscribed": 1},
    ]
    (ana,) = state["people"]
    assert (ana["email"], ana["campaign"], ana["unsubscribed"]) == ("ana@example.com", "Spring", True)
    (request,) = state["requests"]
    assert (request["path"], request["status"], request["fault"]) == ("/api/campaigns?x=1", 503, "status 503")
    assert abs(request["time"] - ana["changed"]) < 5
    assert state["faults"] == ["campaigns: status 503, 1 more"]
    assert (state["limits"]["reads"], state["shapes"]["id_style"]) == (3, "id")


def test_the_page_shows_who_would_get_mail_how_often_and_why(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.add_person(campaign, {"Email": "ben@example.com"})
    for email in ("ana@example.com", "Ana@example.com "):
        sandbox.add_person(campaign, {"Email": email})
    sandbox.add_campaign("Autumn", lists=[sandbox.lists(campaign)[0].id])

    state = call("GET", "/sandbox/state").json()

    assert {(start["email"].strip().lower(), start["campaign"]): start["times"] for start in state["starts"]} == {
        ("ana@example.com", "Spring"): 2,
        ("ben@example.com", "Spring"): 1,
        ("ana@example.com", "Autumn"): 2,
        ("ben@example.com", "Autumn"): 1,
    }
    assert [start["times"] for start in state["starts"]] == [2, 2, 1, 1]
    assert {(start["campaign"], *start["reasons"]) for start in state["starts"]} == {
        ("Spring", "added"),
        ("Autumn", "attached"),
    }
    assert state["starts_total"] == len(sandbox.started) == 6


def test_the_page_shows_lists_and_both_blocklists(sandbox: Sandbox, call: Call, campaign: str) -> None:
    (own,) = sandbox.lists(campaign)
    sandbox.add_person(campaign, {"Email": "ana@example.com"})
    other = sandbox.add_list("Other")
    sandbox.block("example.org")
    sandbox.block("ben@example.com", by="member")

    state = call("GET", "/sandbox/state").json()

    assert state["lists"] == [
        {"id": own.id, "name": "Spring", "archived": False, "leads": 1, "campaigns": ["Spring"]},
        {"id": other, "name": "Other", "archived": False, "leads": 0, "campaigns": []},
    ]
    assert [(entry["entry"], entry["kind"], entry["by"]) for entry in state["blocklist"]] == [
        ("ben@example.com", "email", "member"),
        ("example.org", "domain", "administrator"),
    ]
    assert state["v1"]["feed_order"] == "newest"


def test_the_state_contains_no_key(sandbox: Sandbox, call: Call) -> None:
    call("GET", "/api/campaigns")

    text = call("GET", "/sandbox/state").text

    assert sandbox.key not in text
    assert sandbox.member_key not in text


def test_the_latest_requests_and_changes_come_first(sandbox: Sandbox, call: Call, campaign: str) -> None:
    for number in range(60):
        call("GET", f"/api/{number}")
    first = sandbox.add_person(campaign, {"Email": "first@example.com"})
    for number in range(220):
        sandbox.add_person(campaign, {"Email": f"{number}@example.com"})
    call("POST", "/api/prospect-unsubscribe", json={"prospectID": first})

    state = call("GET", "/sandbox/state").json()

    assert [request["path"] for request in state["requests"]][:2] == ["/api/prospect-unsubscribe", "/api/59"]
    assert (len(state["requests"]), len(state["people"]), state["people_total"]) == (50, 200, 221)
    assert state["people"][0]["email"] == "first@example.com"


def test_faults_are_set_and_cleared_over_http(call: Call) -> None:
    answered = call("POST", "/sandbox/faults", json={"faults": "campaigns=status:status=503x2,writes=reset@0.5"})

    assert answered.json() == {"faults": ["campaigns: status 503, 2 more", "writes: reset, 50.0% at random"]}
    assert call("GET", "/api/campaigns").status_code == 503
    assert call("DELETE", "/sandbox/faults").json() == {"faults": []}
    assert call("GET", "/api/campaigns").status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"faults": 7}', b'{"faults": "x=y"}'])
def test_invalid_faults_are_refused(call: Call, body: bytes) -> None:
    answered = call("POST", "/sandbox/faults", data=body)

    assert (answered.status_code, answered.json()["success"]) == (400, False)


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/openapi-v1.json", "/sandbox/state", "/api/campaigns", "/x"]
)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", ""]
)
def test_other_host_names_are_refused(sandbox: Sandbox, call: Call, path: str, host: str) -> None:
    assert call("GET", path, headers={"Host": host}).status_code == 403
    assert sandbox.requests == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:80"])
def test_all_loopback_names_are_accepted(call: Call, host: str) -> None:
    assert call("GET", "/sandbox/state", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/sandbox/state"), ("POST", "/sandbox/faults"), ("DELETE", "/sandbox/faults")]
)
def test_pages_of_another_origin_are_refused(sandbox: Sandbox, call: Call, method: str, path: str) -> None:
    sandbox.fault("campaigns", "status", status=503)
    body = {"faults": "*=reset"}
    port = sandbox.url.rpartition(":")[2]

    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", "http://127.0.0.1:1"):
        assert call(method, path, json=body, headers={"Origin": origin}).status_code == 403
    assert call("GET", "/api/campaigns").status_code == 503
    assert call(method, path, json=body, headers={"Origin": sandbox.url}).status_code == 200


def test_the_description_contains_every_call(call: Call) -> None:
    described = call("GET", "/openapi.json").json()

    calls = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert calls == {
        ("GET", "/api/campaigns"),
        ("GET", "/api/campaign"),
        ("GET", "/api/campaign/{campaignID}"),
        ("POST", "/api/campaign-status"),
        ("GET", "/api/prospect"),
        ("POST", "/api/prospect"),
        ("GET", "/api/prospects/{campaignID}"),
        ("GET", "/api/prospect/{prospectID}"),
        ("POST", "/api/prospect-add"),
        ("POST", "/api/prospect-unsubscribe"),
        ("GET", "/api/my-team"),
    }
    operations: list[dict[str, Any]] = [call for methods in described["paths"].values() for call in methods.values()]
    assert all("422" not in operation["responses"] for operation in operations)
    assert described["components"]["securitySchemes"]["key"]["name"] == "Authorization"
