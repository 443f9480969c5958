"""A load whose process is killed, and started again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tests.loading.people import assert_each_once, people
from tests.loading.processes import go, loader, report_of, written

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

KILLS = 10


def wait_for(sandbox: Sandbox, requests: int) -> None:
    deadline = time.monotonic() + 20
    while len(sandbox.requests) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.001)  # noqa: TID251


def test_a_load_that_is_killed_ten_times_adds_everybody_once(
    sandbox: Sandbox, campaign: CampaignUnderTest, pacing_url: str, tmp_path: Path
) -> None:
    sandbox.fault("prospect-add", "slow", seconds=0.005, times=None)
    rows = people(2000)
    path = written(tmp_path / "people.csv", rows)
    moments = random.Random(3)
    grown = []
    for _ in range(KILLS):
        process = loader(sandbox, campaign.id, pacing_url, path, "the same load")
        go(process)
        # From before the campaign is read to the middle of the sending.
        wait_for(sandbox, len(sandbox.requests) + moments.randrange(2, 180))
        process.kill()
        assert process.wait() == -9
        grown.append(len(sandbox.people()))
    last = loader(sandbox, campaign.id, pacing_url, path, "the same load")
    go(last)
    report = report_of(last)

    assert grown[-1] < 2000
    assert len(set(grown)) > KILLS / 2
    assert_each_once(sandbox, rows)
    assert report["added"] + report["there"] == 2000
    assert report["taken_by_others"] == 0


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
