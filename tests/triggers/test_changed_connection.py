"""A connection that is changed while many wait over it: all of them go on with what it holds now."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.connection import get_async_connection as read_connection

from airflow_provider_salesblink.sandbox import Sandbox
from airflow_provider_salesblink.triggers import events
from airflow_provider_salesblink.triggers.campaigns import CampaignTrigger
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger
from airflow_provider_salesblink.triggers.prospects import ProspectTrigger
from airflow_provider_salesblink.waiting import connection_reload
from tests.apis import BOTH
from tests.triggers.running import USUAL, event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

ID = "spring"
OFTEN = {**USUAL, "poll_interval": 0.05}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SHORTEST_INTERVAL", 0.0)


@pytest.fixture
def old(sandbox: Sandbox) -> Sandbox:
    return _with_ana(sandbox)


@pytest.fixture
def new() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield _with_ana(sandbox)


@pytest.fixture
def move(connection: Callable[..., None], new: Sandbox) -> Callable[..., None]:
    """Lets the connection point at the other server."""
    return lambda **changed: connection(**{"host": new.url, "password": new.key, **changed})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The connections that were read, one after the other."""
    ids: list[str] = []

    async def counted(conn_id: str, hook: Any) -> Any:
        ids.append(conn_id)
        await asyncio.sleep(0.02)
        return await read_connection(conn_id, hook)

    monkeypatch.setattr("airflow.providers.common.compat.connection.get_async_connection", counted)
    return ids


def _with_ana(sandbox: Sandbox) -> Sandbox:
    sandbox.add_person(sandbox.add_campaign("Spring", id=ID), {"Email": "ana@example.com"})
    return sandbox


def waiting(**changed: Any) -> asyncio.Task[Any]:
    """A deferred sensor of the campaign, in the triggerer."""
    return asyncio.create_task(event_of(CampaignTrigger(state="paused", campaign_id=ID, **{**OFTEN, **changed})))


CAMPAIGNS = ("/api/campaigns", "/api/public/v1.0.0/sequences")
"""The paths of polls on the two APIs."""


def looks(sandbox: Sandbox, *paths: str) -> int:
    return sum(request.path in (paths or CAMPAIGNS) for request in sandbox.requests)


async def looked(sandbox: Sandbox, more: int = 2, *path: str) -> None:
    """Until so many more polls came."""
    before = looks(sandbox, *path)
    async with asyncio.timeout(20):
        while looks(sandbox, *path) < before + more:  # noqa: ASYNC110  # the sandbox is in another thread
            await asyncio.sleep(0.005)


async def silent(sandbox: Sandbox) -> None:
    """No request comes any more; one may have been on its way."""
    await asyncio.sleep(0.1)
    before = len(sandbox.requests)
    await asyncio.sleep(0.5)
    assert len(sandbox.requests) == before


def test_one_who_joins_brings_all_to_the_new_server(
    old: Sandbox, new: Sandbox, move: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_salesblink")

    async def triggerer() -> list[Any]:
        first = waiting()
        await looked(old)
        move()
        second = waiting()
        await looked(new)
        await silent(old)
        before, began = looks(new), asyncio.get_running_loop().time()
        await asyncio.sleep(0.5)
        intervals = (asyncio.get_running_loop().time() - began) / OFTEN["poll_interval"]
        assert looks(new) - before <= intervals + 1, "one poll for both"
        assert not first.done()
        new.happen("pause", to=ID)
        return await asyncio.gather(first, second)

    assert [each["status"] for each in asyncio.run(triggerer())] == ["met", "met"]
    (line,) = [each for each in caplog.records if "has changed" in each.getMessage()]
    assert line.getMessage().startswith("Connection 'salesblink_default' has changed")
    assert old.key not in caplog.text
    assert new.key not in caplog.text


def test_those_who_wait_move_by_themselves_after_a_while(
    polls: Polls, old: Sandbox, new: Sandbox, move: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_reload, "RELOAD_INTERVAL", 0.3)
    people, ana = polls.of_people(ID), new.people(ID)[0].id

    async def triggerer() -> Any:
        sensor = waiting()
        person = asyncio.create_task(
            event_of(ProspectTrigger(campaign_id=ID, prospect_id=ana, unsubscribed=True, **OFTEN))
        )
        watcher = asyncio.create_task(unsubscribed())
        await looked(old)
        await looked(old, 2, people)
        move()
        await looked(new)
        await looked(new, 2, people)
        await silent(old)
        new.happen("pause", to=ID)
        new.happen("unsubscribe", to=ana)
        return [(await sensor)["status"], (await person)["status"], await watcher]

    async def unsubscribed() -> Any:
        trigger = ProspectEventTrigger(campaign_id=ID, events=["unsubscribed"], poll_interval=0.05)
        async with aclosing(trigger.run()) as events:
            return (await anext(events)).payload["changes"][0]["prospect_id"]

    assert asyncio.run(asyncio.wait_for(triggerer(), 30)) == ["met", "met", ana]


def test_one_who_joins_after_the_change_never_hears_of_the_old_server(
    old: Sandbox, new: Sandbox, move: Callable[..., None]
) -> None:
    async def triggerer() -> bool:
        first = waiting()
        await looked(old)
        move()
        old.happen("pause", to=ID)
        second = waiting()
        await looked(new)
        not_yet = not second.done()
        for each in (first, second):
            each.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        return not_yet

    assert asyncio.run(triggerer())


@pytest.mark.parametrize("extra", [{"timeout": 7}, {"reads_per_minute": 1000}])
def test_any_part_of_it_counts(
    extra: dict[str, Any], old: Sandbox, connection: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "airflow_provider_salesblink")

    async def triggerer() -> list[Any]:
        first = waiting()
        await looked(old)
        connection(extra=extra)
        second = waiting()
        await looked(old)
        third = waiting()
        await looked(old)
        await asyncio.sleep(1.2)
        old.happen("pause", to=ID)
        return await asyncio.gather(first, second, third)

    assert [each["status"] for each in asyncio.run(triggerer())] == ["met"] * 3
    assert sum("has changed" in each.getMessage() for each in caplog.records) == 1


def test_a_key_that_was_replaced_before_it_was_withdrawn_ends_no_wait(
    old: Sandbox, new: Sandbox, move: Callable[..., None]
) -> None:
    async def triggerer() -> Any:
        first = waiting()
        await looked(old)
        move()
        old.fault("*", "status", status=401, times=None)
        await looked(new)
        assert not first.done()
        new.happen("pause", to=ID)
        return await first

    assert asyncio.run(triggerer())["status"] == "met"


def test_a_429_of_the_old_server_holds_nobody_back_at_the_new_one(
    old: Sandbox, new: Sandbox, move: Callable[..., None]
) -> None:
    old.fault("*", "429", retry_after=3600)
    new.happen("pause", to=ID)

    async def triggerer() -> list[Any]:
        first = waiting()
        await looked(old, 1)
        move()
        return await asyncio.wait_for(asyncio.gather(first, waiting()), 15)

    assert [each["status"] for each in asyncio.run(triggerer())] == ["met", "met"]


def test_a_429_is_kept_where_host_and_key_stay_the_same(old: Sandbox, connection: Callable[..., None]) -> None:
    old.happen("pause", to=ID)
    old.fault("*", "429", retry_after=3)

    async def triggerer() -> list[Any]:
        first = waiting()
        await looked(old, 1)
        connection(extra={"timeout": 9})
        return await asyncio.gather(first, waiting())

    assert [each["status"] for each in asyncio.run(triggerer())] == ["met", "met"]
    at = [request.at for request in old.requests]
    assert at[1] - at[0] >= 3


@pytest.mark.parametrize("broken", ["gone", "no key", "unknown extra"])
def test_a_connection_that_broke_refuses_who_joins_and_keeps_who_waits(
    broken: str,
    old: Sandbox,
    connection: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(connection_reload, "RELOAD_INTERVAL", 0.2)

    def break_it() -> None:
        if broken == "gone":
            monkeypatch.delenv("AIRFLOW_CONN_SALESBLINK_DEFAULT")
        else:
            connection(**({"password": ""} if broken == "no key" else {"extra": {"reads": 1}}))

    async def triggerer() -> list[Any]:
        first = waiting()
        await looked(old)
        break_it()
        refused = await waiting()
        await asyncio.sleep(2.5)
        await looked(old)
        assert not first.done()
        connection()
        second = waiting()
        await looked(old)
        old.happen("pause", to=ID)
        return [refused, *await asyncio.gather(first, second)]

    ended = asyncio.run(triggerer())

    assert [each["status"] for each in ended] == ["hopeless", "met", "met"]
    # On Airflow 2, the database that is asked then is not there, which it logs.
    ours = [each for each in caplog.records if each.name.startswith("airflow_provider_salesblink")]
    (line,) = [each.getMessage() for each in ours if "cannot be read again" in each.getMessage()]
    assert "Waits continue with its previous content" in line
    assert old.key not in caplog.text


@pytest.mark.parametrize("many", [1000])
def test_those_who_join_together_share_a_read(many: int, old: Sandbox, reads: list[str]) -> None:
    old.happen("pause", to=ID)

    async def triggerer() -> list[Any]:
        keeps_the_line = asyncio.create_task(
            event_of(CampaignTrigger(state="running", campaign_id=ID, **{**OFTEN, "poll_interval": 60}))
        )
        await looked(old, 1)
        ended = await asyncio.gather(*(waiting() for _ in range(many)))
        keeps_the_line.cancel()
        await asyncio.gather(keeps_the_line, return_exceptions=True)
        return list(ended)

    assert [each["status"] for each in asyncio.run(triggerer())] == ["met"] * many
    assert len(reads) <= 3


def test_those_who_join_one_after_the_other_do_not_each_read(old: Sandbox, reads: list[str]) -> None:
    async def triggerer() -> None:
        tasks = []
        for _ in range(60):
            tasks.append(waiting())
            await asyncio.sleep(0.03)
        await asyncio.sleep(1.2)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(triggerer())
    assert looks(old)
    assert len(reads) <= 5


def test_what_is_kept_of_a_connection_shows_no_key(old: Sandbox) -> None:
    from airflow_provider_salesblink.triggers.base import _read

    access = asyncio.run(_read("salesblink_default"))

    assert old.key not in repr(access)
    assert len(access.content) == len(access.account) == 16
