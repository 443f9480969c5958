"""Replies, opens, clicks and bounces reported to watched assets, from SalesBlink's feeds of events."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.sandbox.v1.rules import V1Rules
from airflow_provider_salesblink.triggers import events
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger
from airflow_provider_salesblink.waiting.feed_cursor import FEED_KINDS
from tests.triggers.test_events import OfSeveralAssets, Store, alone, streamed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis("v1")

SOON = 20.0
HOUR = 3600 * 1000
MESSAGES = {"replied": "Replied", "opened": "Opened", "clicked": "Clicked", "bounced": "Bounced"}
PATHS = {"replied": "replies", "opened": "opens", "clicked": "clicks", "bounced": "reports"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SHORTEST_INTERVAL", 0.0)


@pytest.fixture(autouse=True)
def _rules(sandbox: Sandbox) -> Iterator[None]:
    before = sandbox.v1
    yield
    sandbox.v1 = before


class Watch:
    """Triggers of the campaign, and the events of its people."""

    def __init__(self, sandbox: Sandbox, campaign_id: str) -> None:
        self.sandbox = sandbox
        self.campaign_id = campaign_id

    def trigger(self, kinds: list[Any], store: Any = None, **options: Any) -> ProspectEventTrigger:
        given = {"campaign_id": self.campaign_id, "events": kinds, "poll_interval": 0.1, **options}
        trigger = ProspectEventTrigger(**given)
        trigger.asset_state_store = store
        return trigger

    def happens(
        self, kind: str, name: str = "ana", *, at: float = 0.0, campaign_id: str | None = None, **more: Any
    ) -> str:
        """Let something happen ``at`` milliseconds from now; return the person's hash."""
        email = f"{name}@example.com"
        self.sandbox.add_event(
            MESSAGES[kind], email=email, sequence_id=campaign_id or self.campaign_id, time_ms=now_ms() + int(at), **more
        )
        return SalesBlinkHook().address_hash(email)

    def polls(self, kind: str) -> list[Any]:
        path = f"/api/public/v1.0.0/{PATHS[kind]}"
        return [request for request in self.sandbox.requests if request.path == path]


@pytest.fixture
def watch(sandbox: Sandbox, campaign: CampaignUnderTest) -> Watch:
    return Watch(sandbox, campaign.id)


def now_ms() -> int:
    return int(time.time() * 1000)


class Watching:
    """A trigger that runs, and the changes that it has reported so far."""

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        self.payloads: list[dict[str, Any]] = []
        self._task = asyncio.create_task(self._collect(stream))

    async def _collect(self, stream: Any) -> None:
        async with aclosing(stream):
            async for event in stream:
                self.payloads.append(event.payload)

    @property
    def changes(self) -> list[dict[str, Any]]:
        return [change for payload in self.payloads for change in payload["changes"]]

    @property
    def people(self) -> list[tuple[str, str]]:
        return [(change["event"], change["person"]) for change in self.changes]

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(SOON):
            while not holds():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.01)

    async def more_polls(self, watch: Watch, kind: str, count: int = 3) -> None:
        polls = len(watch.polls(kind))
        await self.until(lambda: len(watch.polls(kind)) >= polls + count)


def test_each_kind_is_reported_and_what_happened_before_the_start_is_known(watch: Watch, sandbox: Sandbox) -> None:
    for kind in FEED_KINDS:
        watch.happens(kind, "known", at=-HOUR)
    sandbox.v1 = V1Rules(feed_lead="lead_id")
    ben = sandbox.add_person(watch.campaign_id, {"Email": "ben@example.com"})
    hashes: dict[str, str] = {}

    async def story() -> Watching:
        watching = Watching(alone(watch.trigger(list(FEED_KINDS))))
        for kind in FEED_KINDS:
            await watching.until(lambda kind=kind: len(watch.polls(kind)) >= 2)
            hashes[kind] = watch.happens(kind, "ben", lead_id=ben)
        await watching.until(lambda: len(watching.changes) == len(FEED_KINDS))
        await watching.more_polls(watch, "opened")
        await watching.stop()
        return watching

    watching = asyncio.run(story())

    assert sorted(watching.people) == sorted(hashes.items())
    assert {change["prospect_id"] for change in watching.changes} == {ben}
    assert {payload["campaign_id"] for payload in watching.payloads} == {watch.campaign_id}
    assert len({change["key"] for change in watching.changes}) == len(FEED_KINDS)
    assert {frozenset(change) for change in watching.changes} == {frozenset(["event", "prospect_id", "key", "person"])}
    assert "example.com" not in json.dumps(watching.payloads)


def test_without_a_lead_in_the_feed_the_prospect_is_none(watch: Watch) -> None:
    async def story() -> Watching:
        watching = Watching(alone(watch.trigger(["replied"])))
        await watching.until(lambda: len(watch.polls("replied")) >= 2)
        watch.happens("replied")
        await watching.until(lambda: watching.changes)
        await watching.stop()
        return watching

    (change,) = asyncio.run(story()).changes

    assert change["prospect_id"] is None
    assert change["person"] == SalesBlinkHook().address_hash("ana@example.com")


def test_a_late_event_is_reported_within_the_lookback_and_one_in_the_future_once_it_is_due(watch: Watch) -> None:
    due: list[float] = []

    async def story() -> list[tuple[str, str]]:
        watching = Watching(alone(watch.trigger(["opened"])))
        await watching.until(lambda: len(watch.polls("opened")) >= 2)
        late = watch.happens("opened", "late", at=-20 * HOUR)
        watch.happens("opened", "too_late", at=-25 * HOUR)
        await watching.until(lambda: watching.changes)
        due.append(time.time() + 1.0)
        future = watch.happens("opened", "future", at=1000)
        await watching.until(lambda: len(watching.changes) >= 2)
        due.append(time.time())
        await watching.more_polls(watch, "opened")
        await watching.stop()
        assert watching.people == [("opened", late), ("opened", future)]
        return watching.people

    asyncio.run(story())

    assert due[0] - 0.01 <= due[1] <= due[0] + 2


@pytest.mark.parametrize(
    "rules",
    [
        {"feed_repeats": 1}, {"feed_moves": 1}, {"feed_order": "shuffled_ties"}, {"feed_order": "arrival"},
        {"event_time": "iso", "event_sequence": "sequence_id", "feed_envelope": True},
        {"from_inclusive": False, "to_inclusive": False},
    ],
    ids=str,
)  # fmt: skip
def test_each_event_of_several_pages_is_reported_once(rules: dict[str, Any], watch: Watch, sandbox: Sandbox) -> None:
    sandbox.v1 = V1Rules(**rules)

    async def story() -> Watching:
        watching = Watching(alone(watch.trigger(["clicked"])))
        await watching.until(lambda: len(watch.polls("clicked")) >= 2)
        for number in range(230):
            arrives = {"arrives_ms": now_ms() + 500} if number % 10 == 0 else {}
            watch.happens("clicked", f"p{number}", at=-1000, **arrives)
        await watching.until(lambda: len(watching.changes) >= 230)
        await watching.more_polls(watch, "clicked", 6)
        await watching.stop()
        return watching

    watching = asyncio.run(story())

    assert Counter(watching.people) == Counter(
        ("clicked", SalesBlinkHook().address_hash(f"p{number}@example.com")) for number in range(230)
    )
    assert max(len(payload["changes"]) for payload in watching.payloads) <= 100


def test_a_killed_trigger_repeats_only_what_it_had_not_stored_and_with_the_same_key(watch: Watch) -> None:
    store = Store()

    async def first() -> list[dict[str, Any]]:
        watching = Watching(alone(watch.trigger(["replied"], store)))
        await watching.until(store.begun)
        watch.happens("replied", "ana")
        await watching.until(lambda: len(watching.changes) == 1)
        # The next poll stores the first one, before it reports the second.
        watch.happens("replied", "ben")
        await watching.until(lambda: len(watching.changes) == 2)
        await watching.stop()
        return watching.changes

    async def second() -> list[dict[str, Any]]:
        watching = Watching(alone(watch.trigger(["replied"], store)))
        await watching.until(lambda: len(watching.changes) >= 2)
        await watching.more_polls(watch, "replied")
        await watching.stop()
        return watching.changes

    _, ben = asyncio.run(first())
    meanwhile = watch.happens("replied", "eve", at=-5 * HOUR)
    repeated = asyncio.run(second())

    assert sorted(change["person"] for change in repeated) == sorted([ben["person"], meanwhile])
    assert ben in repeated
    assert "example.com" not in json.dumps(store.kept)


def test_what_happened_long_before_a_restart_is_reported_too(watch: Watch) -> None:
    store = Store()

    async def started(then: Callable[[Watching], Any]) -> Watching:
        watching = Watching(alone(watch.trigger(["bounced"], store, lookback=0.5)))
        await watching.until(lambda: then(watching))
        await watching.stop()
        return watching

    asyncio.run(started(lambda _: store.begun()))
    happened = watch.happens("bounced")
    # Much longer ago than the lookback.
    time.sleep(1.5)  # noqa: TID251
    watching = asyncio.run(started(lambda watching: watching.changes))

    assert watching.people == [("bounced", happened)]


def test_a_first_start_that_was_interrupted_does_not_count(watch: Watch) -> None:
    store = Store()
    watch.happens("opened", "known")
    store.breaks_at = 1

    async def until_it_breaks() -> None:
        async with asyncio.timeout(SOON):
            async for _ in alone(watch.trigger(["opened"], store)):
                pass

    with pytest.raises(ConnectionError):
        asyncio.run(until_it_breaks())
    store.breaks_at = None

    async def story() -> Watching:
        watching = Watching(alone(watch.trigger(["opened"], store)))
        await watching.until(store.begun)
        new = watch.happens("opened", "new")
        await watching.until(lambda: watching.changes)
        await watching.stop()
        assert watching.people == [("opened", new)]
        return watching

    asyncio.run(story())


def test_all_watchers_of_a_campaign_share_one_read_of_each_feed(watch: Watch, sandbox: Sandbox) -> None:
    async def story() -> list[Watching]:
        kinds = [["opened"], ["opened", "replied"], ["replied", "opened"], list(FEED_KINDS)]
        watching = [
            Watching(alone(watch.trigger(each, poll_interval=0.5 + number / 1000))) for number, each in enumerate(kinds)
        ]
        await watching[0].until(lambda: len(watch.polls("opened")) >= 2)
        before = len(watch.polls("opened"))
        hashed = watch.happens("opened")
        began = time.monotonic()
        for each in watching:
            await each.until(lambda each=each: each.changes)
        await watching[0].more_polls(watch, "opened", 3)
        passed = time.monotonic() - began
        for each in watching:
            await each.stop()
        assert len(watch.polls("opened")) - before <= passed / 0.5 + 1
        assert {tuple(each.people) for each in watching} == {(("opened", hashed),)}
        return watching

    watching = asyncio.run(story())

    assert len({each.changes[0]["key"] for each in watching}) == 1
    asked = [parse_qs(request.query) for request in watch.polls("opened")]
    assert {query["sequence_id"][0] for query in asked} == {watch.campaign_id}
    # The people of the campaign are not read.
    assert not any("/leads" in request.path for request in sandbox.requests)


def test_campaigns_on_one_connection_share_one_read_of_a_feed(watch: Watch, sandbox: Sandbox) -> None:
    others = [sandbox.add_campaign(f"No. {number}") for number in range(5)]
    unwatched = sandbox.add_campaign("Unwatched")

    async def story() -> dict[str, Watching]:
        watching = {
            each: Watching(alone(watch.trigger(["replied"], campaign_id=each, poll_interval=0.4)))
            for each in [*others, watch.campaign_id]
        }
        some = watching[watch.campaign_id]
        await some.more_polls(watch, "replied", 2)
        before, began = len(watch.polls("replied")), time.monotonic()
        for each in [*watching, unwatched]:
            watch.happens("replied", f"of_{each.lower()}", campaign_id=each)
        for each in watching.values():
            await each.until(lambda each=each: each.changes)
        await some.more_polls(watch, "replied", 3)
        passed = time.monotonic() - began
        assert len(watch.polls("replied")) - before <= passed / 0.4 + 1
        for each in watching.values():
            await each.stop()
        return watching

    for campaign_id, each in asyncio.run(story()).items():
        expected = SalesBlinkHook().address_hash(f"of_{campaign_id.lower()}@example.com")
        assert each.people == [("replied", expected)]
        assert each.payloads[0]["campaign_id"] == campaign_id


def test_one_trigger_reports_people_and_feeds(watch: Watch, sandbox: Sandbox) -> None:
    async def story() -> Watching:
        watching = Watching(alone(watch.trigger(["replied", "unsubscribed"], Store())))
        ben = sandbox.add_person(watch.campaign_id, {"Email": "ben@example.com"})
        leads = f"/api/public/v1.0.0/sequences/{watch.campaign_id}/leads"
        await watching.until(lambda: len([each for each in sandbox.requests if each.path == leads]) >= 3)
        await watching.until(lambda: len(watch.polls("replied")) >= 2)
        sandbox.happen("unsubscribe", to=ben)
        watch.happens("replied", "ben")
        await watching.until(lambda: len(watching.changes) == 2)
        await watching.stop()
        return watching

    assert sorted(change["event"] for change in asyncio.run(story()).changes) == ["replied", "unsubscribed"]


def test_only_bounces_of_the_reports_are_reported(watch: Watch, sandbox: Sandbox) -> None:
    async def story() -> Watching:
        watching = Watching(alone(watch.trigger(["bounced"])))
        await watching.until(lambda: len(watch.polls("bounced")) >= 2)
        sandbox.add_event("Unsubscribed", email="eve@example.com", sequence_id=watch.campaign_id)
        watch.happens("replied", "zoe")
        hashed = watch.happens("bounced", "ben")
        await watching.until(lambda: watching.changes)
        await watching.more_polls(watch, "bounced")
        await watching.stop()
        assert watching.people == [("bounced", hashed)]
        return watching

    asyncio.run(story())


def test_a_trigger_of_several_assets_says_once_that_it_does_not_remember(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        watching = Watching(alone(watch.trigger(list(FEED_KINDS), OfSeveralAssets())))
        await watching.until(lambda: len(watch.polls("clicked")) >= 2)
        watch.happens("clicked")
        await watching.until(lambda: watching.changes)
        await watching.stop()

    asyncio.run(story())

    assert caplog.text.count("Several assets share the same trigger") == 1


@pytest.mark.apis("classic")
def test_on_the_classic_api_the_log_says_what_works_there_and_that_works(
    watch: Watch, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> Watching:
        watching = Watching(alone(watch.trigger(["appeared", "opened"])))
        people = f"/api/prospects/{watch.campaign_id}"
        await watching.until(lambda: len([each for each in sandbox.requests if each.path == people]) >= 2)
        sandbox.happen("appear", to=watch.campaign_id)
        await watching.until(lambda: watching.changes)
        await watching.until(lambda: "classic API" in caplog.text)
        await watching.stop()
        return watching

    watching = asyncio.run(story())

    assert [change["event"] for change in watching.changes] == ["appeared"]
    (line,) = (record for record in caplog.records if "classic API" in record.getMessage())
    assert line.levelname == "ERROR"
    assert line.getMessage() == (
        "Polling of salesblink_default: the feed of events 'opened' failed (1 in a row): The connection uses "
        "SalesBlink's classic API, which does not have events.opens; nothing was sent. Set the connection's extra "
        "api_version to 'v1'. On the classic API, ProspectEventTrigger reports appeared, changed and unsubscribed."
    )


def test_it_survives_airflows_serialization_and_has_no_shared_stream(watch: Watch) -> None:
    trigger = watch.trigger(["replied", "appeared"], lookback=7200)
    _, arguments = trigger.serialize()

    again = ProspectEventTrigger(**json.loads(json.dumps(arguments)))

    assert again.serialize() == trigger.serialize()
    assert again.lookback == 7200
    # Airflow 3.3 would let only one of the triggers say from where on the feed is read.
    assert again.shared_stream_key() is None
    assert watch.trigger(["appeared"]).shared_stream_key() is not None


def test_a_watcher_of_people_has_the_same_stored_arguments_as_before(watch: Watch) -> None:
    assert "lookback" not in watch.trigger(["appeared"]).serialize()[1]


def test_streamed_and_alone_are_the_same_for_people(watch: Watch, sandbox: Sandbox) -> None:
    async def story(way: Any) -> Watching:
        watching = Watching(way(watch.trigger(["appeared"], store := Store())))
        await watching.until(store.begun)
        sandbox.happen("appear", to=watch.campaign_id)
        await watching.until(lambda: watching.changes)
        await watching.stop()
        return watching

    for way in (alone, streamed):
        assert [change["event"] for change in asyncio.run(story(way)).changes] == ["appeared"]
