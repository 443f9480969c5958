"""The feeds and reports of the v1 API: two ways to page, filters, windows, and what nobody has documented."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import pytest

from airflow_provider_salesblink.sandbox.v1 import PREFIX
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.sandbox.conftest import Call

FORMS = ("time", "sequence", "sequence_id", "lead", "lead_id")
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


@pytest.mark.parametrize("path", ["sent", "reports"])
def test_the_latest_to_arrive_may_come_first(sandbox: Sandbox, call: Call, path: str) -> None:
    for at in (2, 1, 3):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.add_event("Sent", time_ms=4, arrives_ms=1)
    sandbox.v1 = V1Rules(feed_order="arrival")

    assert times(call, path) == [3, 1, 2, 4]


@pytest.mark.parametrize("path", ["sent", "reports"])
@pytest.mark.parametrize(("order", "different"), [("newest", 1), ("shuffled_ties", 3)])
def test_events_of_the_same_millisecond_may_change_places(
    sandbox: Sandbox, call: Call, path: str, order: Literal["newest", "shuffled_ties"], different: int
) -> None:
    for at in (7, 8, *[7] * 20, 6):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(feed_order=order)

    pages = [events_of(call, path) for _ in range(3)]

    assert len({tuple(event["id"] for event in page) for page in pages}) == different
    assert all([event["time"] for event in page] == [8, *[7] * 21, 6] for page in pages)


@pytest.mark.parametrize("to_inclusive", [True, False])
@pytest.mark.parametrize("from_inclusive", [True, False])
@pytest.mark.parametrize("path", ["sent", "reports"])
def test_the_window(sandbox: Sandbox, call: Call, path: str, *, from_inclusive: bool, to_inclusive: bool) -> None:
    for at in range(10):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(from_inclusive=from_inclusive, to_inclusive=to_inclusive, feed_order="oldest")

    first, last = 3 if from_inclusive else 4, 6 if to_inclusive else 5
    assert times(call, path, **{"from": 3, "to": 6}) == list(range(first, last + 1))


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
    ("rules", "shown"),
    [
        (V1Rules(), {"time": 1001, "sequence": "spring"}),
        (V1Rules(feed_lead="lead"), {"time": 1001, "sequence": "spring", "lead": "ana"}),
        (V1Rules(feed_lead="lead_id"), {"time": 1001, "sequence": "spring", "lead_id": "ana"}),
        (V1Rules(event_sequence="sequence_id"), {"time": 1001, "sequence_id": "spring"}),
        (V1Rules(event_time="iso"), {"time": "1970-01-01T00:00:01.001Z", "sequence": "spring"}),
    ],
)
@pytest.mark.parametrize("path", ["sent", "reports"])
def test_names_and_forms_in_an_event(
    sandbox: Sandbox, call: Call, path: str, rules: V1Rules, shown: dict[str, Any]
) -> None:
    sandbox.add_event("Sent", lead_id="ana", email="ana@example.com", sequence_id="spring", time_ms=1001)
    sandbox.v1 = rules

    (event,) = events_of(call, path)

    assert {name: event[name] for name in event if name in FORMS} == shown


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


# Late events, events in the future, and pages that move


@pytest.mark.parametrize("path", ["sent", "reports"])
def test_a_late_event_shows_once_it_has_arrived(sandbox: Sandbox, call: Call, path: str) -> None:
    sandbox.add_event("Sent", time_ms=2)
    late = sandbox.add_event("Sent", time_ms=1, arrives_ms=now() + 60_000)

    assert times(call, path) == [2]
    assert totals(call) == 1
    assert late in sandbox.events

    sandbox.advance(61)

    assert times(call, path) == [2, 1]
    assert totals(call) == 2


def test_an_event_is_late_only_until_the_sandbox_is_reset(sandbox: Sandbox, call: Call) -> None:
    sandbox.advance(3600)
    sandbox.reset()
    sandbox.add_event("Sent", time_ms=1, arrives_ms=now() + 60_000)

    assert times(call, "sent") == []


def test_an_event_may_be_dated_in_the_future(sandbox: Sandbox, call: Call) -> None:
    tomorrow = now() + 24 * 3600 * 1000
    sandbox.add_event("Sent", time_ms=tomorrow)

    assert times(call, "sent") == times(call, "reports") == [tomorrow]
    assert times(call, "sent", to=now()) == []


@pytest.mark.parametrize(
    ("every", "seen"),
    [
        (0, [[8, 6], [4, 2], [], []]),
        (1, [[9, 8], [7, 6], [5, 4], [3, 2]]),
        (2, [[8, 6], [6, 4], [2], []]),
    ],
)
def test_an_event_may_arrive_while_pages_are_read(
    sandbox: Sandbox, call: Call, every: int, seen: list[list[int]]
) -> None:
    for at in (2, 4, 6, 8):
        sandbox.add_event("Sent", time_ms=at)
    for at in (3, 5, 7, 9):
        sandbox.add_event("Sent", time_ms=at, arrives_ms=now() + 3_600_000)
        sandbox.add_event("Opened", time_ms=at, arrives_ms=now() + 3_600_000)
    sandbox.v1 = V1Rules(feed_moves=every)

    assert [times(call, "sent", per_page=2, page=page) for page in (1, 2, 3, 4)] == seen
    assert times(call, "opens", page=9) == []


def test_an_event_that_arrives_early_is_one_that_the_request_asks_for(sandbox: Sandbox, call: Call) -> None:
    for at in range(10):
        sandbox.add_event("Sent", time_ms=at, arrives_ms=now() + 3_600_000)
    sandbox.v1 = V1Rules(feed_moves=1, feed_order="oldest")

    window = {"from": 3, "to": 5}

    assert [times(call, "reports", **window) for _ in range(5)] == [[3], [3, 4], *[[3, 4, 5]] * 3]
    assert times(call, "sent", sequence_id="spring") == []


def test_pages_are_counted_from_the_time_the_rule_is_set(sandbox: Sandbox, call: Call) -> None:
    sandbox.add_event("Sent", time_ms=1, arrives_ms=now() + 3_600_000)
    for _ in range(2):
        sandbox.v1 = V1Rules(feed_moves=2)
        assert times(call, "sent") == []

    assert times(call, "sent") == [1]


@pytest.mark.parametrize(
    ("every", "seen"),
    [
        (0, [[0, 1, 2], [3, 4, 5], [6], []]),
        (1, [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6]]),
        (2, [[0, 1, 2], [3, 4, 5], [5, 6], []]),
    ],
)
def test_a_page_may_repeat_the_last_event_of_the_page_before(
    sandbox: Sandbox, call: Call, every: int, seen: list[list[int]]
) -> None:
    for at in range(7):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(feed_repeats=every, feed_order="oldest")

    assert [times(call, "sent", per_page=3, page=page) for page in (1, 2, 3, 4)] == seen
    assert [times(call, "reports", limit=3, skip=page) for page in (0, 1, 2, 3)] == seen


def test_pages_of_one_event_end_even_if_pages_repeat(sandbox: Sandbox, call: Call) -> None:
    for at in range(2):
        sandbox.add_event("Sent", time_ms=at)
    sandbox.v1 = V1Rules(feed_repeats=1)

    assert [times(call, "sent", per_page=1, page=page) for page in (1, 2, 3)] == [[1], [0], []]


def events_of(call: Call, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = call("GET", f"{PREFIX}/{path}", params=query).json()
    found: list[dict[str, Any]] = answer if isinstance(answer, list) else answer["data"]
    return found


def times(call: Call, path: str, **query: Any) -> list[int]:
    return [event["time"] for event in events_of(call, path, **query)]


def totals(call: Call) -> int:
    sent: int = call("GET", f"{PREFIX}/analytics/overall").json()["data"]["sent"]
    return sent


def now() -> int:
    return int(time.time() * 1000)
