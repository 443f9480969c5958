"""``python -m airflow_provider_salesblink.sandbox``, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests  # noqa: TID251  # the tests are this server's client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "airflow_provider_salesblink.sandbox"]


class Served:
    """A running sandbox."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.first_line = process.stdout.readline()
        found = re.fullmatch(r"SalesBlink sandbox at (http://127\.0\.0\.1:\d+)/ key (\S+)\n", self.first_line)
        assert found, self.first_line
        self.url, self.key = found.groups()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, headers={"Authorization": self.key}, timeout=10, **options)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(10)


@pytest.fixture
def start() -> Iterator[Callable[..., Served]]:
    served: list[Served] = []

    def run(*arguments: str, **environment: str) -> Served:
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        served.append(Served(process))
        return served[-1]

    yield run
    for each in served:
        each.process.kill()
        each.process.communicate()


def refused(*arguments: str) -> str:
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_serves_and_stops(start: Callable[..., Served], how: signal.Signals) -> None:
    served = start("--seed", "demo")
    assert [campaign["name"] for campaign in served.call("GET", "/api/campaigns").json()["data"]] == [
        "Spring 2027",
        "Webinar follow-up",
        "Win back old customers",
    ]

    assert served.end(how) == 0

    assert served.process.stdout is not None
    rest = served.process.stdout.read()
    assert f"{served.url}/docs" in rest
    (export,) = re.findall(r"^export AIRFLOW_CONN_SALESBLINK_DEFAULT=(.*)$", rest, re.MULTILINE)
    (connection,) = shlex.split(export)
    assert json.loads(connection) == {"conn_type": "salesblink", "host": served.url, "password": served.key}


def test_a_killed_sandbox_loses_nothing(start: Callable[..., Served], tmp_path: Path) -> None:
    options = ("--db", str(tmp_path / "sandbox.db"), "--seed", "demo")
    served = start(*options)
    new = {"campaignID": "spring-2027", "data": {"Email": "gil@example.com"}}
    added = served.call("POST", "/api/prospect-add", json=new).json()["data"]
    served.call("POST", "/api/campaign-status", json={"campaignID": "spring-2027", "pause": True})
    served.end(signal.SIGKILL)

    again = start(*options)

    assert again.call("GET", f"/api/prospect/{added['prospectID']}").json()["data"] == added
    assert again.call("GET", "/api/campaign/spring-2027").json()["data"]["paused"] is True
    assert len(again.call("GET", "/api/prospects/spring-2027").json()["data"]) == 6


def test_every_option(start: Callable[..., Served]) -> None:
    served = start(
        *("--key", "my-key", "--limits", "reads=2,retry_after=none", "--shapes", "envelope=bare,id_style=_id"),
        *("--faults", "campaigns=status:status=503", "--seed", "demo"),
    )

    answers = [served.call("GET", "/api/campaigns") for _ in range(4)]

    assert served.key == "my-key"
    # The faulty request does not count toward the limit.
    assert [answer.status_code for answer in answers] == [503, 200, 200, 429]
    assert answers[1].json()[0]["_id"] == "spring-2027"


def test_v1_alone(start: Callable[..., Served]) -> None:
    served = start("--serves", "v1", "--v1", "single_list=array", "--seed", "demo")

    first = served.call("GET", "/api/public/v1.0.0/lists").json()["data"][0]

    assert served.call("GET", f"/api/public/v1.0.0/lists/{first['id']}").json()["data"] == [first]
    assert served.call("GET", "/api/campaigns").status_code == 404
    assert served.end(signal.SIGTERM) == 0
    assert served.process.stdout is not None
    assert '"extra": {"api_version": "v1"}' in served.process.stdout.read()


def test_activity_happens_without_requests(start: Callable[..., Served]) -> None:
    served = start("--seed", "demo", "--life", "unsubscribe:every=0.05x1")
    deadline = time.monotonic() + 10

    def opted_out() -> int:
        return sum(
            prospect["unsubscribed"]
            for campaign in ("spring-2027", "webinar-follow-up")
            for prospect in served.call("GET", f"/api/prospects/{campaign}").json()["data"]
        )

    while opted_out() == 1:
        assert time.monotonic() < deadline

    assert opted_out() == 2
    assert served.end(signal.SIGTERM) == 0


def test_a_history_is_there_from_the_start(start: Callable[..., Served]) -> None:
    served = start("--seed", "demo", "--life", "history:events=200:days=2")

    assert len(served.call("GET", "/api/public/v1.0.0/sent").json()) == 100


def test_the_key_of_the_environment(start: Callable[..., Served]) -> None:
    assert start(SALESBLINK_SANDBOX_KEY="from-env").key == "from-env"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--faults", "campaigns=explode"], "Known: reset, close"),
        (["--limits", "patches=1"], "Known: reads, writes"),
        (["--shapes", "envelope=x"], "Known: data, bare, named"),
        (["--v1", "columns=x"], "Known: snake_case, any"),
        (["--serves", "v2"], "Known: classic, v1"),
        (
            ["--life", "sleep:every=3"],
            "Known: reply, unsubscribe, pause, unpause, appear, open, click, bounce, calm, busy",
        ),
        (["--seed", "/no/such.json"], "Cannot read the seed"),
        (["--db", "/no/such/dir.db"], "Cannot use '/no/such/dir.db'"),
        (["--key", "schlüssel"], "printable ASCII"),
        (["--port", "99999"], "Cannot listen on port 99999"),
        (["--host", "0.0.0.0"], "unrecognized arguments"),  # noqa: S104  # refused
    ],
)
def test_an_invalid_option_is_an_error(arguments: list[str], named: str) -> None:
    assert named in refused(*arguments)


def test_a_port_in_use_is_an_error(start: Callable[..., Served]) -> None:
    port = start().url.rpartition(":")[2]

    assert refused("--port", port) == f"Cannot listen on port {port} of 127.0.0.1: Address already in use.\n"


def test_help_lists_faults_shapes_and_events() -> None:
    help_text = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=20, check=True).stdout

    for word in (
        "prospect-unsubscribe",
        "truncated",
        "garbage",
        "acknowledgement",
        "--limits",
        "real",
        "appear  ",
        "calm is",
        "busy is",
        "history:events=",
    ):
        assert word in help_text


def test_it_imports_without_airflow() -> None:
    code = "import sys; sys.modules['airflow'] = None; import airflow_provider_salesblink.sandbox"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
