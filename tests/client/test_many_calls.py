"""Many calls: a thousand adds with faults, and two processes at the rate limit."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.sandbox import Sandbox
from tests.client.test_rate_limit import most_within
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import NewClient
    from tests.conftest import CampaignUnderTest

MINUTE = 8.0
"""Seconds that a minute of the rate limit lasts in this test."""
LATE = 1.0
"""Seconds between counting a request and its arrival, on a busy machine."""


def test_a_thousand_adds_with_a_fifth_of_the_answers_lost_are_stored_once_each(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest
) -> None:
    for fault in (
        {"kind": "reset", "when": "after"}, {"kind": "status", "status": 500, "when": "after"},
        {"kind": "reset", "when": "before"}, {"kind": "status", "status": 503, "when": "before"},
    ):  # fmt: skip
        sandbox.fault("prospect-add", share=0.05, **fault)
    client = new_client(policy=Policy(max_attempts=12, backoff=0.0001, longest_backoff=0.001))
    people = [f"p{number}@example.com" for number in range(1000)]

    for email in people:
        client.prospects.add(campaign.id, {"Email": email})

    assert [person.email for person in sandbox.people()] == people
    spoilt = Counter(request.fault for request in sandbox.requests if request.fault)
    assert spoilt.keys() == {"reset", "reset after", "status 500 after", "status 503"}
    assert sum(spoilt.values()) > 150


def test_two_processes_with_one_key_use_the_whole_rate_limit_and_no_more(tmp_path: Path) -> None:
    with Sandbox(seed={"campaigns": [{"id": "spring", "name": "Spring"}]}) as sandbox:
        processes = [
            subprocess.Popen([
                sys.executable, "-m", "tests.client.adding_process", sandbox.url, sandbox.key, "spring",
                f"file://{tmp_path}/count.sqlite", "40", str(MINUTE), str(first), str(first + 40),
            ], cwd=ROOT)
            for first in (0, 40)
        ]  # fmt: skip
        assert [process.wait(120) for process in processes] == [0, 0]
        requests = sandbox.requests

    assert [request.status for request in requests] == [200] * 80
    assert len({request.connection for request in requests}) == 2
    moments = [request.at for request in requests]
    assert most_within(moments, MINUTE - LATE) == 40
    # The second forty wait for the window of the first, and not for another one.
    assert max(moments) - min(moments) < 2 * MINUTE
