"""All error responses, and their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Limits

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

ADD, CHANGE, STATUS, OUT = "/api/prospect-add", "/api/prospect", "/api/campaign-status", "/api/prospect-unsubscribe"


def assert_refused(answered: Any, status: int, *words: str) -> None:
    body = answered.json()
    assert (answered.status_code, body["success"], body["error"]) == (status, False, True)
    assert answered.headers["Content-Type"] == "application/json"
    for word in words:
        assert word in body["message"]


@pytest.mark.parametrize("key", ["", "wrong", "Bearer {key}", "{key}x", "Ünïcode".encode()])
def test_a_wrong_key_is_refused(sandbox: Sandbox, call: Call, key: str | bytes) -> None:
    sent = key.format(key=sandbox.key) if isinstance(key, str) else key

    assert_refused(call("GET", "/api/campaigns", headers={"Authorization": sent}), 401, "API key is wrong")
    assert not sandbox.requests[-1].authorized


def test_a_member_key_is_refused_only_for_administrator_calls(sandbox: Sandbox, call: Call) -> None:
    member = {"Authorization": sandbox.member_key}

    assert_refused(call("GET", "/api/my-team", headers=member), 403, "administrators only")
    assert call("GET", "/api/campaigns", headers=member).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/campaign/nope", None),
        ("GET", "/api/prospects/nope", None),
        ("GET", "/api/prospect/nope", None),
        ("GET", "/api/prospect/%00", None),
        ("GET", "/api/prospect/%ff", None),
        ("POST", STATUS, {"campaignID": "nope", "pause": True}),
        ("POST", ADD, {"campaignID": "nope", "data": {}}),
        ("POST", CHANGE, {"prospectID": "nope", "key": "Email", "value": "ana@example.com"}),
        ("POST", OUT, {"prospectID": "nope"}),
        ("GET", "/api/nothing", None),
        ("GET", "/nothing", None),
        ("GET", "/api/campaigns/", None),
    ],
)
def test_an_unknown_id_or_path_is_not_found(sandbox: Sandbox, call: Call, method: str, path: str, body: Any) -> None:
    assert_refused(call(method, path, json=body), 404, "Not Found")
    assert sandbox.people() == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/campaigns", "GET"),
        ("DELETE", "/api/prospect", "GET, POST"),
        ("PUT", "/api/prospect/x", "GET"),
        ("GET", ADD, "POST"),
        ("PATCH", STATUS, "POST"),
        ("TRACE", OUT, "POST"),
    ],
)
def test_a_wrong_method_is_refused_before_the_key_is_checked(call: Call, method: str, path: str, allowed: str) -> None:
    answered = call(method, path, headers={"Authorization": "wrong"})

    assert_refused(answered, 405, "invalid method")
    assert answered.headers["Allow"] == allowed


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("application/*;q=0.1", 200),
        ("text/html, */*;q=0.8", 200),
        ("", 200),
        ("text/html", 406),
        ("application/json;q=0, */*", 406),
        ("application/xml, text/*", 406),
        ("application/json;q=x", 406),
    ],
)
def test_a_format_that_is_not_json_is_refused(call: Call, accept: str, status: int) -> None:
    assert call("GET", "/api/campaigns", headers={"Accept": accept}).status_code == status


@pytest.mark.parametrize("path", ["/api/campaign", "/api/prospect"])
def test_a_search_needs_a_term(call: Call, path: str) -> None:
    assert_refused(call("GET", path), 400, "request is invalid", "term")


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        (STATUS, {"pause": True}, "campaignID"),
        (STATUS, {"campaignID": "{}"}, "pause"),
        (STATUS, {"campaignID": "{}", "pause": "true"}, "pause"),
        (STATUS, {"campaignID": "{}", "pause": 1}, "pause"),
        (STATUS, {"campaignID": "{}", "pause": True, "more": 1}, "more"),
        (STATUS, {"campaignID": 7, "pause": True}, "campaignID"),
        (STATUS, {"campaignID": None, "pause": True}, "campaignID"),
        (ADD, {"campaignID": "{}"}, "data"),
        (ADD, {"campaignID": "{}", "data": []}, "data"),
        (ADD, {"campaignID": "{}", "data": "x"}, "data"),
        (ADD, {"campaignID": "{}", "data": {}, "Email": "ana@example.com"}, "Email"),
        (CHANGE, {"prospectID": "x", "key": "Score", "value": 7}, "value"),
        (CHANGE, {"prospectID": "x", "key": "Score"}, "value"),
        (OUT, {}, "prospectID"),
        (OUT, {"campaignID": "x"}, "prospectID"),
        (OUT, [], "body"),
        (OUT, "x", "body"),
        (OUT, 7, "body"),
    ],
)
def test_an_undocumented_body_is_refused(
    sandbox: Sandbox, call: Call, campaign: str, path: str, body: Any, word: str
) -> None:
    if isinstance(body, dict) and body.get("campaignID") == "{}":
        body = {**body, "campaignID": campaign}

    assert_refused(call("POST", path, json=body), 400, "request is invalid", word)
    assert sandbox.people() == []
    assert not sandbox.campaigns()[0].paused


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{",
        b'{"prospectID": "x"',
        b'{"prospectID": NaN}',
        b'{"campaignID": "c", "data": {"x": 1e999}}',
        b'{"campaignID": "c", "data": {"x": "\\ud800"}}',
        b'{"campaignID": "c", "data": {"Email": "\xff"}}',
        b"[" * 100_000,
        b'{"campaignID": "c", "data": {"x": ' + b"9" * 5000 + b"}}",
    ],
)
def test_a_body_that_is_not_json_is_refused(call: Call, body: bytes) -> None:
    assert_refused(call("POST", ADD, data=body, headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_without_the_json_content_type_is_refused(call: Call, campaign: str, content_type: str | None) -> None:
    body = f'{{"campaignID": "{campaign}", "pause": true}}'.encode()

    assert_refused(call("POST", STATUS, data=body, headers={"Content-Type": content_type}), 400, "application/json")


def test_the_checks_have_a_fixed_order(sandbox: Sandbox, call: Call) -> None:
    """Each request would also fail all later checks."""
    bad: dict[str, str | None] = {"Authorization": "wrong", "Accept": "text/html", "Content-Type": None}
    sandbox.limits = Limits(reads=1, writes=1)
    call("GET", "/api/campaigns")
    call("POST", ADD)
    member = sandbox.member_key

    assert call("POST", ADD, data=b"{", headers=bad).status_code == 401
    assert call("POST", ADD, data=b"{", headers={**bad, "Authorization": sandbox.key}).status_code == 406
    assert call("POST", ADD, data=b"{").status_code == 429
    assert call("GET", "/api/my-team", headers={"Authorization": member}).status_code == 429
    sandbox.limits = Limits()
    assert call("GET", "/api/my-team", headers={"Authorization": member}).status_code == 403
    assert call("POST", ADD, json={"campaignID": "nope"}).status_code == 400
