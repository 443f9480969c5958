"""What reaches a StatsD server through Airflow's own metrics is what the sandbox saw, and nothing else."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.metrics import METRICS
from airflow_provider_salesblink.sandbox.limits import kind_of
from tests.apis import BOTH
from tests.conftest import ROOT, UNPACED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Request, Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

pytestmark = [pytest.mark.apis(*BOTH), pytest.mark.xdist_group("metrics"), pytest.mark.timeout(300)]

NAMES = {name for metric in METRICS for name in metric.names()}
OUTCOMES = {"reset": "lost", "close": "lost", "429": "rate_limited", "html": "unreadable", "refused": "refused"}
ADD_ALL = "operators.prospects.AddProspectsOperator"
ADD_ONE = "operators.prospects.AddProspectOperator"


class Server:
    """Stands in for a StatsD server."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()

    def take(self) -> list[str]:
        """Return the datagrams that have come since the last time."""
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(65536).decode())
        return found


class Airflow:
    """A process of Airflow that runs tasks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.log: list[str] = []

    def run(self, path: str, **arguments: Any) -> Any:
        """Run a task or a trigger, and return its result."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([path, arguments]) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("result "):
                return json.loads(line.removeprefix("result "))
            self.log.append(line)
        raise AssertionError("".join(self.log))


@contextmanager
def an_airflow(home: Path, sandbox: Sandbox, **metrics: str) -> Iterator[Airflow]:
    def connection(api: str, host: str = sandbox.url, **extra: Any) -> str:
        every = {"api_version": api, "timeout": 2, "max_attempts": 4, **UNPACED, "pacing_url": f"file://{home}/{api}"}
        return json.dumps(
            {"conn_type": "salesblink", "host": host, "password": sandbox.key, "extra": {**every, **extra}}
        )

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        **{f"AIRFLOW__METRICS__{name.upper()}": value for name, value in metrics.items()},
        **{f"AIRFLOW_CONN_{api.upper()}": connection(api) for api in BOTH},
        **{f"AIRFLOW_CONN_{api.upper()}_PACED": connection(api, writes_per_minute=1) for api in BOTH},
        **{f"AIRFLOW_CONN_{api.upper()}_AWAY": connection(api, f"http://127.0.0.1:{closed_port()}") for api in BOTH},
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.airflow.metrics_process", str(home)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as process:  # fmt: skip
        try:
            yield Airflow(process)
        finally:
            process.kill()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def airflow(running_sandbox: Sandbox, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    metrics = {"statsd_on": "True", "statsd_host": "127.0.0.1", "statsd_port": str(server.port)}
    with an_airflow(home, running_sandbox, **metrics) as airflow:
        yield airflow


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> None:
    if "server" in request.fixturenames:
        request.getfixturevalue("server").take()


def counts(server: Server, api: Api) -> Counter[str]:
    """Return the sum of each metric since the last time; all must be declared, and of this API."""
    found: Counter[str] = Counter()
    for datagram in server.take():
        for line in datagram.splitlines():
            if "salesblink" not in line:
                continue
            match = re.fullmatch(rf"airflow\.salesblink\.{api.version}\.([a-z0-9_.]+):(\d+)\|c", line)
            assert match, line
            found[match[1]] += int(match[2])
    assert set(found) <= NAMES
    return found


def only(found: Counter[str], metric: str) -> dict[str, int]:
    return {name: number for name, number in found.items() if name.split(".")[0] == metric}


def seen(requests: list[Request]) -> dict[str, int]:
    """Return the metrics that the sandbox's journal asks for."""
    return dict(Counter(f"requests.{kind_of(request.method)}.{_outcome(request)}" for request in requests))


def _outcome(request: Request) -> str:
    kind = (request.fault or "").split(" ")[0].split(",")[0]
    if kind in OUTCOMES:
        return OUTCOMES[kind]
    assert request.status is not None
    return "ok" if request.status < 300 else "server_error" if request.status >= 500 else "refused"


def people(number: int) -> list[dict[str, str]]:
    return [{"Email": f"person-{each}@example.com"} for each in range(number)]


def test_a_load_with_faults_is_counted_as_the_sandbox_saw_it(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    api.fault("prospect-add", "429", retry_after=0)
    api.fault("prospect-add", "reset", when="after")
    api.fault("prospect-add", "reset", when="before")  # v1 needs no more calls
    api.fault("prospects", "status", status=503)
    api.fault("prospects", "html")

    rows = [*people(5), {"Email": "nobody"}, {"Email": "none"}]
    result = airflow.run(
        ADD_ALL, task_id="load", salesblink_conn_id=api.version, campaign_id=campaign.id, rows=rows, max_rejected=2
    )

    found = counts(server, api)
    assert only(found, "requests") == seen(sandbox.requests)
    shown = {name.split(".")[2] for name in only(found, "requests")}
    assert shown >= {"ok", "lost", "rate_limited", "server_error", "unreadable"}
    assert found["adds"] == len(sandbox.people(campaign.id)) == result["added"] == 5
    assert found["rejects"] == result["rejected"] == 2
    assert found["ambiguous.lost"] > 0
    assert only(found, "ambiguous") == {f"ambiguous.{word}": n for word, n in result["ambiguous"].items() if n}
    assert found["ambiguous.carried_out"] + found["ambiguous.not_carried_out"] == found["ambiguous.lost"]


def test_a_single_add_whose_answer_is_lost_counts_as_carried_out(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    api.fault("prospect-add", "reset", when="after")

    assert _add_one(airflow, server, sandbox, campaign, api) == {"ambiguous.lost": 1, "ambiguous.carried_out": 1}


@pytest.mark.apis("classic")  # on v1 the client looks for the person for five minutes
def test_a_single_add_that_is_lost_counts_as_not_carried_out(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    api.fault("prospect-add", "reset", when="before")

    assert _add_one(airflow, server, sandbox, campaign, api) == {"ambiguous.lost": 1, "ambiguous.not_carried_out": 1}


def _add_one(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> dict[str, int]:
    """Add a person, and return what was counted of ambiguous writes."""
    (person,) = people(1)
    result = airflow.run(
        ADD_ONE, task_id="add", salesblink_conn_id=api.version, campaign_id=campaign.id, data=person,
        opt_out_unknown="add",
    )  # fmt: skip

    found = counts(server, api)
    assert result["outcome"] == "added"
    assert only(found, "requests") == seen(sandbox.requests)
    assert found["adds"] == len(sandbox.people(campaign.id)) == 1
    return only(found, "ambiguous")


def test_a_wait_after_a_429_is_counted_with_its_length(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    api.fault("campaign-status", "429", retry_after=1)

    result = airflow.run(
        "operators.campaigns.PauseCampaignOperator", task_id="pause", salesblink_conn_id=api.version,
        campaign_id=campaign.id,
    )  # fmt: skip

    found = counts(server, api)
    assert result["outcome"] == "paused"
    kind = next(kind_of(request.method) for request in sandbox.requests if request.status == 429)
    assert only(found, "waits") == {f"waits.{kind}": 1}
    assert 1000 <= found[f"waited_ms.{kind}"] < 2000
    assert only(found, "requests") == seen(sandbox.requests)


def test_a_load_that_is_deferred_counts_how_long(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    api.fault("prospect-add", "429", retry_after=0)

    # The second attempt would exceed the limit of one write a minute.
    result = airflow.run(
        ADD_ALL, task_id="load", salesblink_conn_id=f"{api.version}_paced", campaign_id=campaign.id, rows=people(1),
        defer_after=0,
    )  # fmt: skip

    found = counts(server, api)
    assert result == "TaskDeferred"
    assert found["waits.deferrals"] == 1
    assert 30_000 < found["waited_ms.deferrals"] <= 60_500
    assert found["adds"] == len(sandbox.people(campaign.id)) == 0


def test_a_trigger_counts_its_polls_and_how_long_a_429_holds_them_back(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    # Longer than the pause after a poll that failed.
    api.fault("campaigns", "429", retry_after=4)
    api.fault("campaign", "429", retry_after=4)

    event = airflow.run(
        "triggers.campaigns.CampaignTrigger", campaign_id=campaign.id, state="running",
        salesblink_conn_id=api.version, poll_interval=0.1, max_consecutive_failures=5,
    )  # fmt: skip

    found = counts(server, api)
    assert event["status"] == "met"
    assert found["waits.polls"] == 1
    assert 1000 < found["waited_ms.polls"] < 5000
    assert only(found, "requests") == seen(sandbox.requests)
    assert found["requests.reads.rate_limited"] == 1


@pytest.mark.usefixtures("sandbox")
def test_requests_that_cannot_be_sent_are_counted(airflow: Airflow, server: Server, api: Api) -> None:
    result = airflow.run("operators.team.ListMembersOperator", task_id="team", salesblink_conn_id=f"{api.version}_away")

    assert result == "ConnectionFailedError"
    assert only(counts(server, api), "requests") == {"requests.reads.not_sent": 4}


def test_no_datagram_names_a_person_a_campaign_or_the_key(
    airflow: Airflow, server: Server, sandbox: Sandbox, campaign: CampaignUnderTest, api: Api
) -> None:
    api.fault("prospect-add", "refused")
    airflow.run(
        ADD_ALL, task_id="load", salesblink_conn_id=api.version, campaign_id=campaign.id, rows=people(3), max_rejected=1
    )

    datagrams = "\n".join(server.take())
    assert f"airflow.salesblink.{api.version}.requests.writes.refused:" in datagrams
    for secret in ("@", "person-", "example.com", campaign.id, campaign.name, sandbox.key, sandbox.url):
        assert secret not in datagrams


@pytest.mark.apis("classic")
@pytest.mark.parametrize(
    "metrics",
    [
        {"statsd_host": "127.0.0.1"},
        {"statsd_host": "statsd.invalid"},
        {"statsd_custom_client_path": "tests.airflow.metrics_process.BrokenClient"},
    ],
    ids=["nobody listens", "no such host", "a client that fails"],
)
def test_a_task_does_its_work_though_its_metrics_cannot_be_sent(
    metrics: dict[str, str], sandbox: Sandbox, campaign: CampaignUnderTest, api: Api, tmp_path: Path
) -> None:
    usual = {"statsd_on": "True", "statsd_host": "127.0.0.1", "statsd_port": str(closed_port())}
    with an_airflow(tmp_path, sandbox, **{**usual, **metrics}) as airflow:
        result = airflow.run(
            ADD_ALL, task_id="load", salesblink_conn_id=api.version, campaign_id=campaign.id, rows=people(3)
        )

    assert result["added"] == len(sandbox.people(campaign.id)) == 3
    warnings = [line for line in airflow.log if "Metrics cannot be sent (RuntimeError)" in line]
    assert len(warnings) == ("statsd_custom_client_path" in metrics)
