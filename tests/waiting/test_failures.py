"""What goes wrong while many wait: what ends a wait, what passes, and who sits it out."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.waiting import poller as poller_module
from airflow_provider_salesblink.waiting import shared_client as shared_client_module
from airflow_provider_salesblink.waiting.conditions import CampaignIs, Hopeless, Met, ProspectIs
from airflow_provider_salesblink.waiting.connection_reload import UnusableConnectionError
from airflow_provider_salesblink.waiting.poller import GaveUp
from airflow_provider_salesblink.waiting.resources import CampaignPeople, EveryPerson, PersonCondition
from tests.apis import BOTH
from tests.waiting.conftest import Connection, for_a_while, run, until, waiting

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from airflow_provider_salesblink.waiting.changes import Snapshot
    from airflow_provider_salesblink.waiting.shared_client import SharedClient
    from tests.conftest import CampaignUnderTest
    from tests.polls import Polls

pytestmark = pytest.mark.apis(*BOTH)

LATENCY = 1.0
ANYBODY = ProspectIs()
PASSING: list[tuple[str, dict[str, Any], str]] = [
    ("status", {"status": 503}, "offline for maintenance"),
    ("status", {"status": 500}, "internal problem"),
    ("reset", {}, "did not answer"),
    ("html", {}, "not SalesBlink's"),
    ("truncated", {}, "not SalesBlink's"),
    ("429", {"retry_after": 0}, "slow down"),
]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller_module, "LONGEST_BACKOFF", 0.05)
    monkeypatch.setattr(shared_client_module, "USUAL_WAIT", 0.1)


def watching(shared: SharedClient, campaign_id: str, *, interval: float = 0.05) -> Any:
    return aclosing(shared.poller(CampaignPeople(campaign_id)).watch(EveryPerson(), interval=interval))  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("fault", "options", "words"),
    [
        ("status", {"status": 401}, "refused the key (401 on GET "),
        ("status", {"status": 403}, "allows this for administrators only"),
        ("status", {"status": 404}, "did not find it"),
        ("refused", {}, "the call failed"),
    ],
)
def test_an_error_that_needs_a_person_ends_all_waits_at_once(
    polls: Polls,
    fault: str,
    options: dict[str, Any],
    words: str,
    connection: Connection,
    campaign: CampaignUnderTest,
) -> None:
    polls.fault("campaigns", fault, **options)

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiters = [waiting(shared, CampaignIs("running", campaign.id), most=5) for _ in range(20)]
            for verdict in await asyncio.gather(*waiters):
                assert isinstance(verdict, Hopeless)
                assert words in verdict.reason

    run(story())
    assert len(connection.looks) == 1


@pytest.mark.parametrize(("fault", "options", "words"), PASSING)
def test_what_may_pass_ends_a_wait_only_when_it_does_not(
    polls: Polls,
    fault: str,
    options: dict[str, Any],
    words: str,
    connection: Connection,
    campaign: CampaignUnderTest,
) -> None:
    polls.fault("campaigns", fault, times=None, **options)

    async def story() -> None:
        async with connection.shared_client() as shared:
            soon = waiting(shared, CampaignIs("running", campaign.id), interval=0.02, most=1)
            later = waiting(shared, CampaignIs("running", campaign.id), interval=0.02, most=2)
            with pytest.raises(GaveUp, match=r"1 polls in a row failed\. Last error: .*" + words):
                await soon
            with pytest.raises(GaveUp, match=r"2 polls in a row failed\. Last error: .*" + words):
                await later

    run(story())
    assert len(connection.looks) == 2


def test_failures_are_counted_from_zero_after_a_success(
    polls: Polls, connection: Connection, campaign: CampaignUnderTest
) -> None:
    async def story() -> None:
        async with connection.shared_client() as shared:
            waiter = waiting(shared, CampaignIs("paused", campaign.id), interval=0.01, most=3)
            for _ in range(3):
                polls.fault("campaigns", "status", status=503, times=2)
                count = len(connection.looks)
                await until(lambda count=count: len(connection.looks) >= count + 4)
            assert not waiter.done()
            polls.fault("campaigns", "status", status=503, times=3)
            with pytest.raises(GaveUp, match="3 polls in a row"):
                await waiter

    run(story())


def test_what_failed_before_somebody_came_is_not_counted_for_them(
    polls: Polls, connection: Connection, campaign: CampaignUnderTest
) -> None:
    polls.fault("campaigns", "status", status=503, times=4)

    async def story() -> None:
        async with connection.shared_client() as shared:
            patient = waiting(shared, CampaignIs("running", campaign.id), interval=0.02)
            await until(lambda: len(connection.looks) >= 2)
            late = waiting(shared, CampaignIs("running", campaign.id), interval=0.02, most=4)
            assert all(isinstance(verdict, Met) for verdict in await asyncio.gather(patient, late))

    run(story())


@pytest.mark.parametrize("interval", [0.05, 600])
def test_a_refusal_of_a_look_that_began_before_somebody_came_is_not_theirs(
    polls: Polls, interval: float, sandbox: Sandbox, connection: Connection
) -> None:
    polls.fault("prospects", "slow", seconds=0.5, when="after")

    async def story() -> None:
        async with connection.shared_client() as shared:
            early = waiting(shared, PersonCondition(ANYBODY, "p0"), CampaignPeople("c1"))
            await until(lambda: connection.looks)
            await for_a_while(0.1)
            sandbox.add_campaign("Made meanwhile", id="c1")
            person = sandbox.add_person("c1", {"Email": "ana@example.com"})
            late = waiting(shared, PersonCondition(ANYBODY, person), CampaignPeople("c1"), interval=interval)
            refused = await early
            assert isinstance(refused, Hopeless)
            assert f"(404 on GET {polls.of_people('c1')})" in refused.reason
            assert isinstance(await asyncio.wait_for(late, LATENCY), Met)

    run(story())


def test_after_a_pause_there_are_not_two_looks_at_once(
    polls: Polls, connection: Connection, campaign: CampaignUnderTest
) -> None:
    polls.fault("campaigns", "429", retry_after=1)

    async def story() -> None:
        async with connection.shared_client() as shared:
            waiter = waiting(shared, CampaignIs("paused", campaign.id), interval=0.6)
            await until(lambda: len(connection.looks) == 3)
            waiter.cancel()

    run(story())
    limited, first, second = connection.looks
    assert first - limited >= 1
    assert second - first > 0.4


# Watchers


def test_watchers_sit_out_a_refusal(
    polls: Polls,
    connection: Connection,
    campaign: CampaignUnderTest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller_module, "AFTER_REFUSAL", 0.2)
    polls.fault("prospects", "status", status=401, times=3)

    async def story() -> None:
        async with connection.shared_client() as shared, watching(shared, campaign.id) as snapshots:
            assert (await anext(snapshots)).states == {}

    run(story())
    assert len(connection.looks) == 4
    gaps = [after - before for before, after in zip(connection.looks, connection.looks[1:], strict=False)]
    assert min(gaps) > 0.15


@pytest.mark.parametrize("fault", ["status", "reset"])
def test_watchers_sit_out_what_passes(
    polls: Polls, fault: str, connection: Connection, campaign: CampaignUnderTest
) -> None:
    polls.fault("prospects", fault, times=15, **({"status": 503} if fault == "status" else {}))

    async def story() -> None:
        async with connection.shared_client() as shared, watching(shared, campaign.id, interval=0.01) as snapshots:
            assert (await anext(snapshots)).states == {}

    run(story())


def test_a_key_that_was_corrected_in_the_connection_is_used(
    sandbox: Sandbox,
    connection: Connection,
    campaign: CampaignUnderTest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller_module, "AFTER_REFUSAL", 0.1)
    connection.options["api_key"] = "withdrawn"

    async def story() -> None:
        async with connection.shared_client() as shared, watching(shared, campaign.id) as snapshots:
            watched: asyncio.Future[Snapshot] = asyncio.ensure_future(anext(snapshots))
            refused = await waiting(shared, CampaignIs("running", campaign.id))
            assert isinstance(refused, Hopeless)
            assert "refused the key" in refused.reason
            connection.options["api_key"] = sandbox.key
            assert (await watched).states == {}
            assert isinstance(await waiting(shared, CampaignIs("running", campaign.id)), Met)

    run(story())


@pytest.mark.parametrize("interval", [0.05, 600])
@pytest.mark.parametrize("corrected", [False, True])
def test_a_waiter_that_joins_during_a_refusal_hears_of_it_at_once(
    polls: Polls,
    interval: float,
    corrected: bool,
    sandbox: Sandbox,
    connection: Connection,
    campaign: CampaignUnderTest,
) -> None:
    person = sandbox.add_person(campaign.id, {"Email": "ana@example.com"})
    polls.fault("prospects", "status", status=401, times=1 if corrected else None)

    async def story() -> None:
        async with connection.shared_client() as shared, watching(shared, campaign.id, interval=600) as snapshots:
            watched: asyncio.Future[Snapshot] = asyncio.ensure_future(anext(snapshots))
            await until(lambda: connection.looks)
            await for_a_while(0.2)
            began = time.monotonic()
            verdict = await waiting(
                shared, PersonCondition(ANYBODY, person), CampaignPeople(campaign.id), interval=interval
            )
            assert time.monotonic() - began < LATENCY
            assert isinstance(verdict, Met if corrected else Hopeless)
            if corrected:
                assert (await watched).states.keys() == {person}
            else:
                assert not watched.done()
                watched.cancel()
                await asyncio.wait([watched])

    run(story())
    assert len(connection.looks) == 2


def test_no_address_is_logged(
    sandbox: Sandbox, connection: Connection, campaign: CampaignUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    sandbox.add_person(campaign.id, {"Email": "ana@example.com", "ana@example.com": "x"})
    sandbox.fault("*", "status", status=503, times=2)

    async def story() -> None:
        async with connection.shared_client() as shared:
            of_somebody = waiting(shared, PersonCondition(ANYBODY, "p0"), CampaignPeople("ana@example.com"), most=2)
            by_name = waiting(shared, CampaignIs("running", campaign_name="ana@example.com"), most=9)
            results = await asyncio.gather(of_somebody, by_name, return_exceptions=True)
            assert [type(each) for each in results] == [Hopeless, Hopeless]
            assert not any("ana@" in str(each) for each in results)

    run(story())
    assert "failed (1 in a row)" in caplog.text
    assert "ana@" not in caplog.text


def test_a_connection_that_broke_ends_no_wait_that_would_not_end_anyway(
    polls: Polls, connection: Connection, campaign: CampaignUnderTest
) -> None:
    polls.fault("prospects", "status", status=401)

    async def story() -> None:
        async with connection.shared_client() as shared:
            connection.broken = UnusableConnectionError("There is no connection 'crm'.")
            assert isinstance(
                await waiting(shared, PersonCondition(ANYBODY, "p0"), CampaignPeople(campaign.id)), Hopeless
            )
            assert isinstance(await waiting(shared, CampaignIs("running", campaign.id)), Met)

    run(story())
    assert len(connection.made) == 1
