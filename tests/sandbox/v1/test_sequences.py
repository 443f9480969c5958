"""``/sequences`` and the leads of a sequence."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import CampaignState, V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

ANA = {"email": "ana@example.com", "first_name": "Ana"}


def names(v1: Call, **query: Any) -> list[str]:
    return [found["name"] for found in v1("GET", "/sequences", params=query).json()["data"]]


def new(list_id: str, **changes: Any) -> dict[str, Any]:
    return {"name": "A", "senders": "s1,s2", "lists": [list_id], "steps": [{"type": "delay", "days": 2}], **changes}


def test_a_new_sequence_is_paused(sandbox: Sandbox, v1: Call, people: str) -> None:
    created = v1("POST", "/sequences", json=new(people, timezone="UTC")).json()["data"]

    assert (created["name"], created["paused"]) == ("A", True)
    found = v1("GET", f"/sequences/{created['id']}").json()["data"]
    assert (found["lists"], found["senders"], found["timezone"]) == ([people], "s1,s2", "UTC")
    assert [sender["id"] for sender in found["emailSenders"]] == ["s1", "s2"]
    assert found["steps"] == [{"type": "delay", "days": 2}]
    assert found["date_created"] == created["date_created"] > 1_600_000_000_000
    assert sandbox.campaigns() == [CampaignState(created["id"], "A", paused=True)]


def test_a_new_sequence_may_run_at_once(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_lead(people, ANA)

    assert v1("POST", "/sequences", json=new(people, paused=False)).json()["data"]["paused"] is False
    assert [start.reason for start in sandbox.started] == ["unpaused"]


@pytest.mark.parametrize(
    "change",
    [{"lists": []}, {"lists": ["nope"]}, {"senders": ["s1"]}, {"name": None}, {"paused": "no"}, {"scheduledAt": "x"}],
    ids=str,
)
def test_a_new_sequence_is_refused(sandbox: Sandbox, v1: Call, people: str, change: dict[str, Any]) -> None:
    assert v1("POST", "/sequences", json=new(people, **change)).status_code == 400
    assert sandbox.campaigns() == []


@pytest.mark.parametrize("status", ["PAUSED", "STOPPED", "ARCHIVED"])
def test_a_status_pauses(sandbox: Sandbox, v1: Call, people: str, status: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])

    assert v1("POST", "/sequences/a/status", json={"status": status}).json()["data"]["status"] == status
    assert sandbox.campaigns() == [CampaignState("a", "A", paused=True, archived=status == "ARCHIVED")]


def test_an_unknown_status_is_refused(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])

    assert v1("POST", "/sequences/a/status", json={"status": "paused"}).status_code == 400


def test_sequences_are_filtered(sandbox: Sandbox, v1: Call, people: str) -> None:
    for name in ("Running", "Paused", "Done", "Broken", "Gone"):
        sandbox.add_campaign(name, id=name, lists=[people], paused=name == "Paused")
    sandbox.set_condition("Done", "completed")
    sandbox.set_condition("Broken", "needs-attention")
    v1("PUT", "/sequences/Gone/archive", json={"archived": True})
    v1("PATCH", "/sequences/Done", json={"starred": True, "folder": "F"})

    assert names(v1) == ["Broken", "Done", "Paused", "Running"]
    assert names(v1, sendAll="true", sortType="asc") == ["Running", "Paused", "Done", "Broken", "Gone"]
    assert (names(v1, archived="true"), names(v1, starred="true")) == (["Gone"], ["Done"])
    assert names(v1, folder="f") == ["Done"]
    assert names(v1, search="RUN", limit=1) == ["Running"]
    for status, name in (("running", "Running"), ("paused", "Paused"), ("completed", "Done")):
        assert names(v1, status=status) == [name]
    assert names(v1, status="needs-attention") == ["Broken"]
    blocked = [found.get("blocked") for found in v1("GET", "/sequences").json()["data"]]
    assert blocked == [True, None, None, None]


@pytest.mark.parametrize("shown", [True, False])
def test_lists_are_only_sure_on_the_single_sequence(sandbox: Sandbox, v1: Call, people: str, shown: bool) -> None:
    sandbox.v1 = V1Rules(lists_in_listing=shown)
    sandbox.add_campaign("A", id="a", lists=[people])

    assert v1("GET", "/sequences").json()["data"][0].get("lists") == ([people] if shown else None)
    assert v1("GET", "/sequences/a").json()["data"]["lists"] == [people]


def test_archiving_pauses(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])

    for archived in (True, False):
        v1("PUT", "/sequences/a/archive", json={"archived": archived})
        assert sandbox.campaigns() == [CampaignState("a", "A", paused=True, archived=archived)]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_clone_is_paused_and_may_keep_the_lists(sandbox: Sandbox, v1: Call, people: str, keeps: bool) -> None:
    sandbox.v1 = V1Rules(clone_keeps_lists=keeps)
    sandbox.add_campaign("A", id="a", lists=[people])
    v1("PATCH", "/sequences/a", json={"senders": "s1"})

    clone = v1("POST", "/sequences/a/clone").json()["data"]["clonedSequenceId"]

    found = v1("GET", f"/sequences/{clone}").json()["data"]
    assert (found["paused"], found["senders"], found["lists"]) == (True, "s1", [people] if keeps else [])


def test_the_leads_of_a_sequence_show_their_state(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])
    ana = sandbox.add_lead(people, ANA)
    ben = sandbox.add_lead(people, {"email": "ben@example.com"})
    gone = sandbox.add_lead(people, {"email": "gone@example.com"})
    v1("POST", f"/leads/{ben}/unsubscribe")
    v1("POST", "/contacts/remove", json={"list_id": people, "email": "gone@example.com"})

    answer = v1("GET", "/sequences/a/leads").json()

    assert [(lead["lead_id"], lead["email"], lead["status"]) for lead in answer["data"]] == [
        (ana, "ana@example.com", "contacted"),
        (ben, "ben@example.com", "unsubscribed"),
        (None, "gone@example.com", "contacted"),
    ]
    assert (answer["data"][0]["first_name"], answer["data"][1]["first_name"]) == ("Ana", None)
    assert (answer["count"], answer["total"]) == (3, 3)
    only = v1("GET", "/sequences/a/leads?status=unsubscribed").json()["data"]
    assert [lead["lead_id"] for lead in only] == [ben]
    second = v1("GET", "/sequences/a/leads?limit=1&skip=1").json()
    assert ([lead["lead_id"] for lead in second["data"]], second["total"]) == ([ben], 3)
    assert gone


@pytest.mark.parametrize("shown", [True, False])
def test_a_sequence_that_never_ran_may_show_nobody(sandbox: Sandbox, v1: Call, people: str, shown: bool) -> None:
    sandbox.v1 = V1Rules(unran_lists_leads=shown)
    sandbox.add_campaign("A", id="a", lists=[people], paused=True)
    sandbox.add_lead(people, ANA)

    assert len(v1("GET", "/sequences/a/leads").json()["data"]) == shown
    assert len(v1("GET", "/sequences/a/export").text.splitlines()) == 1 + shown
    v1("POST", "/sequences/a/status", json={"status": "ACTIVE"})
    v1("POST", "/sequences/a/status", json={"status": "PAUSED"})
    assert len(v1("GET", "/sequences/a/leads").json()["data"]) == 1


def test_the_export_is_csv_and_cut_without_a_word(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])
    sandbox.add_lead(people, {**ANA, "note": 'with "quotes", and a\nline'})
    sandbox.add_lead(people, {"email": "chloé@example.com"})

    answer = v1("GET", "/sequences/a/export")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["email"] for row in rows] == ["ana@example.com", "chloé@example.com"]
    assert (rows[0]["status"], rows[0]["note"]) == ("contacted", 'with "quotes", and a\nline')
    assert len(list(csv.DictReader(io.StringIO(v1("GET", "/sequences/a/export?limit=1").text)))) == 1


def test_messages_of_a_lead_have_no_total(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])
    lead = sandbox.add_lead(people, ANA)
    stranger = sandbox.add_lead(sandbox.add_list("Other"), ANA)

    answer = v1("GET", f"/sequences/a/leads/{lead}/messages").json()

    assert [message["message"] for message in answer["data"]] == ["Sent"]
    assert "total" not in answer
    assert v1("GET", f"/sequences/a/leads/{stranger}/messages").status_code == 404


def test_a_lead_taken_out_of_a_sequence_is_not_shown_there(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])
    lead = sandbox.add_lead(people, ANA)

    assert v1("POST", f"/sequences/a/leads/{lead}/unsubscribe").status_code == 200
    assert v1("GET", "/sequences/a/leads").json()["data"] == []
    assert "ana@example.com" not in v1("GET", "/unsubscribe").text


def test_the_stats_count_the_events(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])
    lead = sandbox.add_lead(people, ANA)
    v1("POST", f"/leads/{lead}/unsubscribe")

    stats = v1("GET", "/sequences/a/stats").json()["data"]

    assert (stats["leads"], stats["sent"], stats["unsubscribed"], stats["opens"]) == (1, 1, 1, 0)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("POST", "/status", {"status": "ACTIVE"}),
        ("PUT", "/archive", {}),
        ("POST", "/clone", None),
        ("GET", "/stats", None),
        ("GET", "/leads", None),
        ("GET", "/export", None),
        ("GET", "/leads/x/messages", None),
        ("POST", "/leads/x/unsubscribe", None),
    ],
)
def test_an_unknown_sequence_is_not_found(v1: Call, method: str, path: str, body: dict[str, str] | None) -> None:
    answer = v1(method, f"/sequences/nope{path}", json=body)

    assert (answer.status_code, answer.json()["message"]) == (404, "Sequence not found.")


@pytest.mark.parametrize("api", ["classic", "v1"])
def test_both_apis_pause_the_same_campaign(v1: Call, call: Call, campaign: str, api: str) -> None:
    if api == "classic":
        call("POST", "/api/campaign-status", json={"campaignID": campaign, "pause": True})
    else:
        v1("PATCH", f"/sequences/{campaign}", json={"paused": True})

    assert v1("GET", f"/sequences/{campaign}").json()["data"]["paused"] is True
    assert call("GET", f"/api/campaign/{campaign}").json()["data"]["paused"] is True
