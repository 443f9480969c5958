"""What activity events and opt-outs leave in the feeds, the sequence and the blocklist of the v1 API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call


@pytest.fixture
def ana(sandbox: Sandbox, campaign: str) -> str:
    sandbox.add_person(campaign, {"Email": "ben@example.com"})
    return sandbox.add_person(campaign, {"Email": "ana@example.com"})


@pytest.mark.parametrize(
    ("happening", "message", "status"),
    [
        ("open", "Opened", "opened"),
        ("click", "Clicked", "clicked"),
        ("reply", "Replied", "replied"),
        ("bounce", "Bounced", "bounced"),
        ("unsubscribe", "Unsubscribed", "unsubscribed"),
    ],
)
def test_an_event_changes_the_state_in_the_sequence(
    sandbox: Sandbox, call: Call, campaign: str, ana: str, happening: str, message: str, status: str
) -> None:
    assert states(call, campaign) == {"ben@example.com": "contacted", "ana@example.com": "contacted"}

    sandbox.happen(happening, to=ana)

    assert states(call, campaign) == {"ben@example.com": "contacted", "ana@example.com": status}
    (event,) = call("GET", f"{PREFIX}/reports", params={"message": message}).json()["data"]
    assert (event["email"], event["sequence"]) == ("ana@example.com", campaign)


@pytest.mark.parametrize(
    ("happening", "feed", "detail"),
    [("open", "opens", "sender"), ("click", "clicks", "link"), ("reply", "replies", "body")],
)
def test_each_event_has_its_feed(
    sandbox: Sandbox, call: Call, ana: str, happening: str, feed: str, detail: str
) -> None:
    sandbox.happen(happening, to=ana)

    (event,) = call("GET", f"{PREFIX}/{feed}").json()
    assert event["email"] == "ana@example.com"
    assert event[detail]


def test_the_reply_is_in_the_inbox(sandbox: Sandbox, call: Call, ana: str) -> None:
    sandbox.happen("reply", to=ana)

    (item,) = call("GET", f"{PREFIX}/inbox").json()["data"]["result"]
    assert (item["email"], item["data"]["email"]["body"]) == ("ana@example.com", "Thank you, that sounds good.")


def test_a_person_whose_sequence_never_ran_has_events_of_it_too(sandbox: Sandbox, call: Call) -> None:
    paused = sandbox.add_campaign("Paused", paused=True)
    eve = sandbox.add_person(paused, {"Email": "eve@example.com"})

    sandbox.happen("bounce", to=eve)

    (event,) = call("GET", f"{PREFIX}/reports").json()["data"]
    assert (event["message"], event["sequence"]) == ("Bounced", paused)


def test_nobody_opens_mail_after_opting_out(sandbox: Sandbox, ana: str) -> None:
    for person in sandbox.people():
        sandbox.happen("unsubscribe", to=person.id)

    assert [sandbox.happen(happening) for happening in ("open", "click", "bounce")] == [None] * 3
    assert {event.message for event in sandbox.events if event.lead_id == ana} == {"Sent", "Unsubscribed"}


def test_who_unsubscribes_comes_onto_the_blocklist(sandbox: Sandbox, ana: str) -> None:
    sandbox.happen("unsubscribe", to=ana)

    assert sandbox.blocked() == ["ana@example.com"]


def test_the_blocklist_may_show_it_later_but_mail_stops_at_once(sandbox: Sandbox, campaign: str, ana: str) -> None:
    sandbox.v1 = V1Rules(blocklist_delay=3600)
    starts = len(sandbox.started)

    sandbox.happen("unsubscribe", to=ana)
    sandbox.add_person(campaign, {"Email": "Ana@example.com"})

    assert sandbox.blocked() == []
    assert len(sandbox.started) == starts


def states(call: Call, sequence_id: str) -> dict[str, Any]:
    leads = call("GET", f"{PREFIX}/sequences/{sequence_id}/leads").json()["data"]
    return {lead["email"]: lead["status"] for lead in leads}
