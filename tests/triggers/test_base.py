"""What all triggers share: one poll, no event loop kept waiting, nothing left behind, and how it ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger
from airflow_provider_salesblink.triggers.prospects import ProspectTrigger
from tests.apis import BOTH
from tests.triggers.running import USUAL, event_of, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)


def poll_threads() -> list[threading.Thread]:
    """The threads that ask."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("salesblink-poll")]


async def looked(polls: Polls, times: int) -> None:
    """Until so many polls came."""
    async with asyncio.timeout(20):
        while len(polls.looks) < times:  # noqa: ASYNC110  # the sandbox is in another thread
            await asyncio.sleep(0.002)


# How it ends.


def test_a_wrong_key_is_hopeless(polls: Polls, connection: Callable[..., None]) -> None:
    connection(password="not-the-key")

    ended = result_of(CampaignTrigger(state="paused", campaign_id="c", **USUAL))

    assert ended["status"] == "hopeless"
    assert "refused the key of connection 'salesblink_default'" in ended["reason"]
    assert len(polls.looks) == 1


def test_a_connection_that_is_not_there_is_hopeless(sandbox: Sandbox) -> None:
    ended = result_of(CampaignTrigger(state="paused", campaign_id="c", **{**USUAL, "salesblink_conn_id": "nope"}))

    assert ended["status"] == "hopeless"
    assert ended["reason"].startswith("There is no connection 'nope': create one")
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"password": None}, "Connection 'salesblink_default' has no API key"),
        ({"password": "a b"}, "Connection 'salesblink_default': The API key contains a blank"),
        ({"extra": {"reads": 1}}, "Connection 'salesblink_default': unknown extra 'reads'"),
    ],
)
def test_a_connection_that_cannot_work_is_hopeless(
    sandbox: Sandbox, changed: dict[str, Any], sentence: str, connection: Callable[..., None]
) -> None:
    connection(**changed)

    ended = result_of(CampaignTrigger(state="paused", campaign_id="c", **USUAL))

    assert ended["status"] == "hopeless"
    assert sentence in ended["reason"]
    assert not sandbox.requests


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 503}, {"kind": "reset"}, {"kind": "truncated"}])
def test_it_gives_up_after_so_many_failures_in_a_row(polls: Polls, fault: dict[str, Any], campaign: Any) -> None:
    polls.fault("campaigns", times=None, **fault)

    ended = result_of(CampaignTrigger(state="paused", campaign_id=campaign.id, **USUAL))

    assert ended["status"] == "gave_up"
    assert ended["reason"].startswith("2 polls in a row failed. Last error: ")
    assert f"GET {polls.of_campaigns}" in ended["reason"]
    # Each look is one request: the connection's max_attempts is for tasks.
    assert len(polls.looks) == 2


# In a triggerer, next to others.


def test_all_who_look_at_the_same_share_one_poll(polls: Polls, sandbox: Sandbox) -> None:
    ids = [sandbox.add_campaign(f"Spring {number}") for number in range(20)]

    async def triggerer() -> list[Any]:
        usual = {**USUAL, "poll_interval": 0.1}
        tasks = [
            asyncio.create_task(event_of(CampaignTrigger(state="paused", campaign_id=each, **usual))) for each in ids
        ]
        await looked(polls, 2)
        for each in ids:
            sandbox.happen("pause", to=each)
        return await asyncio.gather(*tasks)

    ended = asyncio.run(triggerer())

    assert [each["found"]["campaign_id"] for each in ended] == ids
    assert len(polls.looks) <= 4


def test_each_list_is_asked_for_once_and_by_one_client(polls: Polls, sandbox: Sandbox) -> None:
    spring, winter = sandbox.add_campaign("Spring"), sandbox.add_campaign("Winter")
    people = [
        sandbox.add_person(each, {"Email": f"{name}@example.com"})
        for each, name in ((spring, "ana"), (spring, "ben"), (winter, "ana"))
    ]
    usual = {**USUAL, "poll_interval": 2}
    triggers = [
        ProspectTrigger(campaign_id=each, prospect_id=who, **usual)
        for each, who in zip((spring, spring, winter), people, strict=True)
    ]

    async def triggerer() -> list[Any]:
        return await asyncio.gather(*map(event_of, triggers))

    ended = asyncio.run(triggerer())

    assert [each["found"]["prospect_id"] for each in ended] == people
    assert sorted(request.path for request in polls.looks) == sorted(polls.of_people(each) for each in (spring, winter))


@pytest.mark.parametrize("many", [1, 50])
def test_sensors_of_one_campaign_cost_no_more_than_one(
    many: int, polls: Polls, sandbox: Sandbox, campaign: Any
) -> None:
    people = [sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"}) for number in range(50)]
    usual = {**USUAL, "poll_interval": 60}

    async def triggerer() -> list[Any]:
        triggers = [ProspectTrigger(campaign_id=campaign.id, prospect_id=who, **usual) for who in people[:many]]
        return await asyncio.gather(*map(event_of, triggers))

    assert [each["found"]["prospect_id"] for each in asyncio.run(triggerer())] == people[:many]
    assert len(sandbox.requests) == polls.requests_for_people


def test_one_who_is_hopeless_ends_alone(sandbox: Sandbox, campaign: Any) -> None:
    async def triggerer() -> list[Any]:
        waiting = asyncio.create_task(event_of(CampaignTrigger(state="paused", campaign_id=campaign.id, **USUAL)))
        hopeless = await event_of(CampaignTrigger(state="paused", campaign_id="nobody", **USUAL))
        sandbox.happen("pause", to=campaign.id)
        return [hopeless, await waiting]

    assert [each["status"] for each in asyncio.run(triggerer())] == ["hopeless", "met"]


def test_a_trigger_that_is_cancelled_leaves_nothing_behind(
    polls: Polls, sandbox: Sandbox, campaign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[SalesBlinkClient] = []
    close = SalesBlinkClient.close

    def noted_close(client: SalesBlinkClient) -> None:
        closed.append(client)
        close(client)

    monkeypatch.setattr(SalesBlinkClient, "close", noted_close)

    async def triggerer() -> None:
        task = asyncio.create_task(event_of(CampaignTrigger(state="paused", campaign_id=campaign.id, **USUAL)))
        await looked(polls, 1)
        assert poll_threads()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for thread in poll_threads():
            thread.join(5)
        assert poll_threads() == []
        assert len(closed) == 1

    asyncio.run(triggerer())
    sent = len(sandbox.requests)
    assert len(polls.looks) <= 3
    threading.Event().wait(0.1)
    assert len(sandbox.requests) == sent


def test_a_cancelled_trigger_does_not_end_the_others_wait(polls: Polls, sandbox: Sandbox, campaign: Any) -> None:
    async def triggerer() -> Any:
        trigger = CampaignTrigger(state="paused", campaign_id=campaign.id, **USUAL)
        first, second = (asyncio.create_task(event_of(trigger)) for _ in range(2))
        await looked(polls, 1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        sandbox.happen("pause", to=campaign.id)
        return await second

    assert asyncio.run(triggerer())["status"] == "met"


def test_the_event_loop_does_not_wait_for_the_connection_nor_for_answers(
    polls: Polls, sandbox: Sandbox, campaign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.happen("pause", to=campaign.id)
    polls.fault("campaigns", "slow", seconds=0.3)
    fetched_in: list[threading.Thread] = []
    fetch = BaseHook.get_connection

    def get_connection(cls: type[BaseHook], conn_id: str) -> Any:  # noqa: ARG001
        fetched_in.append(threading.current_thread())
        return fetch(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", classmethod(get_connection))

    async def triggerer() -> int:
        task = asyncio.create_task(event_of(CampaignTrigger(state="paused", campaign_id=campaign.id, **USUAL)))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns

    assert asyncio.run(triggerer()) >= 10
    # From Airflow 3.1 on there is another way, which needs no thread.
    assert fetched_in or hasattr(BaseHook, "aget_connection")
    assert threading.current_thread() not in fetched_in


IMPORTED_BY = """
import asyncio, sys, threading
from importlib.abc import MetaPathFinder

from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger

by = {}

class Noting(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        by[name] = threading.current_thread().name

async def triggerer():
    first = asyncio.ensure_future(anext(aiter(TRIGGER.run())))
    await asyncio.wait([first], timeout=5)

sys.meta_path.insert(0, Noting())
asyncio.run(triggerer())
print(by["airflow_provider_salesblink.client.client"])
"""


@pytest.mark.parametrize(
    "trigger",
    [
        "CampaignTrigger(state='paused', campaign_id='a', poll_interval=1, max_consecutive_failures=1, CONNECTION)",
        "ProspectEventTrigger(campaign_id='a', CONNECTION)",
    ],
)
def test_the_event_loop_does_not_wait_for_imports(trigger: str, airflow_database: None) -> None:  # noqa: ARG001
    code = IMPORTED_BY.replace("TRIGGER", trigger).replace("CONNECTION", "salesblink_conn_id='none'")

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] != "MainThread"
