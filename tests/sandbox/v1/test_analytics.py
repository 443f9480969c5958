"""Totals of events, mailboxes, and the inbox of the v1 API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox.mailboxes import MAILBOXES
from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

OLU, MIA = MAILBOXES
DAY = 24 * 3600 * 1000


def get(call: Call, path: str, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = call("GET", f"{PREFIX}/{path}", params=query).json()
    return answer


@pytest.fixture
def events(sandbox: Sandbox) -> None:
    for at, message in enumerate(["Sent"] * 8 + ["Opened"] * 4 + ["Clicked", "Replied", "Bounced", "Unsubscribed"]):
        email = "ana@example.com" if at % 2 else "ben@example.com"
        sandbox.add_event(message, email=email, time_ms=at, sender=OLU.id if at < 8 else MIA.id)


@pytest.mark.usefixtures("events")
def test_totals_of_a_window(call: Call) -> None:
    overall = get(call, "analytics/overall", **{"from": 0, "to": 100})

    assert (overall["from"], overall["to"]) == (0, 100)
    assert overall["data"] == {
        "sent": 8, "opens": 4, "clicks": 1, "replies": 1, "bounces": 1, "unsubscribes": 1,
        "delivery_rate": 87.5, "open_rate": 50.0, "click_rate": 25.0, "reply_rate": 12.5,
    }  # fmt: skip


def test_totals_of_nothing_are_zero(call: Call) -> None:
    assert set(get(call, "analytics/overall")["data"].values()) == {0}


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("inclusive", [True, False])
def test_the_end_of_the_window(sandbox: Sandbox, call: Call, *, inclusive: bool) -> None:
    sandbox.v1 = V1Rules(to_inclusive=inclusive)

    assert get(call, "analytics/overall", **{"from": 2, "to": 5})["data"]["sent"] == 3 + inclusive


def test_totals_by_day_depend_on_the_time_zone(sandbox: Sandbox, call: Call) -> None:
    for at in (DAY - 1, DAY, 3 * DAY):
        sandbox.add_event("Sent", time_ms=at)

    assert days(call) == {"1970-01-01": 1, "1970-01-02": 1, "1970-01-04": 1}
    assert days(call, timezone="Asia/Tokyo") == {"1970-01-02": 2, "1970-01-04": 1}


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc", "Europe"])
def test_an_unknown_time_zone_is_refused(call: Call, zone: str) -> None:
    assert call("GET", f"{PREFIX}/analytics/daily", params={"timezone": zone}).status_code == 400


@pytest.mark.usefixtures("events")
def test_totals_by_lead(call: Call) -> None:
    answer = get(call, "analytics/lead-stats")

    ben, ana = answer["data"]
    assert (ana["_id"], ana["sent"], ana["unsubscribes"], ana["last_activity"]) == ("ana@example.com", 4, 1, 15)
    assert (ben["_id"], ben["sent"], ben["unsubscribes"], ben["last_activity"]) == ("ben@example.com", 4, 0, 14)
    assert (answer["count"], answer["total"], answer["skip"], answer["limit"]) == (2, 2, 0, 100)
    assert get(call, "analytics/lead-stats", skip=1, limit=1000)["data"] == [ana]
    assert get(call, "analytics/lead-stats", limit=1000)["limit"] == 500


@pytest.mark.usefixtures("events")
def test_totals_by_mailbox(sandbox: Sandbox, call: Call) -> None:
    sandbox.add_event("Sent", time_ms=16, sender="gone")

    olu, mia, gone = get(call, "analytics/mailbox-stats")["data"]

    assert (olu["_id"], olu["sent"], olu["opens"], olu["sender"]["email"]) == (OLU.id, 8, 0, OLU.email)
    assert (mia["_id"], mia["sent"], mia["opens"], mia["sender"]["name"]) == (MIA.id, 0, 4, MIA.name)
    assert (gone["_id"], set(gone["sender"].values())) == ("gone", {None})


def test_mailboxes(call: Call) -> None:
    assert [sender["google_email"] for sender in get(call, "senders")["data"]] == [OLU.email, MIA.email]
    assert [sender["id"] for sender in get(call, "senders", search="MIA")["data"]] == [MIA.id]
    assert [sender["id"] for sender in get(call, "senders", skip=1, limit=1)["data"]] == [MIA.id]


def test_the_health_of_a_mailbox_comes_from_its_last_week(sandbox: Sandbox, call: Call) -> None:
    sandbox.add_event("Bounced", sender=OLU.id, time_ms=1)
    for message in ("Sent", "Sent", "Sent", "Sent", "Bounced"):
        sandbox.add_event(message, sender=OLU.id)

    health = get(call, f"senders/{OLU.id}/health")["data"]

    assert (health["sender_id"], health["bounce_rate"], health["health_score"]) == (OLU.id, 25.0, 75)
    assert health["last_7_days"]["sent"] == 4
    assert get(call, f"senders/{MIA.id}/health")["data"]["health_score"] == 100
    assert call("GET", f"{PREFIX}/senders/unknown/health").status_code == 404


def test_the_inbox_shows_replies(sandbox: Sandbox, call: Call) -> None:
    sandbox.add_event("Sent", email="ana@example.com", subject="Hello")
    for at in range(12):
        sandbox.add_event("Replied", email=f"{at}@example.com", sequence_id="spring", time_ms=at, body=f"Yes {at}")

    inbox = get(call, "inbox")["data"]

    assert [item["email"] for item in inbox["result"]] == [f"{at}@example.com" for at in range(11, 1, -1)]
    assert (inbox["totalCount"], inbox["count"], len(inbox["messageIDs"])) == (12, 12, 10)
    assert emails(call, skip=10, limit=500) == ["1@example.com", "0@example.com"]
    assert emails(call, date="2-3") == ["3@example.com", "2@example.com"]
    assert emails(call, search="YES 7") == ["7@example.com"]
    assert emails(call, sequence="autumn") == []
    assert emails(call, type="sent") == ["ana@example.com"]
    assert emails(call, type="draft") == []


def days(call: Call, **query: Any) -> dict[str, int]:
    return {day["_id"]["date"]: day["sent"] for day in get(call, "analytics/daily", **query)["data"]}


def emails(call: Call, **query: Any) -> list[str]:
    return [item["email"] for item in get(call, "inbox", **query)["data"]["result"]]
