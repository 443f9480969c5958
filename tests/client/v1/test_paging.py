"""Reading page by page: all lengths, each way to count pages, and items that move while they are read."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_salesblink.client import NotFoundError, ServerError, UnreadableResponseError
from tests.client.raw_server import Received, answer
from tests.client.v1.conftest import ok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.client.v1.conftest import NewResources, Resources

READERS: dict[str, Callable[[Resources], Iterator[dict[str, Any]]]] = {
    "lists": lambda api: api.lists.list(),
    "leads of a list": lambda api: api.lists.leads("l1"),
    "sequences": lambda api: api.sequences.list(),
    "leads of a sequence": lambda api: api.sequences.leads("s1"),
    "messages": lambda api: api.sequences.messages("s1", "p1"),
    "activity": lambda api: api.leads.activity(lead_id="p1"),
    "senders": lambda api: api.senders.list(),
    "lead totals": lambda api: api.analytics.leads(),
    "mailbox totals": lambda api: api.analytics.mailboxes(),
    "blocklist": lambda api: api.blocklist.list(),
    "any endpoint": lambda api: api.endpoints.read("/inbox", paging="offset"),
    "reports": lambda api: api.events.reports(),
    "reports as any endpoint": lambda api: api.endpoints.read("/reports", paging="page_in_skip"),
    "sent": lambda api: api.events.sent(),
    "replies as any endpoint": lambda api: api.endpoints.read("/replies", paging="page"),
}
LONG_PAGES = {"leads of a sequence", "messages", "activity", "lead totals", "mailbox totals"}
BY_NUMBER = {"reports", "reports as any endpoint", "sent", "replies as any endpoint"}
ALIGNED = {"blocklist", "any endpoint"}
OVERLAPPING = sorted(READERS.keys() - BY_NUMBER)

every_reader = pytest.mark.parametrize("reader", READERS)


def page_size(reader: str) -> int:
    return 500 if reader in LONG_PAGES else 100


class Items:
    """A server with items, which counts pages as the contract says for each path. Tests move the items.

    :param move: called after each answer.
    """

    def __init__(self, items: Iterable[str], move: Callable[[Items], None] = lambda _: None) -> None:
        self.ids = list(items)
        self._move = move

    def __call__(self, request: Received) -> list[bytes]:
        url = urlsplit(request.target)
        path, query = url.path, {name: int(value) for name, value in parse_qsl(url.query) if value.isdecimal()}
        content = self._content(path, self._page(path, query))
        self._move(self)
        return [content]

    def _page(self, path: str, query: dict[str, int]) -> list[str]:
        if "page" in query:
            size, start = query["per_page"], (query["page"] - 1) * query["per_page"]
        else:
            size, start = query["limit"], query["skip"]
        if path.endswith("/reports"):
            start *= size
        assert size <= (500 if path.endswith(("/s1/leads", "/messages", "/activity", "-stats")) else 100)
        if path.endswith("/unsubscribe"):
            assert start % size == 0
        return self.ids[start : start + size]

    @staticmethod
    def _content(path: str, page: list[str]) -> bytes:
        found = [{"_id" if path.endswith("-stats") else "id": each} for each in page]
        if path.endswith(("/sent", "/replies")):
            return answer(found)
        if path.endswith("/l1/leads"):
            return answer(ok({"contacts": found, "total": len(found)}))
        if path.endswith("/inbox"):
            return answer(ok({"result": found, "count": 3, "totalCount": 3}))
        # Nothing may rely on the total.
        return answer({**ok(found), "total": 1, "count": len(found)})


def ids(found: Iterable[dict[str, Any]]) -> list[str]:
    return [each.get("id") or each["_id"] for each in found]


def numbered(count: int) -> list[str]:
    return [f"i{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("reader", "count"),
    [
        (reader, count)
        for reader in READERS
        for count in (0, 1, page_size(reader) - 1, page_size(reader), page_size(reader) + 1, 1234)
    ],
)
def test_each_item_is_there_once_and_in_order(
    resources: NewResources, reader: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    api = resources(script=Items(numbered(count)))

    assert ids(READERS[reader](api)) == numbered(count)
    assert caplog.records == []


@every_reader
def test_the_next_page_is_asked_for_only_when_it_is_needed(resources: NewResources, reader: str) -> None:
    api = resources(script=Items(numbered(1234)))

    found = READERS[reader](api)
    assert api.server.requests == []
    first = next(found)
    assert ids([first]) == ["i0"]
    assert len(api.server.requests) == 1
    list(found)
    assert len(api.server.requests) > 1


@every_reader
def test_items_added_meanwhile_hide_nothing_and_repeat_nothing(
    resources: NewResources, reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    new = iter(range(1000))

    def move(items: Items) -> None:
        items.ids[:0] = [f"new{next(new)}" for _ in range(7)]

    found = ids(READERS[reader](resources(script=Items(numbered(1234), move))))

    assert [each for each in found if not each.startswith("new")] == numbered(1234)
    assert len(found) == len(set(found))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "Some may be missing" in record.message


@pytest.mark.parametrize("reader", OVERLAPPING)
def test_items_removed_meanwhile_hide_no_other(
    resources: NewResources, reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    gone = set()

    def move(items: Items) -> None:
        gone.update(items.ids[:3])
        del items.ids[:3]

    api = resources(script=Items(numbered(1234), move))

    found = ids(READERS[reader](api))

    assert len(found) == len(set(found))
    assert set(numbered(1234)) - gone <= set(found)
    # Each page costs two requests here: one that shows the gap, and one for what fell into it. Where the positions must
    # be multiples of the limit, going back half a page is not always possible.
    assert len(api.server.requests) < (500 if reader in ALIGNED else 60)
    assert "Some may be missing" in caplog.text


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("reader", ["lists", "blocklist"])
def test_whatever_is_added_and_removed_meanwhile_what_stays_is_found_once(
    resources: NewResources, reader: str, seed: int
) -> None:
    chance, stays = random.Random(seed), set(numbered(400))

    def move(items: Items) -> None:
        for _ in range(chance.choice([0, 1, 5, 120])):
            at = chance.randrange(len(items.ids) + 1)
            if chance.random() < 0.6 and at < len(items.ids):
                stays.discard(items.ids.pop(at))
            else:
                items.ids.insert(at, f"new{chance.random()}")

    found = ids(READERS[reader](resources(script=Items(numbered(400), move))))

    assert len(found) == len(set(found))
    assert stays <= set(found)


@every_reader
def test_a_server_that_ignores_the_page_is_read_once(
    resources: NewResources, reader: str, caplog: pytest.LogCaptureFixture
) -> None:
    class OnePage(Items):
        def _page(self, path: str, query: dict[str, int]) -> list[str]:  # noqa: ARG002
            return self.ids[: query.get("limit", query.get("per_page"))]

    api = resources(script=OnePage(numbered(1234)))

    assert ids(READERS[reader](api)) == numbered(page_size(reader))
    assert len(api.server.requests) == 2
    assert "Some may be missing" in caplog.text


@pytest.mark.parametrize("reader", sorted(BY_NUMBER))
@pytest.mark.parametrize("most", [10, 20, 25, 50])
@pytest.mark.parametrize("count", [100, 123])
def test_a_log_is_read_whole_from_a_server_with_smaller_pages(
    resources: NewResources, reader: str, most: int, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    class SmallPages(Items):
        def _page(self, path: str, query: dict[str, int]) -> list[str]:
            return super()._page(path, {**query, **{name: most for name in ("per_page", "limit") if name in query}})

    api = resources(script=SmallPages(numbered(count)))

    assert ids(READERS[reader](api)) == numbered(count)
    assert len(api.server.requests) == count // most + 1
    assert caplog.records == []


@every_reader
def test_a_server_that_sends_everything_at_once_is_asked_once(resources: NewResources, reader: str) -> None:
    class Everything(Items):
        def _page(self, path: str, query: dict[str, int]) -> list[str]:  # noqa: ARG002
            return self.ids

    api = resources(script=Everything(numbered(1234)))

    assert ids(READERS[reader](api)) == numbered(1234)
    assert len(api.server.requests) == 1


def test_a_server_without_any_order_is_not_asked_for_ever(resources: NewResources) -> None:
    chance = random.Random(1)
    api = resources(script=Items(numbered(300), lambda items: chance.shuffle(items.ids)))

    found = ids(api.lists.list())

    assert len(found) == len(set(found))
    assert len(api.server.requests) < 50


def test_items_without_an_id_are_all_kept(resources: NewResources) -> None:
    items = [{"type": "open", "id": None}, {"type": "open"}]

    assert list(resources([*items * 50], []).events.opens()) == items * 50
    assert list(resources(ok(items * 50), ok([])).senders.list()) == items * 50


def test_an_empty_array_is_empty_and_no_array_is_an_error(resources: NewResources) -> None:
    assert list(resources(ok([])).lists.list()) == []
    assert list(resources(ok()).lists.list()) == []
    with pytest.raises(UnreadableResponseError, match=r"no list of results; its keys: message, success"):
        list(resources({"success": True, "message": "hello"}).lists.list())
    with pytest.raises(UnreadableResponseError, match="no list of results") as raised:
        list(resources({"data": None}).lists.list())
    assert (raised.value.method, raised.value.path) == ("GET", "/api/public/v1.0.0/lists")


def test_a_page_that_fails_raises_after_the_items_before_it(resources: NewResources) -> None:
    pages = [answer(ok([{"id": each} for each in numbered(100)])), answer(status="404 Not Found")]
    found = resources(script=lambda _: [pages.pop(0)]).lists.list()

    assert ids(next(found) for _ in range(100)) == numbered(100)
    with pytest.raises(NotFoundError):
        next(found)


def test_a_page_is_retried(resources: NewResources) -> None:
    pages = [answer(status="500 Oops"), answer(ok([{"id": "l1"}]))]

    assert ids(resources(script=lambda _: [pages.pop(0)]).lists.list()) == ["l1"]
    with pytest.raises(ServerError):
        list(resources(script=lambda _: [answer(status="500 Oops")]).lists.list())


def test_a_page_without_ids_that_repeats_is_an_error(resources: NewResources) -> None:
    api = resources(script=lambda _: [answer(ok([{"number": number} for number in range(100)]))])

    read = api.endpoints.read("/anything", paging="offset")

    with pytest.raises(UnreadableResponseError, match="same page of an endpoint twice"):
        list(read)
    assert len(api.server.requests) == 2
