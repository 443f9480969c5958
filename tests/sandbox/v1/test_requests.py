"""What holds for every request of the v1 API: errors, limits, faults, and which API is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests  # noqa: TID251  # the tests are this server's client

from airflow_provider_salesblink.sandbox import Limits, SandboxUsageError, V1Rules
from airflow_provider_salesblink.sandbox.v1.operations import OPERATIONS, operation_of

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call


def test_errors_are_in_the_words_of_v1(sandbox: Sandbox, v1: Call) -> None:
    answers = [
        v1("GET", "/lists", headers={"Authorization": "wrong"}),
        v1("GET", "/lists", headers={"Authorization": f"Bearer {sandbox.key}"}),
        v1("GET", "/nope"),
        v1("DELETE", "/lists"),
        v1("POST", "/lists", data="x", headers={"Content-Type": "text/plain"}),
        v1("POST", "/lists", data="x", headers={"Content-Type": "application/json"}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 404, 405, 400, 400]
    for answer in answers:
        assert answer.json().keys() == {"success", "message"}
        assert answer.json()["success"] is False
    assert answers[3].headers["allow"] == "GET, POST"


def test_accept_does_not_matter(v1: Call) -> None:
    assert v1("GET", "/lists", headers={"Accept": "text/csv"}).status_code == 200


def test_there_are_three_tiers_of_limits(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.limits = Limits(reads=1, writes=2, deletes=1)

    assert [v1("GET", "/lists").status_code for _ in range(2)] == [200, 429]
    assert v1("POST", "/lists", json={"name": "x"}).status_code == 200
    assert v1("PATCH", f"/lists/{people}", json={}).status_code == 200
    refused = v1("POST", "/lists", json={"name": "x"})
    assert (refused.status_code, refused.json()["success"]) == (429, False)
    assert int(refused.headers["retry-after"]) in range(1, 61)
    assert [v1("PUT", f"/lists/{people}/archive", json={}).status_code for _ in range(2)] == [200, 429]


def test_the_real_limits_are_known() -> None:
    assert Limits.parse("real") == Limits(reads=30, writes=15, deletes=10)
    assert Limits.parse("deletes=3") == Limits(deletes=3)


@pytest.mark.parametrize(("name", "call"), OPERATIONS.items())
def test_a_request_belongs_to_one_operation(name: str, call: str) -> None:
    method, path = call.replace("{id}", "a%2Fb").replace("{leadId}", "x").split(" ")

    assert operation_of(method, f"/api/public/v1.0.0{path}") == f"v1.{name}"
    assert operation_of(method, f"/api/public/v1.0.0{path}/more/still") == ""


def test_a_fault_is_for_one_operation(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.fault("v1.addContacts", "reset", when="after")
    body = {"list_id": people, "contacts": [{"email": "ana@example.com"}]}

    assert v1("GET", "/lists").status_code == 200
    with pytest.raises(requests.ConnectionError):
        v1("POST", "/contacts", json=body)
    sandbox.advance(1)

    assert [lead.email for lead in sandbox.leads(people)] == ["ana@example.com"]


def test_a_fault_may_be_for_deletes(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.fault("deletes", "status", status=500)

    assert v1("PATCH", f"/lists/{people}", json={}).status_code == 200
    refused = v1("PUT", f"/lists/{people}/archive", json={})
    assert (refused.status_code, refused.json().keys()) == (500, {"success", "message"})


@pytest.mark.parametrize("kind", ["truncated", "html", "refused"])
def test_the_export_can_be_spoilt(sandbox: Sandbox, v1: Call, campaign: str, kind: str) -> None:
    sandbox.add_person(campaign, {"Email": "ana@example.com"})
    whole = v1("GET", f"/sequences/{campaign}/export")
    sandbox.fault("v1.exportSequenceLeads", kind)

    spoilt = v1("GET", f"/sequences/{campaign}/export")

    assert spoilt.status_code == 200
    assert spoilt.content != whole.content
    assert (spoilt.headers["content-type"] == whole.headers["content-type"]) == (kind == "truncated")


def test_the_export_can_break_off(sandbox: Sandbox, v1: Call, campaign: str) -> None:
    sandbox.fault("v1.exportSequenceLeads", "cut")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        v1("GET", f"/sequences/{campaign}/export")


@pytest.mark.parametrize(("served", "v1_answers", "classic_answers"), [("v1", 200, 404), ("classic", 404, 200)])
def test_an_api_can_be_switched_off(
    sandbox: Sandbox, v1: Call, call: Call, served: str, v1_answers: int, classic_answers: int
) -> None:
    sandbox.serves = frozenset({served})

    answers = [v1("GET", "/lists"), call("GET", "/api/campaigns")]

    assert [answer.status_code for answer in answers] == [v1_answers, classic_answers]
    (off,) = (answer for answer in answers if answer.status_code == 404)
    assert off.headers["content-type"].startswith("text/html")
    assert "Cannot GET /api/" in off.text
    assert requests.get(f"{sandbox.url}/", timeout=5).status_code == 200


def test_an_unknown_api_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxUsageError, match="Known: classic, v1"):
        sandbox.serves = frozenset({"v2"})


def test_rules_are_parsed() -> None:
    text = "import_delay=0.5, mails_before_dedupe=no,columns=any,replan_starts_again=TRUE"

    assert V1Rules.parse(text) == V1Rules(
        import_delay=0.5, mails_before_dedupe=False, columns="any", replan_starts_again=True
    )
    assert V1Rules.parse("") == V1Rules()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import_delay=soon", "import_delay must be a number"),
        ("import_loses=2", "at most 1"),
        ("columns=camel", "Known: snake_case, any"),
        ("active_alone=maybe", "Known: true, yes, 1, false, no, 0"),
        ("delay=1", "Known: import_delay"),
    ],
)
def test_a_wrong_rule_is_an_error(text: str, message: str) -> None:
    with pytest.raises(SandboxUsageError, match=message):
        V1Rules.parse(text)


def test_a_rule_out_of_range_is_an_error() -> None:
    with pytest.raises(SandboxUsageError, match="at least 0"):
        V1Rules(import_delay=-1)


def test_reset_restores_the_rules_and_the_apis(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.v1, sandbox.serves = V1Rules(columns="any", import_delay=60), frozenset({"classic"})
    sandbox.serves = frozenset({"v1"})
    v1("POST", "/contacts", json={"list_id": people, "contacts": [{"email": "ana@example.com"}]})

    sandbox.reset()
    sandbox.advance(60)

    assert (sandbox.v1, sandbox.serves) == (V1Rules(), {"classic", "v1"})
    assert (sandbox.lists(), sandbox.people(), sandbox.started) == ([], [], [])
