"""A campaign beyond its limits, reported to watched assets: once, and not again after a restart."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.triggers import health
from airflow_provider_salesblink.triggers.campaigns import CampaignHealthTrigger
from airflow_provider_salesblink.triggers.health import CampaignHealthEventTrigger
from tests.campaign_mails import mails
from tests.triggers.running import USUAL, event_of, made_again, result_of
from tests.triggers.test_events import OfSeveralAssets, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis("v1")

SOON = 20.0
LIMITS = {"window": 86400.0, "min_sample": 20}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "SHORTEST_INTERVAL", 0.0)


class Watching:
    """An event trigger that runs, and the payloads of its events."""

    def __init__(
        self, sandbox: Sandbox, campaign_id: str, store: Any = None, interval: float = 0.05, **limits: Any
    ) -> None:
        self._sandbox = sandbox
        self.payloads: list[dict[str, Any]] = []
        options = {"min_sample": 20, "poll_interval": interval, **limits}
        trigger = CampaignHealthEventTrigger(campaign_id=campaign_id, **options)
        trigger.asset_state_store = store
        self._task = asyncio.create_task(self._collect(trigger.run()))

    async def _collect(self, stream: Any) -> None:
        async with aclosing(stream):
            async for event in stream:
                self.payloads.append(event.payload)

    def polls(self) -> int:
        return sum(request.path.endswith("/sent") for request in self._sandbox.requests)

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(SOON):
            while not holds():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.01)

    async def more_polls(self) -> None:
        # A poll may take two requests: SalesBlink may have more mails than a first page of 20 shows.
        polls = self.polls()
        await self.until(lambda: self.polls() >= polls + 8)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def test_it_reports_once_and_again_only_after_the_campaign_was_healthy(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    async def story() -> list[dict[str, Any]]:
        watching = Watching(sandbox, campaign.id)
        await watching.more_polls()
        assert watching.payloads == []
        mails(sandbox, campaign.id, 20, bounced=10, at=-2000)
        await watching.until(lambda: watching.payloads)
        await watching.more_polls()
        assert len(watching.payloads) == 1
        # Newer mails that are fine: neither all nor the newest mails are beyond the limit.
        mails(sandbox, campaign.id, 500, at=-1000, prefix="good")
        await watching.more_polls()
        mails(sandbox, campaign.id, 20, unsubscribed=15, at=0, prefix="bad")
        await watching.until(lambda: len(watching.payloads) == 2)
        await watching.stop()
        return watching.payloads

    first, second = asyncio.run(story())

    assert first == {
        "outcome": "unhealthy", "campaign_id": campaign.id, "state": "running", "exceeded": "bounce_rate",
        "sent": 20, "bounced": 10, "unsubscribed": 0, "replied": 0,
        "bounce_rate": 0.5, "unsubscribe_rate": 0.0, "reply_rate": 0.0,
    }  # fmt: skip
    assert second["exceeded"] == "unsubscribe_rate"
    assert "example.com" not in json.dumps([first, second])


def test_after_a_restart_it_reports_again_only_what_may_not_have_arrived(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    store = Store()
    mails(sandbox, campaign.id, 20, bounced=10)

    async def run(polls_after: bool) -> int:
        watching = Watching(sandbox, campaign.id, store, interval=0.05 if polls_after else 5.0)
        if polls_after:
            await watching.more_polls()
        else:
            await watching.until(lambda: watching.payloads)
        await watching.stop()
        return len(watching.payloads)

    # Killed right after the event, it repeats it. Once a poll has followed, it does not.
    assert [asyncio.run(run(polls_after)) for polls_after in (False, True, True)] == [1, 1, 0]


def test_a_watcher_with_other_limits_of_the_same_asset_reports_too(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    store = Store()
    mails(sandbox, campaign.id, 20, bounced=10, unsubscribed=10)

    async def run(**limits: Any) -> list[str]:
        watching = Watching(sandbox, campaign.id, store, **limits)
        await watching.more_polls()
        await watching.stop()
        return [each["exceeded"] for each in watching.payloads]

    assert asyncio.run(run(max_unsubscribe_rate=None)) == ["bounce_rate"]
    assert asyncio.run(run(max_bounce_rate=None)) == ["unsubscribe_rate"]
    assert asyncio.run(run(max_bounce_rate=None)) == []


def test_without_a_usable_state_it_still_reports(sandbox: Sandbox, campaign: CampaignUnderTest) -> None:
    mails(sandbox, campaign.id, 20, bounced=10)

    async def story() -> int:
        watching = Watching(sandbox, campaign.id, OfSeveralAssets())
        await watching.more_polls()
        await watching.stop()
        return len(watching.payloads)

    assert asyncio.run(story()) == 1


def test_watchers_and_deferred_sensors_of_a_campaign_share_their_polls(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    async def story() -> list[Any]:
        waits = [
            asyncio.create_task(event_of(CampaignHealthTrigger(campaign_id=campaign.id, limits=LIMITS, **USUAL)))
            for _ in range(20)
        ]
        watching = Watching(sandbox, campaign.id)
        await watching.more_polls()
        polls = watching.polls()
        mails(sandbox, campaign.id, 20, bounced=10)
        found = await asyncio.gather(*waits)
        assert watching.polls() <= polls + 10
        await watching.until(lambda: watching.payloads)
        await watching.stop()
        return [each["found"] for each in found] + watching.payloads

    found = asyncio.run(story())

    assert len(found) == 21
    assert all(each["outcome"] == "unhealthy" and each["bounced"] == 10 for each in found)


def test_a_wait_continues_in_the_next_triggerer_and_forgets_nothing(
    sandbox: Sandbox, campaign: CampaignUnderTest
) -> None:
    mails(sandbox, campaign.id, 19, bounced=10)
    trigger = CampaignHealthTrigger(campaign_id=campaign.id, limits=LIMITS, **USUAL)

    async def first_triggerer() -> None:
        waiting = asyncio.create_task(event_of(made_again(trigger)))
        async with asyncio.timeout(SOON):
            while sum(request.path.endswith("/sent") for request in sandbox.requests) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(first_triggerer())
    mails(sandbox, campaign.id, 1, prefix="last")
    found = result_of(made_again(trigger))["found"]

    assert (found["sent"], found["bounced"]) == (20, 10)


def test_an_unknown_campaign_is_hopeless() -> None:
    ended = result_of(CampaignHealthTrigger(campaign_id="nobody", limits=LIMITS, **USUAL))

    assert ended["status"] == "hopeless"
    assert "404" in ended["reason"]


@pytest.mark.apis("classic")
def test_on_the_classic_api_a_wait_is_hopeless(campaign: CampaignUnderTest) -> None:
    ended = result_of(CampaignHealthTrigger(campaign_id=campaign.id, limits=LIMITS, **USUAL))

    assert ended["status"] == "hopeless"
    assert "need API v1" in ended["reason"]


def test_airflow_can_store_both() -> None:
    waiting = CampaignHealthTrigger(campaign_id="c1", limits=LIMITS, **USUAL)
    watching = CampaignHealthEventTrigger(campaign_id="c1", window=3600, min_reply_rate=0.01)

    assert made_again(waiting).serialize()[1] == {"campaign_id": "c1", "limits": LIMITS, **USUAL}
    assert made_again(watching).serialize() == watching.serialize()
    assert watching.serialize()[1] == {
        "campaign_id": "c1", "window": 3600, "max_bounce_rate": 0.05, "max_unsubscribe_rate": 0.02,
        "min_reply_rate": 0.01, "min_sample": 200, "salesblink_conn_id": "salesblink_default", "poll_interval": 300.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"campaign_id": ""}, "campaign_id is empty"),
        ({"poll_interval": -1}, "poll_interval is -1"),
        ({"max_bounce_rate": 8}, "max_bounce_rate is 8"),
        ({"window": "24h"}, "window is '24h' seconds"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        CampaignHealthEventTrigger(**{"campaign_id": "c1", **changed})
