"""What happens to a campaign's people, reported to watched assets: each change once, and none lost over a restart."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.triggers import events
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger
from tests.apis import BOTH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

SOON = 20.0


class Store:
    """An asset's state as Airflow 3.3 keeps it: JSON by key."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.breaks_at: int | None = None

    async def aget(self, key: str, default: Any = None) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else default

    async def aset(self, key: str, value: Any) -> None:
        if self.breaks_at is not None and len(self.kept) >= self.breaks_at:
            raise ConnectionError("the database is gone")
        self.kept[key] = json.dumps(value)

    def begun(self) -> bool:
        return any(key.endswith(":begun") for key in self.kept)


class OfSeveralAssets:
    """What Airflow gives a trigger that several assets share."""

    async def aget(self, key: str, default: Any = None) -> Any:  # noqa: ARG002
        raise ValueError("Task has 2 concrete inlets and outlets")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SHORTEST_INTERVAL", 0.0)


@pytest.fixture
def watch(campaign: CampaignUnderTest) -> Callable[..., ProspectEventTrigger]:
    def make(store: Any = None, **options: Any) -> ProspectEventTrigger:
        trigger = ProspectEventTrigger(**{"campaign_id": campaign.id, "poll_interval": 0.1, **options})
        trigger.asset_state_store = store
        return trigger

    return make


def streamed(trigger: ProspectEventTrigger) -> AsyncIterator[Any]:
    """As Airflow 3.3 runs it: one stream for all with the same key, filtered for each."""
    return trigger.filter_shared_stream(type(trigger).open_shared_stream(trigger.serialize()[1]))


def alone(trigger: ProspectEventTrigger) -> AsyncIterator[Any]:
    """As Airflow 3.0 to 3.2 run it."""
    return trigger.run()


async def reported(stream: Any, many: int, first: Callable[[], Any], ready: Callable[[], bool]) -> list[dict[str, Any]]:
    """The payloads of the first events that report ``many`` changes in all, after what ``first`` lets happen."""
    payloads: list[dict[str, Any]] = []

    async def collect() -> None:
        async with aclosing(stream):
            async for event in stream:
                payloads.append(event.payload)
                if sum(len(payload["changes"]) for payload in payloads) >= many:
                    return

    async with asyncio.timeout(SOON):
        collecting = asyncio.create_task(collect())
        while not ready():
            await asyncio.sleep(0.01)
            if collecting.done():
                break
        await asyncio.to_thread(first)
        await collecting
    return payloads


async def until(holds: Callable[[], bool]) -> None:
    while True:
        if holds():
            return
        await asyncio.sleep(0.01)


def changes(payloads: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(change["event"], change["prospect_id"]) for payload in payloads for change in payload["changes"]]


@pytest.mark.parametrize("way", [alone, streamed])
def test_people_already_there_are_known_and_each_kind_is_reported(
    polls: Polls, way: Any, sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})
    eve = sandbox.add_person(campaign.id, {"Email": "eve@example.com"})
    new: list[str] = []

    def happen() -> None:
        new.append(sandbox.happen("appear", to=campaign.id).id)
        sandbox.happen("reply", to=ben)
        sandbox.happen("unsubscribe", to=eve)

    payloads = asyncio.run(reported(way(watch()), 3, happen, lambda: len(polls.looks) >= 2))

    assert sorted(changes(payloads)) == sorted([("appeared", new[0]), ("changed", ben), ("unsubscribed", eve)])
    assert {payload["campaign_id"] for payload in payloads} == {campaign.id}
    assert "example.com" not in json.dumps(payloads)


@pytest.mark.apis("v1")
def test_the_state_in_the_campaign_is_no_change(
    polls: Polls, sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})
    new: list[str] = []

    def happen() -> None:
        for event in ("open", "click", "bounce"):
            sandbox.happen(event, to=ben)
        count = len(polls.looks)
        while len(polls.looks) < count + 3:
            threading.Event().wait(0.01)
        new.append(sandbox.happen("appear", to=campaign.id).id)

    payloads = asyncio.run(reported(alone(watch()), 1, happen, lambda: len(polls.looks) >= 2))

    assert changes(payloads) == [("appeared", new[0])]


def test_only_the_requested_kinds_are_reported(
    polls: Polls, sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})

    def happen() -> None:
        sandbox.happen("reply", to=ben)
        sandbox.happen("unsubscribe", to=ben)

    trigger = watch(events=["unsubscribed"])
    payloads = asyncio.run(reported(alone(trigger), 1, happen, lambda: len(polls.looks) >= 2))

    assert changes(payloads) == [("unsubscribed", ben)]


def test_what_happened_while_nobody_watched_is_reported_by_the_next_trigger(
    sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    store = Store()
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})
    first = asyncio.run(reported(streamed(watch(store)), 1, lambda: sandbox.happen("reply", to=ben), store.begun))
    eve = sandbox.add_person(campaign.id, {"Email": "eve@example.com"})

    second = asyncio.run(reported(streamed(watch(store)), 2, lambda: None, lambda: True))

    assert changes(first) == [("changed", ben)]
    # It was killed before it knew that Airflow has the first one: so that is reported again, with the same key.
    assert sorted(changes(second)) == sorted([("changed", ben), ("appeared", eve)])
    assert first[0]["changes"][0] in second[0]["changes"]
    assert "example.com" not in json.dumps(store.kept)


def test_what_the_last_poll_reported_is_not_reported_again(
    sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    store = Store()
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})
    eve = sandbox.add_person(campaign.id, {"Email": "eve@example.com"})

    async def two_apart() -> list[dict[str, Any]]:
        stream = streamed(watch(store))
        first = asyncio.create_task(anext(stream))
        await until(store.begun)
        sandbox.happen("reply", to=ben)
        events = [await first]
        sandbox.happen("reply", to=eve)
        events.append(await anext(stream))
        await stream.aclose()
        return [event.payload for event in events]

    reported_before = asyncio.run(two_apart())
    again = asyncio.run(reported(streamed(watch(store)), 1, lambda: None, lambda: True))

    assert changes(reported_before) == [("changed", ben), ("changed", eve)]
    assert changes(again) == [("changed", eve)]


def test_a_beginning_that_was_cut_short_is_none(
    sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    store = Store()
    for number in range(20):
        sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"})
    store.breaks_at = 5
    with pytest.raises(ConnectionError):
        asyncio.run(reported(streamed(watch(store)), 1, lambda: None, lambda: True))
    store.breaks_at = None

    payloads = asyncio.run(
        reported(streamed(watch(store)), 1, lambda: sandbox.happen("appear", to=campaign.id), store.begun)
    )

    assert [event for event, _ in changes(payloads)] == ["appeared"]


def test_watchers_of_one_asset_that_want_other_things_remember_for_themselves(
    sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    store = Store()
    ben = sandbox.add_person(campaign.id, {"Email": "ben@example.com"})
    asyncio.run(
        reported(streamed(watch(store, events=["changed"])), 1, lambda: sandbox.happen("reply", to=ben), store.begun)
    )
    one = set(store.kept)
    sandbox.happen("unsubscribe", to=ben)
    asyncio.run(
        reported(
            streamed(watch(store, events=["appeared"])),
            1,
            lambda: sandbox.happen("appear", to=campaign.id),
            lambda: sum(key.endswith(":begun") for key in store.kept) == 2,
        )
    )

    assert one < set(store.kept)


def test_many_changes_come_in_several_events(
    sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    store = Store()
    sandbox.add_person(campaign.id, {"Email": "first@example.com"})

    async def begin() -> None:
        stream = streamed(watch(store))
        waiting = asyncio.create_task(anext(stream))
        await until(store.begun)
        waiting.cancel()

    asyncio.run(begin())
    for number in range(250):
        sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"})

    payloads = asyncio.run(reported(streamed(watch(store)), 250, lambda: None, lambda: True))

    assert [len(payload["changes"]) for payload in payloads] == [100, 100, 50]


def test_a_trigger_of_several_assets_goes_on_without_a_memory_and_says_so(
    polls: Polls,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    watch: Callable[..., ProspectEventTrigger],
    caplog: pytest.LogCaptureFixture,
) -> None:
    payloads = asyncio.run(
        reported(
            streamed(watch(OfSeveralAssets())),
            1,
            lambda: sandbox.happen("appear", to=campaign.id),
            lambda: len(polls.looks) >= 2,
        )
    )

    assert [event for event, _ in changes(payloads)] == ["appeared"]
    assert "Several assets share the same trigger" in caplog.text


def test_a_connection_that_is_not_there_is_tried_again(
    polls: Polls,
    sandbox: Sandbox,
    campaign: CampaignUnderTest,
    connection: Callable[..., None],
    watch: Callable[..., ProspectEventTrigger],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(events, "AFTER_REFUSAL", 0.1)
    connection(password="")
    corrected = False

    def ready() -> bool:
        nonlocal corrected
        if not corrected and "has no API key" in caplog.text:
            connection()
            corrected = True
        return len(polls.looks) >= 2

    payloads = asyncio.run(reported(streamed(watch()), 1, lambda: sandbox.happen("appear", to=campaign.id), ready))

    assert [event for event, _ in changes(payloads)] == ["appeared"]
    assert f"Campaign {campaign.id} cannot be watched: Connection 'salesblink_default' has no API key" in caplog.text


def test_looks_of_others_do_not_make_it_faster(
    polls: Polls, sandbox: Sandbox, campaign: CampaignUnderTest, watch: Callable[..., ProspectEventTrigger]
) -> None:
    sandbox.add_person(campaign.id, {"Email": "ben@example.com"})

    async def both() -> list[Any]:
        fast = asyncio.create_task(anext(alone(watch(poll_interval=0.05))))
        slow = asyncio.create_task(anext(alone(watch(poll_interval=1.0))))
        await until(lambda: len(polls.looks) >= 4)
        sandbox.happen("appear", to=campaign.id)
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(SOON):
            await fast
            after_fast = asyncio.get_running_loop().time() - began
            await slow
        return [after_fast, asyncio.get_running_loop().time() - began]

    after_fast, after_slow = asyncio.run(both())
    assert after_fast < 0.5 < after_slow < 2


def test_it_survives_airflows_serialization(watch: Callable[..., ProspectEventTrigger]) -> None:
    trigger = watch(events=("appeared",))
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    assert (module, name) == (events.__name__, "ProspectEventTrigger")

    again = ProspectEventTrigger(**json.loads(json.dumps(arguments)))

    assert again.serialize() == trigger.serialize()
    assert again.shared_stream_key() == trigger.shared_stream_key()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"events": []},
            r"events is \[\]; it takes some of 'appeared', 'changed', 'unsubscribed', 'replied', 'opened'",
        ),
        ({"events": ["sent"]}, r"events is \['sent'\]; it takes some of"),
        ({"lookback": 0}, "lookback is 0; give seconds, more than 0 and at most 31622400"),
        ({"lookback": "1d"}, "lookback is '1d'; give seconds"),
        ({"campaign_id": ""}, "campaign_id is empty"),
        ({"campaign_id": "all"}, "campaign_id is 'all', but a trigger watches one campaign"),
        ({"poll_interval": 1}, "poll_interval is 1; it must be at least 5 seconds"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_read(
    wrong: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SHORTEST_INTERVAL", 5.0)

    with pytest.raises(ValueError, match=sentence):
        ProspectEventTrigger(**{"campaign_id": "spring", **wrong})
