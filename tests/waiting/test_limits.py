"""SalesBlink's limits: what a 429 asks of all, and a budget that is kept and shared out fairly."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import rate_limit
from airflow_provider_salesblink.sandbox import Limits
from airflow_provider_salesblink.waiting import shared_client as shared_client_module
from airflow_provider_salesblink.waiting.conditions import CampaignIs, Met, ProspectIs
from airflow_provider_salesblink.waiting.resources import CampaignPeople, PersonCondition
from tests.apis import BOTH
from tests.waiting.conftest import Connection, for_a_while, poll_threads, run, until, waiting

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from airflow_provider_salesblink.waiting.shared_client import SharedClient
    from tests.conftest import CampaignUnderTest
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

WINDOW = 0.5
ARRIVAL = 0.15
"""Seconds by which the time that a request takes to arrive may vary on a busy machine."""


def crowd(shared: SharedClient, ids: list[str]) -> list[asyncio.Task[Any]]:
    """Start a wait in each campaign, for a person who is not there."""
    return [
        waiting(shared, PersonCondition(ProspectIs(), "p0"), CampaignPeople(id_), interval=0.02, most=99) for id_ in ids
    ]


async def gone(waiters: list[asyncio.Task[Any]]) -> None:
    for waiter in waiters:
        waiter.cancel()
    for waiter in waiters:
        with suppress(asyncio.CancelledError):
            await waiter


@pytest.fixture
def ids(sandbox: Sandbox) -> list[str]:
    return [sandbox.add_campaign(f"No. {number}") for number in range(6)]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_retry_after_is_kept_by_all(polls: Polls, form: Any, connection: Connection, ids: list[str]) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = crowd(shared, ids)
            await until(lambda: len(connection.looks_at()) == 6)
            polls.fault("prospects", "429", retry_after=2, retry_after_form=form)
            await until(lambda: any(request.status == 429 for request in polls.looks))
            (limited,) = (request.at for request in polls.looks if request.status == 429)
            # What was on its way by then cannot be called back.
            await for_a_while(ARRIVAL)
            on_their_way = len(connection.looks)
            await until(lambda: len(connection.looks) > on_their_way)
            assert connection.looks[on_their_way] - limited >= 2
            assert all(at - limited < ARRIVAL for at in connection.looks[:on_their_way])
            await until(lambda: connection.looks_at().total() > on_their_way + 6)
            await gone(waiters)

    run(story())


def test_who_comes_meanwhile_keeps_it_too(polls: Polls, connection: Connection, ids: list[str]) -> None:
    polls.fault("prospects", "429", retry_after=1)

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = crowd(shared, ids[:1])
            await until(lambda: any(request.status == 429 for request in polls.looks))
            await for_a_while(0.05)
            assert isinstance(await waiting(shared, CampaignIs("running", ids[0])), Met)
            await gone(waiters)

    run(story())
    assert min(connection.looks[1:]) - connection.looks[0] >= 1


def test_a_429_that_does_not_say_for_how_long_is_the_usual_wait(
    polls: Polls, connection: Connection, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_client_module, "USUAL_WAIT", 1.0)
    polls.fault("prospects", "429")

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = crowd(shared, ids[:1])
            await until(lambda: len(connection.looks) == 1)
            await for_a_while(ARRIVAL)
            waiters += crowd(shared, ids[1:])
            await until(lambda: len(connection.looks_at()) == 6)
            await gone(waiters)

    run(story())
    assert connection.looks[1] - connection.looks[0] >= 1


def test_what_queues_for_a_thread_keeps_it_too(
    polls: Polls, connection: Connection, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_client_module, "MOST_CONCURRENT_REQUESTS", 2)
    polls.fault("prospects", "slow", seconds=0.5)
    polls.fault("prospects", "429", retry_after=1)

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = crowd(shared, ids)
            await until(lambda: len(connection.looks_at()) == 6)
            await gone(waiters)

    run(story())
    assert connection.looks[2] - connection.looks[1] >= 1


def test_with_a_server_that_limits_everybody_is_looked_at(
    polls: Polls, sandbox: Sandbox, connection: Connection, ids: list[str]
) -> None:
    sandbox.limits = Limits(reads=2 * polls.requests_for_people, window=0.4)

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = [
                waiting(shared, CampaignIs("running", ids[0])),
                *(
                    waiting(shared, PersonCondition(ProspectIs(), person), CampaignPeople(id_))
                    for id_, person in people
                ),
            ]
            assert all(isinstance(verdict, Met) for verdict in await asyncio.gather(*waiters))

    people = [(id_, sandbox.add_person(id_, {"Email": "ana@example.com"})) for id_ in ids[:3]]
    run(story())


# The budget


@pytest.fixture
def budget(polls: Polls, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A budget of so many polls in half a second."""
    monkeypatch.setattr(rate_limit, "MINUTE", WINDOW)
    monkeypatch.setattr(rate_limit, "SLACK", 0.0)
    connection.options |= {
        "reads_per_minute": 2 * polls.requests_for_people,
        "pacing_url": f"file://{tmp_path}/budget.sqlite",
    }
    return 2


def test_the_budget_is_kept_and_nobody_starves(
    budget: int,
    polls: Polls,
    sandbox: Sandbox,
    connection: Connection,
    ids: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = crowd(shared, ids)
            await until(lambda: connection.looks_at().total() >= 4 * len(ids), 30)
            await gone(waiters)

    caplog.set_level(logging.WARNING)
    run(story())
    reads, at = budget * polls.requests_for_people, [request.at for request in sandbox.requests]
    assert all(later - earlier > WINDOW - ARRIVAL for earlier, later in zip(at, at[reads:], strict=False))
    # The first pollers may use up the budget before the others start; after that all take turns.
    turns = [request.path for request in polls.looks][len(ids) + budget :]
    rounds = [turns[start : start + len(ids)] for start in range(len(turns) - len(ids) + 1)]
    assert all(len(set(each)) == len(ids) for each in rounds), turns
    (warning,) = (record.getMessage() for record in caplog.records)
    assert "polling 6 lists needs more reads than the rate limit allows" in warning
    assert "poll_interval" in warning


@pytest.mark.apis("v1")  # On the classic API, a poll is one request.
@pytest.mark.usefixtures("budget")
def test_a_poll_of_more_pages_than_the_budget_has_at_once_does_not_begin_again(
    sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest
) -> None:
    connection.options |= {"reads_per_minute": 1}
    person = sandbox.add_person(campaign.id, {"Email": "ana@example.com"})

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiter = waiting(shared, PersonCondition(ProspectIs(), person), CampaignPeople(campaign.id), most=1)
            assert isinstance(await waiter, Met)

    run(story())
    paths = [request.path + request.query for request in sandbox.requests]
    assert len(paths) == len(set(paths)) == 4
    assert sandbox.requests[-1].at - sandbox.requests[0].at > 3 * (WINDOW - ARRIVAL)


@pytest.mark.apis("v1")  # On the classic API, no thread waits for the budget.
@pytest.mark.usefixtures("budget")
def test_a_poll_that_waits_for_the_budget_ends_with_the_last_who_leaves(
    connection: Connection, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "MINUTE", 600)
    connection.options |= {"reads_per_minute": 1}

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = crowd(shared, ids[:1])
            await until(lambda: connection.looks)
            await for_a_while(0.1)
            await gone(waiters)
        await until(lambda: not poll_threads())

    run(story())
    assert len(connection.sandbox.requests) == 1


def test_who_leaves_the_queue_does_not_hold_it_up(budget: int, connection: Connection, ids: list[str]) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = crowd(shared, ids)
            await until(lambda: len(connection.looks) >= budget)
            await for_a_while(0.1)
            await gone(waiters[:-1])
            assert isinstance(await waiting(shared, CampaignIs("running", ids[0])), Met)
            await gone(waiters[-1:])

    run(story())


def test_a_spent_budget_is_no_failure(
    budget: int, sandbox: Sandbox, connection: Connection, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_client_module, "USUAL_WAIT", 600.0)

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiter = waiting(shared, CampaignIs("paused", ids[0]), interval=0.01, most=1)
            await until(lambda: len(connection.looks) > 2 * budget)
            sandbox.happen("pause", to=ids[0])
            assert isinstance(await waiter, Met)

    run(story())
