"""The log of received requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests  # noqa: TID251  # the tests are this server's client

from airflow_provider_salesblink.sandbox import Sandbox

if TYPE_CHECKING:
    from tests.sandbox.conftest import Call


def test_a_request_is_logged_as_sent(sandbox: Sandbox, call: Call) -> None:
    before = time.monotonic()
    call("POST", "/api/prospect/a%2Fb%20c?x=%2B&y", json={"a": [1]}, headers={"X-Odd": "Yes"})

    (request,) = sandbox.requests

    assert (request.method, request.path, request.query) == ("POST", "/api/prospect/a%2Fb%20c", "x=%2B&y")
    assert (request.body, request.status, request.fault, request.authorized) == ({"a": [1]}, 405, None, True)
    assert request.headers["x-odd"] == "Yes"
    assert before <= request.at <= time.monotonic()
    assert sandbox.key not in repr(request)
    assert "authorization" not in request.headers


def test_connections_are_distinguished(sandbox: Sandbox, call: Call) -> None:
    call("GET", "/api/campaigns")
    call("GET", "/api/campaigns")
    requests.get(f"{sandbox.url}/api/campaigns", timeout=5)

    first, second, third = (request.connection for request in sandbox.requests)
    assert first == second != third


def test_a_body_that_is_not_json_is_logged_as_none(sandbox: Sandbox, call: Call) -> None:
    call("POST", "/api/prospect", data=b"{")

    assert sandbox.requests[0].body is None


def test_the_status_is_logged_before_the_client_receives_it(sandbox: Sandbox, call: Call) -> None:
    for _ in range(50):
        call("GET", "/api/campaigns")
        assert sandbox.requests[-1].status == 200


def test_only_the_latest_are_kept() -> None:
    with Sandbox(keep_requests=3) as sandbox, requests.Session() as session:
        for number in range(5):
            session.get(f"{sandbox.url}/api/{number}", timeout=5)

        assert [request.path for request in sandbox.requests] == ["/api/2", "/api/3", "/api/4"]
