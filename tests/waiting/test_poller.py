"""Many waits, one poll: who gets which result, when, and what is left behind. Real sockets and event loops."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.waiting.changes import Snapshot
from airflow_provider_salesblink.waiting.conditions import CampaignIs, Met, ProspectIs
from airflow_provider_salesblink.waiting.resources import AllCampaigns, CampaignPeople, EveryPerson, PersonCondition
from tests.apis import BOTH
from tests.waiting.conftest import Connection, for_a_while, no_clients, poll_threads, run, until, waiting

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

LATENCY = 1.0
"""Seconds that a busy machine may take for what should take none."""


class Broken:
    """A resource with a mistake in its code."""

    def __init__(self, *, after: int = 0) -> None:
        self.looks = 0
        self._after = after

    def look(self, client: Any, conditions: Any) -> Any:  # noqa: ARG002
        self.looks += 1
        if self.looks > self._after:
            raise RuntimeError("about ana@example.com")
        return iter([(condition, Snapshot()) for condition in conditions if isinstance(condition, EveryPerson)])

    def __str__(self) -> str:
        return "something broken"


def test_from_the_first_member_to_the_last_and_nothing_stays(
    polls: Polls, sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            waiter = waiting(shared, CampaignIs("paused", campaign.id))
            await until(lambda: len(polls.looks) > 1)
            sandbox.happen("pause", to=campaign.id)
            assert await waiter == Met({"outcome": "paused", "campaign_id": campaign.id})
            assert not shared._pollers
            count = len(polls.looks)
            await for_a_while(0.3)
            assert len(polls.looks) == count
        assert no_clients()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()} | outer)
        await until(lambda: not poll_threads())

    async def outermost() -> None:
        outer.update(asyncio.all_tasks())
        await story()

    outer: set[Any] = set()
    run(outermost())


def test_200_waiters_are_one_request_an_interval(
    polls: Polls, sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = [waiting(shared, CampaignIs("paused", campaign.id), interval=0.2) for _ in range(200)]
            began = time.monotonic()
            await until(lambda: len(polls.looks) >= 5)
            sandbox.happen("pause", to=campaign.id)
            happened = time.monotonic()
            verdicts = await asyncio.gather(*waiters)
            assert time.monotonic() - happened < 0.2 + LATENCY
            assert all(isinstance(verdict, Met) for verdict in verdicts)
            assert len(polls.looks) <= (time.monotonic() - began) / 0.2 + 1

    run(story())


def test_an_impatient_one_is_served_and_the_pace_goes_back_when_it_leaves(
    sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            slow = waiting(shared, CampaignIs("paused", campaign.id), interval=600)
            await until(lambda: connection.looks)
            await for_a_while(0.3)
            assert len(connection.looks) == 1
            fast = waiting(shared, CampaignIs("paused", campaign.id), interval=0.3)
            await until(lambda: len(connection.looks) == 4)
            await for_a_while(0.1)
            fast.cancel()
            await for_a_while(0.6)
            assert len(connection.looks) == 4
            await waiting(shared, CampaignIs("running", campaign.id), interval=0.3)
            await for_a_while(0.6)
            assert len(connection.looks) == 5, "a delivered result does not cause another poll"
            sandbox.happen("pause", to=campaign.id)
            await waiting(shared, CampaignIs("paused", campaign.id), interval=0.05)
            assert isinstance(await slow, Met), "it gets results of polls that others wanted"

    run(story())


def test_a_poll_that_takes_longer_than_the_interval_is_not_repeated_for_those_who_got_a_result(
    polls: Polls, connection: Connection, campaign: CampaignUnderTest
) -> None:
    polls.fault("campaigns", "slow", seconds=0.1)

    async def story() -> None:
        async with connection.shared_client() as shared:
            assert isinstance(await waiting(shared, CampaignIs("running", campaign.id), interval=0.01), Met)

    run(story())
    assert len(connection.looks) == 1


def test_a_waiter_gets_no_result_of_a_poll_that_began_before_it_joined(
    polls: Polls, sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest
) -> None:
    polls.fault("campaigns", "slow", seconds=0.5, when="after")

    async def story() -> None:
        async with connection.shared_client() as shared:
            early = waiting(shared, CampaignIs("running", campaign.id))
            await until(lambda: connection.looks)
            await for_a_while(0.1)
            sandbox.happen("pause", to=campaign.id)
            late = waiting(shared, CampaignIs("running", campaign.id))
            assert isinstance(await early, Met), "it was so when it was asked"
            await until(lambda: len(connection.looks) > 2)
            assert not late.done()
            sandbox.happen("unpause", to=campaign.id)
            assert isinstance(await late, Met)

    run(story())


def test_who_gives_up_leaves_the_others(sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = [waiting(shared, CampaignIs("paused", campaign.id)) for _ in range(10)]
            await until(lambda: connection.looks)
            for waiter in waiters[::2]:
                waiter.cancel()
            await asyncio.wait(waiters[::2])
            sandbox.happen("pause", to=campaign.id)
            verdicts = await asyncio.gather(*waiters, return_exceptions=True)
            assert all(isinstance(verdict, asyncio.CancelledError) for verdict in verdicts[::2])
            assert all(isinstance(verdict, Met) for verdict in verdicts[1::2])

    run(story())


@pytest.mark.parametrize("moment", ["before the first look", "under way", "between looks"])
def test_the_last_leaves_and_another_comes_at_the_same_moment(
    polls: Polls, moment: str, connection: Connection, campaign: CampaignUnderTest
) -> None:
    if moment == "under way":
        polls.fault("campaigns", "slow", seconds=0.5)

    async def story() -> None:
        async with connection.shared_client() as shared:
            last = waiting(shared, CampaignIs("paused", campaign.id), interval=0.5)
            await asyncio.sleep(0)
            if moment != "before the first look":
                await until(lambda: connection.looks)
            if moment == "between looks":
                await for_a_while(0.1)
            last.cancel()
            another = waiting(shared, CampaignIs("running", campaign.id))
            assert isinstance(await another, Met)
            await until(lambda: not shared._pollers)

    run(story())


def test_who_comes_and_goes_at_once_leaves_no_poller_behind(
    connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            patient = waiting(shared, CampaignIs("paused", campaign.id), interval=600)
            await until(lambda: connection.looks)
            await for_a_while(0.1)
            task = shared.poller(AllCampaigns())._task
            assert task is not None
            # Both are gone in the very moment in which the poller hears that one came.
            hasty = waiting(shared, CampaignIs("paused", campaign.id), interval=0.05)
            patient.cancel()
            await asyncio.sleep(0)
            hasty.cancel()
            await asyncio.wait([patient, hasty])
            await until(task.done)

    run(story())


def test_several_resources_at_once(sandbox: Sandbox, connection: Connection) -> None:
    ids = [sandbox.add_campaign(f"No. {number}") for number in range(20)]

    async def story() -> None:
        async with connection.shared_client() as shared:
            people = [sandbox.add_person(id_, {"Email": "ana@example.com"}) for id_ in ids]
            conditions = [PersonCondition(ProspectIs(unsubscribed=True), person) for person in people]
            waiters = [
                waiting(shared, condition, CampaignPeople(id_)) for condition, id_ in zip(conditions, ids, strict=True)
            ]
            everything = waiting(shared, CampaignIs("paused", ids[0]))
            await until(lambda: len(connection.looks_at()) == 21)
            for person in people:
                sandbox.happen("unsubscribe", to=person)
            verdicts = await asyncio.gather(*waiters)
            assert [verdict.found["prospect_id"] for verdict in verdicts] == people
            assert len(shared._pollers) == 1
            everything.cancel()

    run(story())
    assert len(connection.made) == 1


def test_watchers_get_every_new_snapshot(sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest) -> None:
    async def story() -> None:
        async with (
            connection.shared_client() as shared,
            aclosing(
                shared.poller(CampaignPeople(campaign.id)).watch(EveryPerson(), interval=0.05)  # type: ignore[type-var]
            ) as snapshots,
        ):
            for number in range(5):
                while len((await anext(snapshots)).states) != number:
                    pass
                sandbox.add_person(campaign.id, {"Email": f"p{number}@example.com"})
        assert not shared._pollers

    run(story())


def test_a_watcher_that_cannot_keep_up_gets_the_newest(
    sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def story() -> None:
        async with (
            connection.shared_client() as shared,
            aclosing(
                shared.poller(CampaignPeople(campaign.id)).watch(EveryPerson(), interval=0.02)  # type: ignore[type-var]
            ) as snapshots,
        ):
            await anext(snapshots)
            await until(lambda: len(connection.looks) > 3)
            sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
            count = len(connection.looks)
            await until(lambda: len(connection.looks) > count + 3)
            assert len((await anext(snapshots)).states) == 1

    run(story())


# Mistakes in the code


def test_a_mistake_reaches_everybody(connection: Connection, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            broken = Broken(after=1)
            watcher = shared.poller(broken).watch(EveryPerson(), interval=0.05)
            waiters = [waiting(shared, object(), broken) for _ in range(5)]
            assert (await anext(watcher)).states == {}
            with pytest.raises(RuntimeError):
                await anext(watcher)
            assert {type(each) for each in await asyncio.gather(*waiters, return_exceptions=True)} == {RuntimeError}
            assert not shared._pollers

    run(story())
    assert "something broken stopped: RuntimeError" in caplog.text
    assert "@" not in caplog.text


def test_who_comes_after_a_mistake_gets_a_look_of_their_own(connection: Connection) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            broken = Broken(after=1)
            # Busy with what it saw, so that it has not left when the other comes.
            async with aclosing(shared.poller(broken).watch(EveryPerson(), interval=0.05)) as snapshots:  # type: ignore[type-var]
                await anext(snapshots)
                await until(lambda: broken.looks == 2)
                await for_a_while(0.1)
                with pytest.raises(RuntimeError):
                    await waiting(shared, object(), broken)
                assert broken.looks == 3
                with pytest.raises(RuntimeError):
                    await anext(snapshots)
            assert not shared._pollers

    run(story())


# The log


MEMBER: ContextVar[str] = ContextVar("MEMBER", default="nobody")


class _Whose(logging.Handler):
    """Remembers in whose context something was logged, as Airflow's triggerer does."""

    def __init__(self) -> None:
        super().__init__()
        self.whose: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        self.whose.append(MEMBER.get())


@pytest.mark.parametrize("trouble", ["in passing", "a mistake"])
def test_what_is_logged_of_all_is_not_in_the_log_of_the_first(
    polls: Polls, trouble: str, connection: Connection, campaign: CampaignUnderTest
) -> None:
    polls.fault("campaigns", "status", status=503)
    handler, log = _Whose(), logging.getLogger("airflow_provider_salesblink.waiting")

    async def story() -> None:
        async with connection.shared_client() as shared:
            MEMBER.set("the first")
            if trouble == "a mistake":
                await asyncio.wait([waiting(shared, object(), Broken())])
            else:
                await waiting(shared, CampaignIs("running", campaign.id))

    log.addHandler(handler)
    try:
        run(story())
    finally:
        log.removeHandler(handler)
    assert handler.whose == ["nobody"]
