"""A load says how far it is, and how long the rest takes."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.loading import progress as progress_module
from airflow_provider_salesblink.loading.progress import WINDOW, Progress, in_words, seconds_for
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from tests.loading.people import people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 s"), (0.4, "1 s"), (7.6, "8 s"), (59, "59 s"), (59.4, "59 s"), (59.9, "1 min"), (60, "1 min"),
        (75, "1 min 15 s"), (181.5, "3 min 2 s"), (599, "9 min 59 s"), (600, "10 min"), (1130, "19 min"),
        (3569, "59 min"), (3599, "1 h 0 min"), (6240, "1 h 44 min"), (90_000, "25 h 0 min"),
    ],
)  # fmt: skip
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("calls", "per_minute", "windows"),
    [(0, 15, 0), (1, 15, 0), (15, 15, 0), (16, 15, 1), (25, 20, 1), (30, 15, 1), (31, 15, 2), (300, 15, 19), (9, 0, 0)],
)
def test_the_limit_says_when_the_last_call_may_go_out(calls: int, per_minute: int, windows: int) -> None:
    assert seconds_for(calls, per_minute) == windows * WINDOW


def test_what_went_out_already_counts() -> None:
    burst = [1000.0] * 15

    assert seconds_for(45, 15, burst, now=1010) == 3 * WINDOW - 10
    assert seconds_for(1, 15, burst, now=1010) == WINDOW - 10
    assert seconds_for(1, 15, [1000.0] * 14 + [1030.0], now=1040) == WINDOW - 40
    assert seconds_for(1, 15, [1000.0] * 3, now=1040) == 0, "there is room in this window"
    assert seconds_for(1, 15, [1000.0] * 15, now=2000) == 0


def started(many: int, per_minute: int = 15, **options: Any) -> Progress:
    progress = Progress("added", many, per_minute=per_minute, **options)
    progress._began = time.monotonic()
    return progress


def test_a_burst_is_not_extrapolated() -> None:
    progress = started(60)
    for _ in range(15):
        progress.step()

    assert progress.line(progress._began + 10) == "15 / 60 added, 15.0 a minute, about 2 min 52 s left."


def test_a_wait_before_the_first_is_not_extrapolated_either() -> None:
    progress = started(60)
    for _ in range(3):
        progress.step()

    assert progress.line(progress._began + 55).endswith("about 3 min 2 s left.")


def test_others_who_use_the_same_budget_are_seen_after_a_while() -> None:
    progress = started(300)
    for _ in range(20):
        progress.step()

    assert progress.line(progress._began + 240).endswith("about 56 min left.")


def test_without_a_limit_the_speed_so_far_counts() -> None:
    progress = started(100, per_minute=0)
    for _ in range(25):
        progress.step()

    assert progress.line(progress._began + 10) == "25 / 100 added, 150.0 a minute, about 30 s left."


def test_an_update_of_several_fields_takes_as_many_calls() -> None:
    progress = started(20, calls=60)
    for _ in range(5):
        progress.step(calls=3)

    assert progress.line(progress._began + 10) == "5 / 20 added, 5.0 a minute, about 2 min 52 s left."


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[str], list[str]]:
    """The lines of progress that end in some words, one every 0.1 s."""
    monkeypatch.setattr(progress_module, "PROGRESS_EVERY", 0.1)
    caplog.set_level("INFO")

    def found(pattern: str) -> list[str]:
        return [each.getMessage() for each in caplog.records if re.search(pattern, each.getMessage())]

    return found


def test_each_phase_of_a_load_says_how_far_it_is(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report], lines: Callable[[str], list[str]]
) -> None:
    for row in people(30):
        sandbox.add_person(campaign.id, {**row, "First Name": "Old"})
    for row in people(8, start=100):
        sandbox.add_person(campaign.id, row)
    sandbox.fault("prospects", "slow", seconds=0.3)
    for operation in ("prospect", "prospect-add", "prospect-update", "prospect-unsubscribe"):
        sandbox.fault(operation, "slow", seconds=0.3, times=None)

    def rows() -> Iterator[Any]:
        for row in from_mappings(people(60), ColumnNames()):
            time.sleep(0.005)  # noqa: TID251
            yield row

    load_rows(rows(), mode="mirror", max_unsubscribes=1)

    assert lines(r"^[\d,]+ people of the campaign read, [\d.,]+ a minute\.$")
    assert lines(r"^[\d,]+ rows planned, [\d.,]+ a minute\.$")
    assert lines(r"^\d+ / 30 added, [\d.,]+ a minute.*; \d+ looked up, 0 answers lost\.$")
    assert lines(r"^\d+ / 30 updated, [\d.,]+ a minute, about \d+ s left\.$")
    assert lines(r"^\d+ / 8 unsubscribed, [\d.,]+ a minute")


def test_what_waits_for_the_budget_says_so_too(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report],
    new_client: Callable[..., SalesBlinkClient], lines: Callable[[str], list[str]],
) -> None:  # fmt: skip
    from airflow_provider_salesblink.client import BudgetSpentError

    for row in people(300):
        sandbox.add_person(campaign.id, {**row, "First Name": "Old"})
    sandbox.fault("prospect-update", "slow", seconds=0.3, times=None)

    with pytest.raises(BudgetSpentError):
        load_rows(people(300), client=new_client(writes_per_minute=15), mode="upsert", longest_wait=0)

    assert lines(r"Writes to send: 300, at 15 a minute: about 19 min\. ")
    assert lines(r"^[1-9]\d? / 300 updated, [\d.]+ a minute, about (19|20) min left\.$")


@pytest.mark.parametrize(
    ("writes", "reads", "says"),
    [
        (
            20,
            0,
            r"Writes to send: 25, at 20 a minute; look-ups in other campaigns: 25, "
            r"with no rate limit set: about 1 min\.",
        ),
        (0, 10, r"with no rate limit set; look-ups in other campaigns: 25, at 10 a minute: about 2 min 1 s\."),
        (30, 60, r"at 30 a minute; look-ups in other campaigns: 25, at 60 a minute: no waiting for the limit\."),
    ],
)
def test_the_plan_says_how_long_the_slower_limit_takes(
    writes: int, reads: int, says: str, sandbox: Sandbox, load_rows: Callable[..., Report],
    new_client: Callable[..., SalesBlinkClient], lines: Callable[[str], list[str]],
) -> None:  # fmt: skip
    from airflow_provider_salesblink.client import SalesBlinkError

    sandbox.fault("prospect-add", "status", status=401, times=None)

    with pytest.raises(SalesBlinkError):
        load_rows(people(25), client=new_client(writes_per_minute=writes, reads_per_minute=reads), longest_wait=0)

    assert lines(says)
    assert not lines("less than a minute")
