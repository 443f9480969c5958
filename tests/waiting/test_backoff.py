"""Intervals that grow as those of Airflow's own sensors do."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.waiting import backoff as backoff_module
from airflow_provider_salesblink.waiting.backoff import Backoff
from airflow_provider_salesblink.waiting.conditions import CampaignIs
from airflow_provider_salesblink.waiting.resources import AllCampaigns
from tests.waiting.conftest import Connection, for_a_while, run, until, waiting

if TYPE_CHECKING:
    from tests.conftest import CampaignUnderTest

WEEK = 7 * 24 * 3600.0


def steps(many: int, *, first: float = 60.0, longest: float | None = None, age: float = 0.0) -> list[float]:
    """The intervals of one who looks whenever one is over."""
    now = age
    backoff = Backoff(first, began=0.0, timeout=WEEK, longest=longest, now=now)
    found = []
    for _ in range(many):
        found.append(backoff.interval)
        now += backoff.interval
        backoff.looked(now)
    return found


def test_each_is_airflows_formula() -> None:
    for number, interval in enumerate(steps(10), start=1):
        least = int(60 * 2.0 ** (number - 2))
        assert least <= interval <= 2 * least


def test_none_is_shorter_than_a_second_nor_longer_than_the_longest() -> None:
    found = steps(12, first=0.02, longest=5.0)

    assert min(found) >= 1
    assert found[-1] == 5.0


def test_a_longest_of_none_at_all_is_no_limit() -> None:
    assert steps(5, longest=0.0)[-1] > 60


@pytest.mark.parametrize("first", [0.0, 0.02, 1.0, 60.0, 1e6])
@pytest.mark.parametrize("age", [0.0, 1.0, 1e3, 1e8])
def test_a_wait_of_any_age_has_an_interval(first: float, age: float) -> None:
    backoff = Backoff(first, began=0.0, timeout=1e12, longest=None, now=age)

    assert 1 <= backoff.interval <= max(4 * age, 2 * first, 2)


def test_a_wait_that_goes_on_in_another_process_goes_on_at_its_pace() -> None:
    assert steps(1, age=3600.0)[0] > 600


def test_there_is_a_look_shortly_before_the_end() -> None:
    now, looks = 0.0, []
    backoff = Backoff(60.0, began=0.0, timeout=3600.0, longest=None, now=now)
    while now < 3600:
        now += backoff.interval
        looks.append(now)
        backoff.looked(now)

    assert len(looks) < 16
    assert 3590 < looks[-2] < 3600


def test_looks_of_others_do_not_lengthen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff_module.random, "uniform", lambda least, _: least)
    backoff = Backoff(100.0, began=0.0, timeout=WEEK, longest=None, now=0.0)
    for now in range(0, 40, 5):
        backoff.looked(float(now))

    assert backoff.interval == 50
    backoff.looked(50.0)
    assert backoff.interval == 100


def test_a_poll_follows_the_shortest_interval_of_its_members(
    connection: Connection, campaign: CampaignUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A quarter of the second that Airflow's formula has as the least.
    monkeypatch.setattr(backoff_module.random, "uniform", lambda least, _: least / 4)
    condition, other = (CampaignIs("paused", campaign.id) for _ in range(2))

    async def story() -> None:
        async with connection.shared_client() as shared:
            backoff = Backoff(2.0, began=time.time(), timeout=WEEK, longest=None, now=time.time())
            patient: asyncio.Task[Any] = asyncio.create_task(
                shared.poller(AllCampaigns()).wait(condition, interval=backoff, most_failures=10)
            )
            await until(lambda: len(connection.looks) == 4)
            await for_a_while(0.3)
            alone = len(connection.looks)
            hasty = waiting(shared, other, interval=0.05)
            await until(lambda: len(connection.looks) >= alone + 6, 3)
            for each in (patient, hasty):
                each.cancel()
            await asyncio.wait([patient, hasty])

    run(story())
    first, second, third = (later - earlier for earlier, later in pairwise(connection.looks[:4]))
    # 0.25, 0.5 and 1 second, on a machine that is not busy.
    assert second > 0.4
    assert third > 0.8
    assert first < third
