"""The feeds and reports of the v1 API: two ways to page, filters, windows, and what nobody has documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

FEEDS = {"sent": "Sent", "opens": "Opened", "clicks": "Clicked", "replies": "Replied"}


@pytest.mark.parametrize(("feed", "message"), FEEDS.items())
def test_a_feed_is_a_bare_array_of_its_events(sandbox: Sandbox, call: Call, feed: str, message: str) -> None:
    for other in (*FEEDS.values(), "Bounced"):
        sandbox.add_event(other, email=f"{other}@example.com", sequence_id="spring", time_ms=1000)

    (event,) = call("GET", f"{PREFIX}/{feed}").json()

    assert (event["message"], event["email"], event["sequence"]) == (message, f"{message}@example.com", "spring")
    assert (event["time"], event["type"]) == (1000, "outreach")


@pytest.mark.parametrize("envelope", [True, False])
def test_a_feed_may_have_an_envelope(sandbox: Sandbox, call: Call, *, envelope: bool) -> None:
    sandbox.add_event("Sent", email="ana@example.com")
    sandbox.v1 = V1Rules(feed_envelope=envelope)

    answer = call("GET", f"{PREFIX}/sent").json()

    (event,) = answer["data"] if envelope else answer
    assert event["email"] == "ana@example.com"


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("path", ["sent", "reports"])
def test_the_order_of_events(sandbox: Sandbox, call: Call, path: str, order: Literal["newest", "oldest"]) -> None:
    for at in (2, 1, 3):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(feed_order=order)

    assert times(call, path) == ([3, 2, 1] if order == "newest" else [1, 2, 3])


def test_a_feed_counts_pages_from_one(sandbox: Sandbox, call: Call) -> None:
    for at in range(130):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(feed_order="oldest")

    assert times(call, "sent") == list(range(100))
    assert times(call, "sent", per_page=500, page=2) == list(range(100, 130))
    assert times(call, "sent", per_page=7, page=3) == list(range(14, 21))
    assert times(call, "sent", page=3) == []


def test_skip_of_reports_counts_pages_not_events(sandbox: Sandbox, call: Call) -> None:
    for at in range(130):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(feed_order="oldest")

    assert times(call, "reports", limit=500) == list(range(100))
    assert times(call, "reports", limit=20, skip=2) == list(range(40, 60))
    assert times(call, "reports", skip=100) == []
    assert times(call, "reports", limit=3, sortType="desc") == [129, 128, 127]
    assert times(call, "reports", limit=3, sortType="asc") == [0, 1, 2]


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("path", ["sent", "reports"])
def test_the_window(sandbox: Sandbox, call: Call, path: str, *, inclusive: bool) -> None:
    for at in range(10):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(to_inclusive=inclusive, feed_order="oldest")

    assert times(call, path, **{"from": 3, "to": 6}) == ([3, 4, 5, 6] if inclusive else [3, 4, 5])


@pytest.mark.parametrize(("bound", "found"), [("from", [1, 2]), ("to", [])])
def test_a_bound_before_all_times(sandbox: Sandbox, call: Call, bound: str, found: list[int]) -> None:
    for at in (2, 1):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(feed_order="oldest")

    assert times(call, "sent", **{bound: -(10**30)}) == found


def test_the_older_lower_bound_still_works(sandbox: Sandbox, call: Call) -> None:
    for at in range(10):
        sandbox.add_event("Sent", time_ms=at)

    assert times(call, "sent", since=8) == [9, 8]
    assert times(call, "sent", **{"since": 3, "from": 8}) == [9, 8]


def test_feeds_are_filtered(sandbox: Sandbox, call: Call) -> None:
    sandbox.add_event("Sent", email="Ana@example.com", sequence_id="spring", time_ms=1)
    sandbox.add_event("Sent", email="ana@example.com", sequence_id="autumn", time_ms=2)
    sandbox.add_event("Sent", email="ben@example.com", sequence_id="spring", time_ms=3)

    assert times(call, "sent", recipient_email_address="ANA@example.com") == [2, 1]
    assert times(call, "sent", sequence_id="spring", unknown="x") == [3, 1]
    assert times(call, "sent", sequence_id="") == [3, 2, 1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"message": "Bounced"}, [1]),
        ({"type": "system"}, [2]),
        ({"sequence": "autumn"}, [3]),
        ({"node": "step-2"}, [4]),
        ({"email": "BEN@example.com"}, [5]),
        ({"sender": "mailbox"}, [6]),
        ({"sender": "mailbox", "message": "Bounced"}, []),
    ],
)
def test_reports_are_filtered(sandbox: Sandbox, call: Call, query: dict[str, str], found: list[int]) -> None:
    others: list[dict[str, Any]] = [
        {"message": "Bounced"}, {"type": "system"}, {"sequence_id": "autumn"}, {"node": "step-2"},
        {"email": "ben@example.com"}, {"sender": "mailbox"},
    ]  # fmt: skip
    for at, other in enumerate(others, 1):
        sandbox.add_event(**{"message": "Sent", "time_ms": at, "email": "ana@example.com", **other})

    assert times(call, "reports", **query) == found


@pytest.mark.parametrize(
    "query", [{"page": 0}, {"page": "x"}, {"per_page": 0}, {"per_page": -1}, {"from": "yesterday"}, {"to": "x"}]
)
def test_a_number_that_cannot_be_read_counts_as_not_given(sandbox: Sandbox, call: Call, query: dict[str, Any]) -> None:
    sandbox.add_event("Sent", time_ms=7)

    assert times(call, "sent", **query) == [7]


def test_a_lead_gives_its_address_to_its_event(sandbox: Sandbox, call: Call, campaign: str) -> None:
    ana = sandbox.add_person(campaign, {"Email": "ana@example.com"})

    event = sandbox.add_event("Clicked", lead_id=ana, link="https://example.com/offer")

    (shown,) = call("GET", f"{PREFIX}/clicks").json()
    assert (shown["id"], shown["email"], shown["link"]) == (event.id, "ana@example.com", "https://example.com/offer")
    assert event in sandbox.events


def times(call: Call, path: str, **query: Any) -> list[int]:
    answer = call("GET", f"{PREFIX}/{path}", params=query).json()
    return [event["time"] for event in (answer if isinstance(answer, list) else answer["data"])]
