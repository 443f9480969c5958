"""Whole loads over a real socket: on a bad day, four at once, again, at the limit."""

from __future__ import annotations

import random
from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.sandbox import Limits
from tests.apis import BOTH
from tests.client.test_rate_limit import most_within
from tests.loading.people import accounted_for, addresses, assert_each_once, people, reads, writes
from tests.loading.processes import go, loader, report_of, written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

on_both_apis = pytest.mark.apis(*BOTH)

SPOILT: tuple[dict[str, Any], ...] = (
    {"kind": "reset", "when": "after"}, {"kind": "status", "status": 500, "when": "after"},
    {"kind": "reset", "when": "before"}, {"kind": "status", "status": 503, "when": "before"},
)  # fmt: skip


def spoil(api: Api) -> None:
    """A bad day: every fifth answer is spoilt, and every hundredth call is one too many."""
    for fault in SPOILT:
        api.fault("prospect-add", share=0.05, **fault)
    for retry_after in (0, 1):
        api.fault("prospect-add", "429", share=0.005, retry_after=retry_after)


def test_many_people_on_a_bad_day_are_there_once_each_and_every_lost_response_is_reported(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    spoil(api)
    many = 800
    rows = people(many)

    report = load_rows(rows)

    assert_each_once(sandbox, rows)
    assert (report.added, accounted_for(report)) == (many, many)
    assert sorted(start.email for start in sandbox.started) == sorted(row["Email"] for row in rows)
    in_doubt = report.ambiguous
    assert in_doubt.lost == in_doubt.carried_out + in_doubt.not_carried_out
    hits = Counter(request.fault for request in sandbox.requests if request.fault)
    assert hits.keys() == {"reset", "reset after", "status 500 after", "status 503", "429"}
    assert in_doubt.carried_out == hits["reset after"] + hits["status 500 after"]
    assert in_doubt.not_carried_out == hits["reset"] + hits["status 503"]
    assert report.reads == reads(sandbox) < 12


@on_both_apis
def test_a_finished_load_run_again_reads_once_and_writes_nothing(
    sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = people(500)
    load_rows(rows)
    sent = len(sandbox.requests)

    report = load_rows(rows)

    assert {request.method for request in sandbox.requests[sent:]} == {"GET"}
    assert report.reads == 1
    assert (report.added, report.planned.there, accounted_for(report)) == (0, 500, 500)


def test_ten_thousand_who_are_there_cost_one_read_and_no_write(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    rows = people(10_000)
    for row in rows:
        sandbox.add_person(campaign.id, row)

    report = load_rows(rows, mode="upsert")

    assert (reads(sandbox), writes(sandbox), report.planned.there) == (1, [], 10_000)


def test_four_processes_with_the_same_people_in_other_order_and_case_add_nobody_twice(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, pacing_url: str, tmp_path: Path
) -> None:
    api.fault("prospect-add", "slow", seconds=0.005, times=None)
    rows = people(500)
    processes = []
    for number, change in enumerate((str.lower, str.upper, str.title, str.swapcase)):
        mine = [{**row, "Email": f" {change(row['Email'])}"} for row in random.Random(number).sample(rows, 500)]
        path = written(tmp_path / f"{number}.csv", mine)
        processes.append(loader(sandbox, campaign.id, pacing_url, path, f"load {number}"))
    for process in processes:
        go(process)
    reports = [report_of(process) for process in processes]

    assert_each_once(sandbox, rows)
    assert sum(report["added"] for report in reports) == 500
    assert sum(report["added"] > 0 for report in reports) > 1
    for report in reports:
        assert report["added"] + report["taken_by_others"] + report["there"] == 500


def test_two_processes_on_a_bad_day_add_nobody_twice(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, pacing_url: str, tmp_path: Path
) -> None:
    for fault in SPOILT:
        api.fault("prospect-add", share=0.05, **fault)
    rows = people(200)
    processes = [
        loader(sandbox, campaign.id, pacing_url, written(tmp_path / f"{number}.csv", rows[::step]), f"load {number}")
        for number, step in enumerate((1, -1))
    ]
    for process in processes:
        go(process)
    for process in processes:
        report_of(process)

    assert_each_once(sandbox, rows)


def test_a_paced_load_never_passes_its_budget_and_uses_it_up(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report]
) -> None:
    from airflow_provider_salesblink.client import rate_limit

    limit, window, rows = 20, 1.0, people(81)
    sandbox.limits = Limits(writes=limit, window=window)
    client = new_client(writes_per_minute=limit)
    # A minute of this test is a second; the slack is larger in proportion, as a busy machine's delays are.
    budget = client._requestor._rate_limiter
    assert isinstance(budget, rate_limit.SlidingWindow)
    client._requestor._rate_limiter = rate_limit.SlidingWindow({"writes": limit}, budget._store, window=window * 1.25)

    load_rows(rows, client=client)

    added = [request for request in sandbox.requests if request.method == "POST"]
    assert [request.status for request in added] == [200] * 81
    moments = [request.at for request in added]
    assert most_within(moments, window) <= limit
    assert max(moments) - min(moments) < 4 * window * 1.25 * 1.1


def test_one_in_flight_keeps_the_order_and_fifty_are_fine(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = people(100)
    load_rows(rows, max_in_flight=1)
    assert [person.email for person in sandbox.people()] == [row["Email"] for row in rows]

    more = people(300, start=100)
    api.fault("prospect-add", "slow", seconds=0.02, times=None)
    load_rows(more, max_in_flight=50)

    assert_each_once(sandbox, rows + more)


@on_both_apis
def test_two_loads_in_one_process_add_nobody_twice(sandbox: Sandbox, load_rows: Callable[..., Report]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = people(300)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(load_rows, rows), pool.submit(load_rows, rows[::-1])]
    reports = [each.result() for each in both]

    assert addresses(sandbox) == sorted(row["Email"] for row in rows)
    assert [accounted_for(report) for report in reports] == [300, 300]


HURRIED = Policy(max_attempts=2, settling_time=0.6, backoff=0.001, longest_backoff=0.01)


def test_an_answer_that_comes_too_late_is_waited_for_before_anybody_looks(
    api: Api, sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report]
) -> None:
    api.fault("prospect-add", "slow", seconds=0.6, times=5)
    rows = people(20)

    report = load_rows(rows, client=new_client(timeout=0.3, policy=HURRIED))

    assert_each_once(sandbox, rows)
    assert (report.ambiguous.lost, report.ambiguous.carried_out) == (5, 5)


def test_a_call_that_waits_for_the_budget_longer_than_a_reservation_lasts_is_made_again(
    sandbox: Sandbox,
    new_client: Callable[..., SalesBlinkClient],
    load_rows: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow_provider_salesblink.client import rate_limit

    client = new_client(writes_per_minute=4)
    budget = client._requestor._rate_limiter
    assert isinstance(budget, rate_limit.SlidingWindow)
    client._requestor._rate_limiter = rate_limit.SlidingWindow({"writes": 4}, budget._store, window=1.0)
    monkeypatch.setattr(import_module("airflow_provider_salesblink.loading.load"), "LONGEST_UNSENT", 0.3)
    rows = people(20)

    report = load_rows(rows, client=client)

    assert_each_once(sandbox, rows)
    assert report.added == 20


@pytest.mark.parametrize("given", [{"opt_outs": "skip"}, {"guards": 0.5}, {"run": {"owner": "a"}}])
def test_an_argument_of_another_type_names_the_right_one(
    client: SalesBlinkClient, campaign: CampaignUnderTest, given: Any
) -> None:
    from airflow_provider_salesblink.client import InvalidInputError
    from airflow_provider_salesblink.loading import load

    with pytest.raises(
        InvalidInputError, match=r"(opt_outs|guards|run) is a \w+: pass (OptOutRules|Guards|RunOptions)"
    ):
        load(client, campaign.id, iter(()), **given)


@pytest.mark.parametrize("mode", ["insert", "upsert", "mirror"])
def test_people_who_were_mailed_and_taken_off_the_list_are_left_alone(
    mode: str, sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], campaign: CampaignUnderTest,
    load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for row in people(3):
        sandbox.add_person(campaign.id, {"Email": row["Email"]})
    client = new_client(api_version="v1")
    client.leads.remove(sandbox.lists(campaign.id)[0].id, "p0@example.com")

    report = load_rows(people(3), client=client, mode=mode)

    assert (report.added, report.updated, report.unsubscribed) == (0, 0 if mode == "insert" else 2, 0)
    assert ("without an id, who cannot be changed: 1" in caplog.text) == (mode != "insert")
    assert sorted(start.email for start in sandbox.started) == [row["Email"] for row in people(3)]
