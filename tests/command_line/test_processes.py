"""The commands in processes of their own: ``python -m airflow_provider_salesblink`` and ``airflow salesblink``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import GENERATION, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest

MODULE = [sys.executable, "-m", "airflow_provider_salesblink"]
AIRFLOW = [str(Path(sys.executable).with_name("airflow")), "salesblink"]


def ended(command: list[str], *, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if home:
        environment |= {"AIRFLOW_HOME": str(home), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none.db"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    path = tmp_path / "leads.csv"
    path.write_text("Email\n" + "".join(f"p{number}@example.com\n" for number in range(24)))
    return path


def test_it_needs_no_database_and_prints_nothing_but_the_result(
    connection: Callable[..., None],
    campaign: CampaignUnderTest,
    leads: Path,
    tmp_path: Path,
) -> None:
    connection()

    plan = ended([*MODULE, "plan", str(leads), "--campaign-id", campaign.id, "--json"], home=tmp_path / "home")

    assert plan.returncode == 0, plan.stderr
    assert json.loads(plan.stdout)["add"] == 24
    lines = plan.stderr.splitlines()
    assert [line for line in lines if not line[:8].replace(":", "").isdigit()] == []


_NOISE = """
import os
from airflow_provider_salesblink.command_line import terminal
with terminal.results_alone_on_stdout() as out:
    print("a warning")
    os.write(1, b"a library\\n")
    terminal.print_json(out, {"added": 2})
print("after it")
"""


def test_whatever_prints_meanwhile_stays_out_of_the_result() -> None:
    printed = ended([sys.executable, "-c", _NOISE])

    assert printed.stdout.split() == ["{", '"added":', "2", "}", "after", "it"]
    assert sorted(printed.stderr.splitlines()) == ["a library", "a warning"]


def test_a_connection_that_is_nowhere_is_an_error_in_one_line(tmp_path: Path) -> None:
    test = ended([*MODULE, "test", "--conn-id", "nowhere"], home=tmp_path / "home")

    assert (test.returncode, test.stdout) == (1, "")
    assert len(test.stderr.splitlines()) == 1
    assert test.stderr.startswith("Error: There is no connection 'nowhere'")


@pytest.fixture
def stored(airflow_database: None, sandbox: Sandbox) -> Iterator[str]:  # noqa: ARG001
    """Return the id of a connection in Airflow's database."""
    from airflow.models import Connection  # noqa: TID251
    from airflow.settings import Session

    made = {"conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key}
    session = Session()
    session.add(Connection(conn_id="stored", **made))
    session.commit()
    yield "stored"
    session.query(Connection).filter_by(conn_id="stored").delete()
    session.commit()


def test_it_takes_connections_from_airflows_database(stored: str) -> None:
    # Only Airflow 3.2 and later take commands of providers.
    for command in [MODULE, AIRFLOW] if GENERATION == 3 else [MODULE]:
        test = ended([*command, "test", "--conn-id", stored])

        assert test.returncode == 0, test.stderr
        assert test.stdout.startswith("Connection 'stored': SalesBlink accepted the key")


@pytest.mark.generation(3)
def test_airflow_lists_the_commands() -> None:
    from airflow.cli import cli_parser

    shown = cli_parser.get_parser().format_help()

    assert "salesblink" in shown
    (group,) = (each for each in cli_parser.airflow_commands if each.name == "salesblink")
    assert [each.name for each in group.subcommands] == ["test", "plan", "load", "report"]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)  # noqa: TID251


@pytest.fixture
def interrupted(leads: Path, campaign: CampaignUnderTest, sandbox: Sandbox) -> Iterator[subprocess.Popen[str]]:
    """Return a load that waits for the answers to its first eight adds, and that got Ctrl-C."""
    process = subprocess.Popen(
        [*MODULE, "load", str(leads), "--campaign-id", campaign.id, "--yes", "--outcomes-path", f"{leads}.outcomes"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: sum(request.method == "POST" for request in sandbox.requests) >= 8, process)
        process.send_signal(signal.SIGINT)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def slow(connection: Callable[..., None], sandbox: Sandbox, request: pytest.FixtureRequest) -> None:
    connection(extra={"timeout": 120})
    sandbox.fault("prospect-add", "slow", seconds=request.param, times=8)


@pytest.mark.parametrize("slow", [1.0], indirect=True)
def test_ctrl_c_finishes_what_is_under_way_and_the_next_run_adds_the_rest_once(
    slow: None,  # noqa: ARG001
    interrupted: subprocess.Popen[str],
    leads: Path,
    campaign: CampaignUnderTest,
    sandbox: Sandbox,
) -> None:
    out, err = interrupted.communicate(timeout=60)
    there = len(sandbox.people())

    again = ended([*MODULE, "load", str(leads), "--campaign-id", campaign.id, "--yes", "--json"])

    assert (interrupted.returncode, out) == (130, "")
    assert "Running the same command again continues, and mails nobody twice." in err
    assert "Traceback" not in err
    assert there == 8
    outcomes = [json.loads(line)["outcome"] for line in Path(f"{leads}.outcomes").read_text().splitlines()]
    assert Counter(outcomes) == {"added": 8, "not_sent": 16}
    assert again.returncode == 0, again.stderr
    # Nobody of the rest is still reserved for the first run.
    assert "being added by another load" not in again.stderr
    assert json.loads(again.stdout)["added"] == 16
    assert len({person.email for person in sandbox.people()}) == len(sandbox.people()) == 24


@pytest.mark.parametrize("slow", [60.0], indirect=True)
def test_a_second_ctrl_c_ends_the_process_at_once(slow: None, interrupted: subprocess.Popen[str]) -> None:  # noqa: ARG001
    assert interrupted.stderr is not None
    while "Stopping." not in interrupted.stderr.readline():
        assert interrupted.poll() is None

    interrupted.send_signal(signal.SIGINT)

    assert interrupted.wait(20) == 130
