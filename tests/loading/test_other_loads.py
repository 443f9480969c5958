"""A load that waits for people that another load holds asks the store, says so once, and gives up its place."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client.errors import BudgetSpentError
from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.loading.add_person import LONGEST_WAIT, add_person
from airflow_provider_salesblink.loading.other_loads import LONGEST_PAUSE, TRY_AGAIN_AFTER, HeldByOthersError
from airflow_provider_salesblink.loading.reservations_retry import open_reservations
from tests.loading.people import assert_each_once, people, reads

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.loading.reservations_retry import RetryingReservations
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest


@pytest.fixture(params=["file", "redis"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the clients keep what they share."""
    return {"pacing_url": request.getfixturevalue("redis_url")} if request.param == "redis" else {}


@pytest.fixture
def held(
    new_client: Callable[..., SalesBlinkClient], campaign: CampaignUnderTest, options: dict[str, Any]
) -> Callable[[list[dict[str, str]]], RetryingReservations]:
    """Lets another load, which is at work, hold some people."""

    def hold(rows: list[dict[str, str]]) -> RetryingReservations:
        other = open_reservations(new_client(**options).shared, campaign.id, "other", settling_time=0)
        other.acquire([fingerprint(row["Email"]) for row in rows])
        return other

    return hold


def test_a_load_that_waits_asks_the_store_and_then_gives_up_its_place(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient],
    held: Callable[..., RetryingReservations], options: dict[str, Any], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    rows = people(20)
    held(rows[8:])
    waits: list[float] = []

    with pytest.raises(HeldByOthersError, match="adding 12 people of this one for longer than 120 s") as gave_up:
        load_rows(
            rows, client=new_client(**options), owner="one", settling_time=0, longest_wait=120, sleep=waits.append
        )

    assert isinstance(gave_up.value, BudgetSpentError), "which the operators are deferred by"
    assert gave_up.value.retry_after == TRY_AGAIN_AFTER
    assert gave_up.value.report.added == len(sandbox.people()) == 8
    assert max(waits) == LONGEST_PAUSE
    assert 100 <= sum(waits) <= 120
    # A Redis server that has only just started may have forgotten somebody: then the campaign is read once more.
    assert reads(sandbox) <= (2 if options else 1)
    assert caplog.text.count("12 people are being added by another load; waiting.") == 1
    assert caplog.text.count("; waiting") == 1


@pytest.mark.parametrize("added", [True, False], ids=["who added them", "who did not"])
def test_a_load_goes_on_as_soon_as_the_other_one_has_finished(
    added: bool, sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient],
    campaign: CampaignUnderTest, held: Callable[..., RetryingReservations], options: dict[str, Any],
) -> None:  # fmt: skip
    rows = people(10)
    other = held(rows[:5])
    asked = []

    def sleep(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 3:
            for row in rows[:5] * added:
                sandbox.add_person(campaign.id, row)
            other.finish()

    report = load_rows(rows, client=new_client(**options), owner="one", settling_time=0, sleep=sleep)

    assert_each_once(sandbox, rows)
    assert (report.added, report.taken_by_others) == ((5, 5) if added else (10, 0))
    assert len(asked) == 3
    assert reads(sandbox) == 2


def test_two_loads_do_not_wait_for_each_other(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient],
    options: dict[str, Any],
) -> None:  # fmt: skip
    rows = people(40)
    sandbox.fault("prospect-add", "slow", seconds=0.05, times=None)
    began = time.monotonic()

    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load_rows, rows[::step], client=new_client(**options)) for step in (1, -1)]
        reports = [each.result() for each in loads]

    assert_each_once(sandbox, rows)
    assert sum(report.added for report in reports) == 40
    assert time.monotonic() - began < 20


def test_what_is_freed_bit_by_bit_costs_a_reading_a_minute_at_most(
    sandbox: Sandbox, load_rows: Callable[..., Report], new_client: Callable[..., SalesBlinkClient],
    held: Callable[..., RetryingReservations], options: dict[str, Any],
) -> None:  # fmt: skip
    rows = people(20)
    other = held(rows)
    waited: list[float] = []
    free = iter(rows)

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if row := next(free, None):
            other.release([fingerprint(row["Email"])])

    report = load_rows(rows, client=new_client(**options), owner="one", settling_time=0, sleep=sleep)

    assert_each_once(sandbox, rows)
    assert report.added == 20
    assert reads(sandbox) <= 2 + sum(waited) / 60


def test_a_person_that_another_task_is_adding_is_waited_for_and_then_left_for_later(
    sandbox: Sandbox, campaign: CampaignUnderTest, new_client: Callable[..., SalesBlinkClient],
    held: Callable[..., RetryingReservations], options: dict[str, Any], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    (ana,) = people(1)
    other = held([ana])
    waits: list[float] = []
    with pytest.raises(HeldByOthersError, match="adding 1 person of this one for longer than 10 s"):
        add_person(new_client(**options), campaign.id, ana, sleep=waits.append)

    assert sum(waits) <= LONGEST_WAIT
    assert caplog.text.count("1 person is being added by another load; waiting.") == 1
    assert reads(sandbox) == 1
    ending = threading.Timer(0.5, other.finish)
    ending.start()
    outcome, _ = add_person(new_client(**options), campaign.id, ana)
    ending.join()
    assert outcome == "added"
    assert_each_once(sandbox, [ana])
