"""A load whose process is killed, and started again."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.apis import BOTH
from tests.loading.people import assert_each_once, people, writes
from tests.loading.processes import go, loader, report_of, written

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest


def wait_for(sandbox: Sandbox, requests: int) -> None:
    deadline = time.monotonic() + 20
    while len(sandbox.requests) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.001)  # noqa: TID251


def wait_for_adds(sandbox: Sandbox, adds: int) -> None:
    deadline = time.monotonic() + 60
    while len(writes(sandbox)) < adds:
        assert time.monotonic() < deadline
        time.sleep(0.001)  # noqa: TID251


@pytest.mark.timeout(900)
@pytest.mark.apis(*BOTH)
def test_a_load_that_is_killed_many_times_adds_everybody_once(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, pacing_url: str, tmp_path: Path
) -> None:
    # On v1, a call adds many people, and what a killed process sent may still be imported.
    many, options = (10_000, ("1.5", "50")) if api.is_v1 else (2000, ("0",))
    api.fault("prospect-add", "slow", seconds=0.1 if api.is_v1 else 0.005, times=None)
    rows = people(many)
    path = written(tmp_path / "people.csv", rows)
    moments = random.Random(3)
    grown = []
    for _ in range(10):
        process = loader(sandbox, campaign.id, pacing_url, path, "the same load", *options, api=api.version)
        go(process)
        # From before the campaign is read, or before the first add, to the middle of the sending.
        if api.is_v1:
            wait_for_adds(sandbox, len(writes(sandbox)) + moments.randrange(0, 16))
        else:
            wait_for(sandbox, len(sandbox.requests) + moments.randrange(2, 180))
        process.kill()
        assert process.wait() == -9
        grown.append(len(sandbox.people()))
    last = loader(sandbox, campaign.id, pacing_url, path, "the same load", *options, api=api.version)
    go(last)
    report = report_of(last)

    assert grown[-1] < many
    assert len(set(grown)) > 5
    assert_each_once(sandbox, rows)
    assert sorted(start.email for start in sandbox.started) == sorted(row["Email"] for row in rows)
    assert report["added"] + report["there"] == many
    assert report["taken_by_others"] == 0


@pytest.mark.apis(*BOTH)
def test_a_load_that_was_killed_and_runs_again_has_one_outcome_for_every_row(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, pacing_url: str, tmp_path: Path
) -> None:
    api.fault("prospect-add", "slow", seconds=0.05 if api.is_v1 else 0.005, times=None)
    rows = people(200)
    path = written(tmp_path / "people.csv", [*rows, {"Email": "P0@example.com", "First Name": "Again"}])
    options = ("1.5", "5") if api.is_v1 else ("0",)
    first, second = (
        loader(sandbox, campaign.id, pacing_url, path, "the same load", *options, api=api.version) for _ in range(2)
    )
    go(first)
    wait_for_adds(sandbox, 12 if api.is_v1 else 50)
    first.kill()
    first.wait()

    go(second)
    report = report_of(second)

    outcomes = [json.loads(line) for line in (tmp_path / "people.csv.outcomes").read_text().splitlines()]
    assert [each["row"] for each in outcomes] == list(range(2, 203))
    found = Counter(each["outcome"] for each in outcomes)
    assert found == {"added": report["added"], "there": report["there"], "repeats": 1}
    assert 0 < found["there"] < 200
    assert_each_once(sandbox, rows)


def test_what_the_server_was_still_at_when_the_process_was_killed_is_not_sent_again(
    sandbox: Sandbox, campaign: CampaignUnderTest, pacing_url: str, tmp_path: Path
) -> None:
    sandbox.fault("prospect-add", "slow", seconds=1.0, times=8)
    rows = people(40)
    path = written(tmp_path / "people.csv", rows)
    first, second = (loader(sandbox, campaign.id, pacing_url, path, "the same load", "1.5") for _ in range(2))
    go(first)
    wait_for(sandbox, 1)
    time.sleep(0.2)  # noqa: TID251
    first.kill()
    first.wait()
    assert sandbox.people() == []

    go(second)
    report_of(second)
    time.sleep(1.2)  # noqa: TID251  # so that what the first one sent is carried out

    assert_each_once(sandbox, rows)
