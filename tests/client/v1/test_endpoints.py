"""Any endpoint of the API v1 by its path, and totals, events and people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AmbiguousWriteError, InvalidInputError
from airflow_provider_salesblink.client.v1 import PREFIX
from tests.client.v1.conftest import ok

if TYPE_CHECKING:
    from tests.client.raw_server import Piece
    from tests.client.v1.conftest import NewResources


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/lists", "/lists"),
        ("lists/", "/lists"),
        ("//lists", "/lists"),
        ("/lists/l 1/leads", "/lists/l%201/leads"),
        ("/inbox/<a+b@example.com>", "/inbox/%3Ca%2Bb%40example.com%3E"),
        ("/inbox/%3Ca%2Fb%40example.com%3E", "/inbox/%3Ca%2Fb%40example.com%3E"),
    ],
)
def test_each_part_of_a_path_is_quoted_once(resources: NewResources, path: str, target: str) -> None:
    api = resources(ok([]))

    api.endpoints.read(path)

    assert api.server.requests[0].target == PREFIX + target


@pytest.mark.parametrize(
    "path",
    ["", "/", "/lists//l1", "/lists/../account", "/lists/%2e%2E", "/lists/.", "https://example.com/lists",
     "/lists?limit=5", "/lists#x", "/lists/%0a", None],
)  # fmt: skip
def test_a_path_that_may_lead_elsewhere_is_refused(resources: NewResources, path: Any) -> None:
    api = resources()

    with pytest.raises(InvalidInputError, match="path"):
        api.endpoints.read(path)
    with pytest.raises(InvalidInputError, match="path"):
        api.endpoints.write("POST", path)
    assert api.server.requests == []


def test_a_read_without_pages_returns_what_the_answer_has(resources: NewResources) -> None:
    api = resources(ok({"id": "s1", "date_created": 5}), ok([1, 2]), [3], {"success": True, "message": "hi"})

    assert api.endpoints.read("/sequences/s1") == {"id": "s1", "date_created": 5}
    assert api.endpoints.read("/users") == [1, 2]
    assert api.endpoints.read("/sent") == [3]
    assert api.endpoints.read("/account/verify") == {"success": True, "message": "hi"}


def test_a_query_is_written_as_the_api_expects(resources: NewResources) -> None:
    api = resources(ok([]))

    api.endpoints.read("/lists", {"archived": True, "limit": 5, "search": "a&b", "folder": None})

    assert api.server.requests[0].target == f"{PREFIX}/lists?archived=true&limit=5&search=a%26b"


def test_pages_are_the_clients_own(resources: NewResources) -> None:
    api = resources()

    for name in ("limit", "skip", "page", "per_page"):
        with pytest.raises(InvalidInputError, match=name):
            api.endpoints.read("/lists", {name: 5}, paging="offset")
    with pytest.raises(InvalidInputError, match="paging is unknown"):
        api.endpoints.read("/lists", paging="cursor")  # type: ignore[arg-type]
    assert api.server.requests == []


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("https://run.salesblink.io/lists", "leave out the server"),
        ("/lists?search=a", "pass parameters as query"),
        ("/api/public/v1.0.0/lists", "leave out /api/public/v1.0.0"),
        ("/lists//leads", "has an empty part"),
        ("/lists/%20/leads", "has an empty part"),
        ("/lists/a%2F..%2F..%2Funsubscribe", "a dot as a part"),
    ],
)
def test_a_path_that_is_more_than_a_path_is_refused(resources: NewResources, path: str, sentence: str) -> None:
    api = resources()

    with pytest.raises(InvalidInputError, match=sentence):
        api.endpoints.read(path)
    assert api.server.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/unsubscribe",
        "unsubscribe/",
        "/Unsubscribe",
        "/%75nsubscribe",
        "/unsubscribe%20",
        "/unsubscribe%2F",
        " /unsubscribe ",
    ],
)
@pytest.mark.parametrize("method", ["DELETE", "delete", " Delete "])
def test_the_blocklist_is_never_emptied(resources: NewResources, path: str, method: str) -> None:
    api = resources()

    for repeatable in (True, False):
        with pytest.raises(InvalidInputError, match="empties the blocklist"):
            api.endpoints.write(method, path, repeatable=repeatable)
    assert api.server.requests == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "TRACE", ""])
def test_other_methods_are_refused(resources: NewResources, method: str) -> None:
    with pytest.raises(InvalidInputError, match="method"):
        resources().endpoints.write(method, "/lists")


def test_a_write_is_repeated_only_if_the_caller_says_that_it_may_be(resources: NewResources) -> None:
    lost: list[Piece] = ["reset"]
    api = resources(script=lambda _: lost)

    with pytest.raises(AmbiguousWriteError):
        api.endpoints.write("POST", "/lists", {"name": "Spring"})
    assert len(api.server.requests) == 1

    answers = [lost, [b"HTTP/1.1 204 No Content\r\n\r\n"]]
    api = resources(script=lambda _: answers.pop(0))
    assert api.endpoints.write("PATCH", "/lists/l1", {"name": "Spring"}, repeatable=True) == {}
    assert [request.method for request in api.server.requests] == ["PATCH", "PATCH"]


def test_totals(resources: NewResources) -> None:
    api = resources(
        {**ok({"sent": 5, "open_rate": 0.5}), "from": 1, "to": 2},
        ok([{"_id": {"date": "2026-09-01"}, "sent": 2}, {"_id": None, "sent": 3}]),
        ok([{"_id": "ana@example.com", "opens": 1, "last_activity": 1788264000000}]),
        ok([{"_id": "m1", "sender": {"id": None}}]),
    )

    assert api.analytics.overall() == {"sent": 5, "open_rate": 0.5}
    assert [(day["date"], day["sent"]) for day in api.analytics.daily()] == [("2026-09-01", 2), (None, 3)]
    (lead,) = api.analytics.leads()
    assert (lead["email"], lead["last_activity"]) == ("ana@example.com", datetime(2026, 9, 1, 12, tzinfo=UTC))
    assert [each["sender_id"] for each in api.analytics.mailboxes()] == ["m1"]


def test_events_have_times(resources: NewResources) -> None:
    event = {"id": "e1", "time": 1788264000000, "message": "Bounced", "email": "ana@example.com"}
    api = resources([event], ok([event]), ok([event]))

    for found in (api.events.sent(), api.events.opens(), api.events.reports("Bounced")):
        assert list(found) == [{**event, "time": datetime(2026, 9, 1, 12, tzinfo=UTC)}]


def test_a_wrong_window_or_selection_is_refused_before_anything_is_sent(resources: NewResources) -> None:
    api, noon = resources(), datetime(2026, 9, 1, 12)  # noqa: DTZ001
    events: list[Any] = [api.events.sent, api.events.opens, api.events.clicks, api.events.replies, api.events.reports]

    for read in events:
        for wrong in ({"since": noon}, {"until": noon}, {"email": "nobody"}, {"sequence_id": ""}):
            with pytest.raises(InvalidInputError):
                read(**wrong)
    assert api.server.requests == []


def test_people_and_mailboxes(resources: NewResources) -> None:
    api = resources(ok([{"id": "u1"}]), ok([]), ok([{"id": "w1"}]), ok({"sender_id": "m1", "last_check": None}))

    assert api.users.list() == [{"id": "u1"}]
    assert api.users.list() == []
    assert api.workspaces.list() == [{"id": "w1"}]
    assert api.senders.health("m1") == {"sender_id": "m1", "last_check": None}
