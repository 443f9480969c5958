"""The calls in the contract of the API v1: the requests they send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from airflow_provider_salesblink.client.v1 import PREFIX
from tests.client.raw_server import answer
from tests.client.v1.conftest import KEY
from tests.client.v1.contract import operations, path_pattern, problems_of_body, problems_of_query
from tests.client.v1.documented_calls import DOCUMENTED, NOT_OFFERED, Documented, every_call

if TYPE_CHECKING:
    from tests.client.v1.conftest import NewResources


def wire(content: Any) -> bytes:
    if not isinstance(content, str):
        return answer(content, Content_Type="application/json")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: {len(content)}\r\n\r\n"
    return (head + content).encode()


@every_call
def test_a_call_sends_exactly_what_is_documented(resources: NewResources, call: Documented) -> None:
    api = resources(script=lambda _: [wire(call.content)])

    call.make(api)

    (sent,) = api.server.requests
    path, _, query = sent.target.removeprefix(PREFIX).partition("?")
    assert sent.target.startswith(PREFIX)
    assert (sent.method, path) == (operations()[call.operation][0], call.path)
    assert dict(parse_qsl(query, strict_parsing=bool(query))) == call.query
    assert sent.body == call.body
    assert sent.headers["authorization"] == KEY
    assert sent.headers["accept"] == (
        "text/csv, application/json" if isinstance(call.content, str) else "application/json"
    )
    assert sent.headers.get("content-type") == (None if call.body is None else "application/json")


@every_call
def test_what_a_call_sends_fits_the_contract(call: Documented) -> None:
    assert path_pattern(call.operation).fullmatch(call.path)
    assert problems_of_query(call.operation, call.query) == []
    assert problems_of_body(call.operation, call.body) == []


def test_every_documented_call_is_tested_here_or_not_offered() -> None:
    assert {call.operation for call in DOCUMENTED} == operations().keys() - NOT_OFFERED


def test_the_comparison_with_the_contract_can_fail() -> None:
    assert problems_of_query("listLists", {"limit": "101"}) == ["wrong limit=101"]
    assert problems_of_query("listLists", {"status": "running"}) == ["wrong status=running"]
    assert problems_of_query("checkBlocklist", {}) == ["missing email"]
    assert problems_of_body("moveLead", {"list": "l1"})
    assert problems_of_body("cloneSequence", {"id": "s1"})
