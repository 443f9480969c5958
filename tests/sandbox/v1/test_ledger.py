"""The ledger of mails that would start: who starts, why, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Start, V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

ANA = {"email": "ana@example.com"}
LAUNCH = {"launchTimingMode": "now", "paused": False}


def reasons(sandbox: Sandbox) -> list[str]:
    return [start.reason for start in sandbox.started]


def add(sandbox: Sandbox, v1: Call, list_id: str, **body: Any) -> None:
    v1("POST", "/contacts", json={"list_id": list_id, "contacts": [ANA], **body})
    sandbox.advance(1)
    sandbox.advance(1)


def test_an_added_lead_starts_in_each_running_sequence_of_its_list(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", id="a", lists=[people])
    sandbox.add_campaign("B", id="b", lists=[people])
    sandbox.add_campaign("C", id="c", lists=[people], paused=True)

    add(sandbox, v1, people)

    (lead,) = sandbox.leads(people)
    assert [(each.sequence_id, each.lead_id, each.email, each.reason) for each in sandbox.started] == [
        ("a", lead.id, "ana@example.com", "added"),
        ("b", lead.id, "ana@example.com", "added"),
    ]
    assert isinstance(sandbox.started[0], Start)


def test_a_prospect_added_by_the_classic_api_starts(sandbox: Sandbox, call: Call, campaign: str) -> None:
    call("POST", "/api/prospect-add", json={"campaignID": campaign, "data": {"Email": "ana@example.com"}})

    assert reasons(sandbox) == ["added"]


def test_resuming_starts_everybody_once(sandbox: Sandbox, v1: Call, call: Call, people: str) -> None:
    sequence = sandbox.add_campaign("A", paused=True, lists=[people])
    sandbox.add_lead(people, ANA)
    sandbox.add_lead(people, {"email": "ben@example.com"})
    assert sandbox.started == []

    for pause in (False, True, False):
        call("POST", "/api/campaign-status", json={"campaignID": sequence, "pause": pause})
    v1("POST", f"/sequences/{sequence}/status", json={"status": "ACTIVE"})

    assert reasons(sandbox) == ["unpaused", "unpaused"]


@pytest.mark.parametrize("alone", [True, False])
def test_the_status_alone_may_not_resume(sandbox: Sandbox, v1: Call, people: str, alone: bool) -> None:
    sandbox.v1 = V1Rules(active_alone=alone)
    sequence = sandbox.add_campaign("A", paused=True, lists=[people])
    sandbox.add_lead(people, ANA)

    answer = v1("POST", f"/sequences/{sequence}/status", json={"status": "ACTIVE"})

    assert answer.json() == {"success": True, "data": {"sequence_id": sequence, "status": "ACTIVE"}}
    assert v1("GET", f"/sequences/{sequence}").json()["data"]["paused"] is not alone
    assert reasons(sandbox) == (["unpaused"] if alone else [])
    v1("PATCH", f"/sequences/{sequence}", json=LAUNCH)
    assert v1("GET", f"/sequences/{sequence}").json()["data"]["paused"] is False
    assert reasons(sandbox) == ["unpaused"]


@pytest.mark.parametrize("again", [True, False])
def test_planning_a_running_sequence_again_may_start_everybody_again(
    sandbox: Sandbox, v1: Call, people: str, again: bool
) -> None:
    sandbox.v1 = V1Rules(replan_starts_again=again)
    sequence = sandbox.add_campaign("A", lists=[people])
    sandbox.add_lead(people, ANA)

    v1("PATCH", f"/sequences/{sequence}", json={"name": "B", "starred": True, "folder": "x"})
    assert reasons(sandbox) == ["added"]
    v1("PATCH", f"/sequences/{sequence}", json=LAUNCH)

    assert reasons(sandbox) == (["added", "re-planned"] if again else ["added"])


def test_a_paused_sequence_is_not_planned(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.v1 = V1Rules(replan_starts_again=True)
    sequence = sandbox.add_campaign("A", lists=[people], paused=True)
    sandbox.add_lead(people, ANA)

    v1("PATCH", f"/sequences/{sequence}", json={"launchTimingMode": "now"})

    assert sandbox.started == []


@pytest.mark.parametrize("evergreen", [True, False])
@pytest.mark.parametrize("needed", [True, False])
def test_adding_to_a_running_sequence_may_need_evergreen(
    sandbox: Sandbox, v1: Call, people: str, evergreen: bool, needed: bool
) -> None:
    sandbox.v1 = V1Rules(needs_evergreen=needed)
    sequence = sandbox.add_campaign("A", lists=[people])
    v1("PATCH", f"/sequences/{sequence}", json={"evergreen": evergreen})

    add(sandbox, v1, people)

    assert reasons(sandbox) == ([] if needed and not evergreen else ["added"])


def test_attaching_a_list_to_a_running_sequence_starts_its_people(sandbox: Sandbox, v1: Call, people: str) -> None:
    other = sandbox.add_list("Other")
    sequence = sandbox.add_campaign("A", lists=[people])
    sandbox.add_lead(people, ANA)
    sandbox.add_lead(other, {"email": "ben@example.com"})

    v1("PATCH", f"/sequences/{sequence}", json={"lists": [people, other]})

    assert [(start.email, start.reason) for start in sandbox.started] == [
        ("ana@example.com", "added"),
        ("ben@example.com", "attached"),
    ]


def test_a_moved_lead_starts_in_the_sequences_of_its_new_list(sandbox: Sandbox, v1: Call, people: str) -> None:
    sequence = sandbox.add_campaign("A", lists=[sandbox.add_list("Busy", id="busy")])
    lead = sandbox.add_lead(people, ANA)

    assert v1("PUT", f"/leads/{lead}/move", json={"list_id": "busy"}).status_code == 200

    assert [(start.sequence_id, start.reason) for start in sandbox.started] == [(sequence, "moved")]
    assert [each.id for each in sandbox.leads("busy")] == [lead]


@pytest.mark.parametrize("early", [True, False])
def test_mails_may_start_before_duplicates_are_removed(sandbox: Sandbox, v1: Call, people: str, early: bool) -> None:
    sandbox.v1 = V1Rules(mails_before_dedupe=early)
    sandbox.add_campaign("A", lists=[people])

    for _ in range(2):
        add(sandbox, v1, people, remove_duplicates=True)

    assert len(sandbox.leads(people)) == 1
    assert reasons(sandbox) == (["added", "added"] if early else ["added"])


def test_a_new_lead_of_a_removed_address_starts_again(sandbox: Sandbox, v1: Call, people: str) -> None:
    sandbox.add_campaign("A", lists=[people])
    add(sandbox, v1, people)
    v1("POST", "/contacts/remove", json={"list_id": people, **ANA})
    add(sandbox, v1, people)

    assert reasons(sandbox) == ["added", "added"]


def test_nobody_who_has_opted_out_or_is_blocked_starts(sandbox: Sandbox, v1: Call, people: str) -> None:
    sequence = sandbox.add_campaign("A", lists=[people], paused=True)
    lead = sandbox.add_lead(people, ANA)
    sandbox.add_lead(people, {"email": "ben@example.org"})
    sandbox.add_lead(people, {"email": "gil@example.com"}, unsubscribed=True)
    sandbox.add_lead(people, {"email": "hal@example.com"}, archived=True)
    sandbox.add_lead(people, {"email": "ida@example.com"})
    sandbox.add_lead(people, {"first_name": "without an address"})
    v1("POST", f"/leads/{lead}/unsubscribe")
    v1("POST", "/unsubscribe", json={"emails": ["example.org"]})

    sandbox.add_person(sequence, {"Email": "Ana@Example.com"})
    v1("POST", f"/sequences/{sequence}/status", json={"status": "ACTIVE"})

    assert [start.email for start in sandbox.started] == ["ida@example.com"]


def test_a_lead_taken_out_of_one_sequence_does_not_start_there(sandbox: Sandbox, v1: Call, people: str) -> None:
    for sequence in ("a", "b"):
        sandbox.add_campaign(sequence, id=sequence, lists=[people], paused=True)
    lead = sandbox.add_lead(people, ANA)

    assert v1("POST", f"/sequences/a/leads/{lead}/unsubscribe").status_code == 200
    for sequence in ("a", "b"):
        v1("POST", f"/sequences/{sequence}/status", json={"status": "ACTIVE"})

    assert [start.sequence_id for start in sandbox.started] == ["b"]
    assert not sandbox.leads(people)[0].unsubscribed


@pytest.mark.parametrize("what", ["sequence", "list"])
def test_nothing_starts_in_what_is_archived(sandbox: Sandbox, v1: Call, people: str, what: str) -> None:
    sequence = sandbox.add_campaign("A", lists=[people])
    path = f"/sequences/{sequence}" if what == "sequence" else f"/lists/{people}"

    assert v1("PUT", f"{path}/archive", json={"archived": True}).status_code == 200
    add(sandbox, v1, people)

    assert sandbox.started == []
