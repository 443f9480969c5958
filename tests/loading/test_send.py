"""Failures in the middle of sending: the report shows all that was done, and the next run does the rest."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AuthenticationError, SalesBlinkError
from airflow_provider_salesblink.client.errors import BudgetSpentError, RateLimitedError
from airflow_provider_salesblink.loading import LoadFailedError, send
from airflow_provider_salesblink.loading.send_round import LONGEST_SETTLING_TIME
from tests.apis import BOTH
from tests.loading.people import accounted_for, assert_each_once, people, reads, writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

on_both_apis = pytest.mark.apis(*BOTH)


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
def test_a_key_that_ends_in_the_middle_ends_the_load_and_the_next_run_does_the_rest(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = people(300)
    api.fault("prospect-add", "slow", seconds=0.0, times=100)
    api.fault("prospect-add", "status", status=401, times=None)

    with pytest.raises(AuthenticationError):
        load_rows(rows, owner="a")

    sandbox.advance(1)  # so that v1 has imported the people that it accepted
    assert len(sandbox.people()) == 100
    assert len(writes(sandbox)) <= 100 + 8
    sandbox.clear_faults()
    report = load_rows(rows, owner="a")
    assert_each_once(sandbox, rows)
    assert (report.added, report.planned.there) == (200, 100)


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_a_rate_limit_in_the_middle_reports_all_that_was_done(
    mode: str, sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], campaign: CampaignUnderTest,
    load_rows: Callable[..., Report],
) -> None:  # fmt: skip
    rows = people(50)
    if mode == "upsert":
        for row in rows:
            sandbox.add_person(campaign.id, {**row, "First Name": "Old"})

    with pytest.raises(BudgetSpentError) as spent:
        load_rows(rows, client=new_client(writes_per_minute=20), longest_wait=1, mode=mode)

    assert spent.value.report.added + spent.value.report.updated == len(writes(sandbox)) == 20
    assert 50 < (spent.value.retry_after or 0) < 61


def test_a_server_that_asks_to_be_left_alone_for_a_day_holds_no_worker(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    api.fault("prospect-add", "status", status=503, retry_after=86_400, when="after", times=1)
    api.fault("prospect-add", "status", status=503, retry_after=86_400, times=1)
    waits: list[float] = []

    with pytest.raises(RateLimitedError) as limited:
        load_rows(people(2), sleep=waits.append, max_in_flight=1)

    assert waits == [LONGEST_SETTLING_TIME]
    assert limited.value.retry_after == 86_400 - LONGEST_SETTLING_TIME
    assert limited.value.report.added == 1
    assert load_rows(people(2), sleep=waits.append).added == 1
    assert_each_once(sandbox, people(2))


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
def test_a_server_that_asks_for_a_long_pause_ends_the_load(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = people(30)
    api.fault("prospect-add", "slow", seconds=0.0, times=10)
    api.fault("prospect-add", "429", retry_after=3600, times=None)

    with pytest.raises(SalesBlinkError, match="429"):
        load_rows(rows)

    sandbox.advance(1)  # so that v1 has imported the people that it accepted
    assert len(sandbox.people()) == 10


@pytest.mark.usefixtures("one_a_call")
@on_both_apis
def test_an_interrupted_load_leaves_nothing_under_way(
    sandbox: Sandbox, load_rows: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = people(100)
    calls = itertools.count()

    def interrupting(self: Any, *_: Any, **__: Any) -> None:
        if next(calls) == 20:
            raise KeyboardInterrupt
        finish(self, *_, **__)

    finish = send.Sender._finish_add
    monkeypatch.setattr(send.Sender, "_finish_add", interrupting)
    with pytest.raises(KeyboardInterrupt):
        load_rows(rows, owner="a")
    sent = len(sandbox.requests)
    time.sleep(0.1)  # noqa: TID251

    assert len(sandbox.requests) == sent
    load_rows(rows, owner="a")
    assert_each_once(sandbox, rows)


def test_a_campaign_that_cannot_be_read_back_leaves_the_doubt_to_the_next_run(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report]
) -> None:
    rows = people(40)
    api.fault("prospects", "slow", seconds=0.0, times=api.reads_of_look_up)
    api.fault("prospects", "status", status=503, times=5)
    api.fault("prospect-add", "reset", when="after", times=3)

    with pytest.raises(SalesBlinkError):
        load_rows(rows, owner="a")

    assert load_rows(rows, owner="a").added == 0
    assert_each_once(sandbox, rows)


@on_both_apis
@pytest.mark.parametrize("kind", ["truncated", "html", "cut", "refused", "garbage"])
def test_a_campaign_whose_list_is_spoilt_is_not_taken_for_empty(
    kind: str, api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report]
) -> None:
    rows = people(10)
    for row in rows:
        sandbox.add_person(campaign.id, row)
    api.fault("prospects", kind, times=None)

    with pytest.raises(SalesBlinkError):
        load_rows(rows)

    assert writes(sandbox) == []


def test_a_stale_reading_is_renewed_and_every_lost_response_is_still_reported(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send.Sender, "_is_reading_stale", lambda _: True)
    api.fault("prospect-add", "reset", when="after", times=10)
    api.fault("prospect-add", "reset", when="before", times=10)
    rows = people(100)

    report = load_rows(rows)

    assert_each_once(sandbox, rows)
    in_doubt = report.ambiguous
    assert (in_doubt.lost, in_doubt.carried_out, in_doubt.not_carried_out) == (20, 10, 10)
    assert (report.added, report.taken_by_others, accounted_for(report)) == (100, 0, 100)
    assert reads(sandbox) > 10


def test_a_server_that_is_down_for_good_is_an_error_and_adds_nobody(
    api: Api,
    sandbox: Sandbox,
    load_rows: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:

    monkeypatch.setattr(send, "MOST_ROUNDS", 3)
    api.fault("prospect-add", "status", status=503, times=None)

    with pytest.raises(LoadFailedError, match=r"could not be added for sure: 5; .* Run it again") as failed:
        load_rows(people(5))

    assert not failed.value.permanent
    assert caplog.text.count("Adds in doubt: 5, the last of them POST /api/prospect-add: 503.") == 3
    assert sandbox.people() == []
    assert len(writes(sandbox)) == 15
