"""All faults, as a client sees them."""

from __future__ import annotations

import socket
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests  # noqa: TID251  # the tests check its errors

from airflow_provider_salesblink.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Call


def add(call: Call, campaign: str, **options: Any) -> requests.Response:
    new = {"campaignID": campaign, "data": {"Email": "ana@example.com"}}
    return call("POST", "/api/prospect-add", json=new, **options)


def raw(sandbox: Sandbox, path: str = "/api/campaigns") -> bytes:
    """Return all bytes of a response, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=5) as connection:
        lines = (f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: {sandbox.key}", "Connection: close")
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize("kind", ["reset", "close"])
@pytest.mark.parametrize(("when", "people"), [("before", 0), ("after", 1)])
def test_no_response(sandbox: Sandbox, call: Call, campaign: str, kind: str, when: Any, people: int) -> None:
    sandbox.fault("prospect-add", kind, when=when)

    with pytest.raises(requests.ConnectionError, match="reset by peer" if kind == "reset" else "closed connection"):
        add(call, campaign)

    assert len(sandbox.people()) == people
    assert sandbox.requests[-1].status is None
    assert add(call, campaign).status_code == 200


def test_reset_sends_rst_and_close_does_not(sandbox: Sandbox) -> None:
    sandbox.fault("campaigns", "reset")
    with pytest.raises(ConnectionResetError):
        raw(sandbox)

    sandbox.fault("campaigns", "close")
    assert raw(sandbox) == b""


@pytest.mark.parametrize(("when", "people"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("status", [400, 404, 500, 503, 418])
def test_any_status(sandbox: Sandbox, call: Call, campaign: str, status: int, when: Any, people: int) -> None:
    sandbox.fault("prospect-add", "status", status=status, when=when)

    answered = add(call, campaign)

    assert (answered.status_code, answered.json()["success"], answered.json()["error"]) == (status, False, True)
    assert len(sandbox.people()) == people


def test_a_response_without_a_body_keeps_the_connection_usable(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("campaigns", "status", status=204)

    assert call("GET", "/api/campaigns").content == b""
    assert call("GET", "/api/campaigns").status_code == 200


@pytest.mark.parametrize("form", ["seconds", "date", None])
def test_too_many_requests(sandbox: Sandbox, call: Call, campaign: str, form: Any) -> None:
    options: dict[str, Any] = {"retry_after": 7, "retry_after_form": form} if form else {}
    sandbox.fault("prospect-add", "429", **options)

    answered = add(call, campaign)

    header = answered.headers.get("Retry-After")
    assert (answered.status_code, sandbox.people()) == (429, [])
    if form == "date":
        assert header is not None
        assert 6 <= parsedate_to_datetime(header).timestamp() - time.time() <= 8
    else:
        assert header == ("7" if form else None)


def test_a_503_may_have_retry_after(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("campaigns", "status", status=503, retry_after=2)

    assert call("GET", "/api/campaigns").headers["Retry-After"] == "2"


@pytest.mark.parametrize("when", ["before", "after"])
def test_slow_returns_the_real_response(sandbox: Sandbox, call: Call, campaign: str, when: Any) -> None:
    sandbox.fault("prospect-add", "slow", seconds=0.3, when=when)
    started = time.monotonic()

    answered = add(call, campaign)

    assert time.monotonic() - started >= 0.3
    assert answered.json()["data"]["prospectID"] == sandbox.people()[0].id


@pytest.mark.parametrize(("when", "at_once"), [("before", 0), ("after", 1)])
def test_a_slow_write_is_processed_after_the_client_disconnects(
    sandbox: Sandbox, call: Call, campaign: str, when: Any, at_once: int
) -> None:
    sandbox.fault("prospect-add", "slow", seconds=0.5, when=when)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as connection:
        body = b'{"campaignID": "%s", "data": {}}' % campaign.encode()
        connection.sendall(
            b"POST /api/prospect-add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Authorization: %s\r\nContent-Length: %d\r\n\r\n%s" % (sandbox.key.encode(), len(body), body)
        )
        arrived = time.monotonic()
        while not sandbox.requests and time.monotonic() - arrived < 5:
            call("GET", "/docs")
        call("GET", "/docs")
        assert len(sandbox.people()) == at_once

    while not sandbox.people() and time.monotonic() - arrived < 5:
        call("GET", "/docs")
    assert len(sandbox.people()) == 1


@pytest.mark.parametrize(("when", "people"), [("before", 0), ("after", 1)])
def test_a_maintenance_page(sandbox: Sandbox, call: Call, campaign: str, when: Any, people: int) -> None:
    sandbox.fault("prospect-add", "html", when=when)

    answered = add(call, campaign)

    assert (answered.status_code, answered.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"maintenance" in answered.content
    assert len(sandbox.people()) == people


def test_truncated_json(sandbox: Sandbox, call: Call, campaign: str) -> None:
    sandbox.fault("campaigns", "truncated")

    half, whole = call("GET", "/api/campaigns"), call("GET", "/api/campaigns")

    assert (half.status_code, half.headers["Content-Type"]) == (200, "application/json")
    assert half.content == whole.content[: len(whole.content) // 2]
    sandbox.fault("prospect-add", "truncated")
    add(call, campaign)
    assert len(sandbox.people()) == 1


def test_a_connection_that_breaks_in_the_middle(sandbox: Sandbox, call: Call, campaign: str) -> None:
    whole = call("GET", "/api/campaigns")
    sandbox.fault("campaigns", "cut")
    head, _, body = raw(sandbox).partition(b"\r\n\r\n")

    assert b"content-length: %d" % len(whole.content) in head
    assert body == whole.content[: len(body)]
    assert 0 < len(body) < len(whole.content)

    sandbox.fault("prospect-add", "cut")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        add(call, campaign)
    assert len(sandbox.people()) == 1


@pytest.mark.parametrize(("when", "people"), [("before", 0), ("after", 1)])
def test_a_refusal_with_status_200(sandbox: Sandbox, call: Call, campaign: str, when: Any, people: int) -> None:
    sandbox.fault("prospect-add", "refused", when=when)

    answered = add(call, campaign)

    assert (answered.status_code, answered.json()) == (200, {"success": False, "message": "The request was refused."})
    assert len(sandbox.people()) == people


def test_a_redirect_goes_to_its_location(sandbox: Sandbox, call: Call, campaign: str) -> None:
    with Sandbox(key=sandbox.key) as elsewhere:
        sandbox.fault("campaigns", "redirect", location=f"{elsewhere.url}/stolen?x=1")
        answered = call("GET", "/api/campaigns")
        assert (answered.status_code, elsewhere.requests) == (302, [])

        requests.get(answered.headers["Location"], headers={"Authorization": elsewhere.key}, timeout=5)

        assert [(request.path, request.authorized) for request in elsewhere.requests] == [("/stolen", True)]
    assert [person.email for person in sandbox.people(campaign)] == []


def test_a_body_that_is_not_json(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("campaigns", "garbage")

    answered = call("GET", "/api/campaigns")

    assert (answered.status_code, answered.headers["Content-Type"]) == (200, "application/json")
    with pytest.raises(UnicodeDecodeError):
        answered.content.decode()


@pytest.mark.parametrize(
    ("operation", "hit"),
    [
        ("*", ["campaigns", "prospect", "prospect-update", "prospect-add"]),
        ("reads", ["campaigns", "prospect"]),
        ("writes", ["prospect-update", "prospect-add"]),
        ("prospect", ["prospect"]),
        ("prospect-update", ["prospect-update"]),
    ],
)
def test_which_requests_a_fault_affects(sandbox: Sandbox, call: Call, operation: str, hit: list[str]) -> None:
    requests_to = {
        "campaigns": ("GET", "/api/campaigns"),
        "prospect": ("GET", "/api/prospect/x"),
        "prospect-update": ("POST", "/api/prospect"),
        "prospect-add": ("POST", "/api/prospect-add"),
    }
    sandbox.fault(operation, "status", status=599, times=None)

    assert [name for name, request in requests_to.items() if call(*request).status_code == 599] == hit


def test_scripted_faults_come_first_and_in_order(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("*", "status", status=599, share=1)
    sandbox.fault("campaigns", "status", status=501, times=2)
    sandbox.fault("reads", "status", status=502)

    assert [call("GET", "/api/campaigns").status_code for _ in range(5)] == [501, 501, 502, 599, 599]
    assert [request.fault for request in sandbox.requests][::3] == ["status 501", "status 599"]


def test_a_share_is_random_and_repeatable(sandbox: Sandbox, call: Call) -> None:
    rounds = []
    for _ in range(2):
        sandbox.reset()
        sandbox.fault("*", "status", status=503, share=0.3)
        rounds.append([call("GET", "/api/campaigns").status_code for _ in range(100)])

    assert rounds[0] == rounds[1]
    assert 15 <= rounds[0].count(503) <= 45


def test_faults_are_cleared(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("*", "reset", times=None)
    sandbox.clear_faults()

    assert call("GET", "/api/campaigns").status_code == 200


def test_faults_do_not_affect_the_pages(sandbox: Sandbox, call: Call) -> None:
    sandbox.fault("*", "reset", times=None)

    pages = ("/", "/docs", "/openapi.json", "/openapi-v1.json", "/sandbox/state")
    assert [call("GET", path).status_code for path in pages] == [200] * 5
    assert sandbox.requests == []


def test_faults_as_objects() -> None:
    with Sandbox(faults=[Fault("campaigns", "status", status=503)]) as sandbox:
        assert requests.get(f"{sandbox.url}/api/campaigns", timeout=5).status_code == 503
