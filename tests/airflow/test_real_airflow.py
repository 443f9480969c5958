"""The example DAGs under a real scheduler and triggerer, over a connection that was made through the REST API."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.links import campaign_page
from airflow_provider_salesblink.sandbox import Sandbox
from demo import ui
from demo.real_airflow import AIRFLOW_3, RealAirflow
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres_server import Postgres

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("real-airflow")]

EXAMPLES = ("leads_to_campaign", "campaign_maintenance_window", "regions_fan_out", "team_report", "pause_on_failure")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed="demo") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: Sandbox, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    made = ui.connection(sandbox.url, sandbox.key)
    made.pop("connection_id")
    airflow = ui.with_examples(home, postgres.new_database())
    if not AIRFLOW_3:
        airflow.environment["AIRFLOW_CONN_SALESBLINK_DEFAULT"] = json.dumps(made)
    with airflow:
        if AIRFLOW_3:
            ui.connect(airflow, sandbox)
        yield airflow


@pytest.mark.generation(3)  # Airflow 2 serves its REST API from a webserver, which this test does not start
def test_the_connection_is_tested_through_the_rest_api(airflow: RealAirflow, sandbox: Sandbox) -> None:
    good = airflow.api("connections/test", ui.connection(sandbox.url, sandbox.key))
    wrong = airflow.api("connections/test", {**ui.connection(sandbox.url, "no-key"), "connection_id": "another"})

    assert good["status"] is True
    assert good["message"].startswith("SalesBlink accepted the key: its API 'classic' answers")
    assert wrong["status"] is False
    assert "SalesBlink refused the key" in wrong["message"]
    assert "no-key" not in wrong["message"]
    (stored,) = airflow.api("connections")["connections"]
    assert sandbox.key not in json.dumps(stored)


@pytest.mark.timeout(900)
def test_the_examples_run_under_a_real_scheduler(airflow: RealAirflow, sandbox: Sandbox) -> None:
    conf = {"leads_to_campaign": {"work_folder": f"file://{airflow.home}/work"}}
    runs = {dag_id: airflow.trigger(dag_id, conf.get(dag_id)) for dag_id in EXAMPLES}
    for dag_id, run_id in runs.items():
        airflow.wait_until(f"{dag_id} ends", lambda: _ended(airflow, dag_id, run_id), 450)  # noqa: B023
    assert {dag_id: airflow.run_state(dag_id, run_id) for dag_id, run_id in runs.items()} == dict.fromkeys(
        EXAMPLES, "success"
    )
    # Only now: a poll during the maintenance window would see a paused campaign, and the next poll is a minute later.
    (lead,) = [person.id for person in sandbox.people("spring-2027") if not person.unsubscribed][:1]
    answered = "answered_to_crm"
    waits = airflow.trigger(answered, {"prospect_id": lead})
    airflow.wait_until("it waits", lambda: airflow.tasks(answered, waits)["answered"][0] == "deferred")
    sandbox.happen("reply", to=lead)
    airflow.wait_until("the wait ends", lambda: _ended(airflow, answered, waits), 120)
    assert airflow.run_state(answered, waits) == "success"
    if AIRFLOW_3:
        links = airflow.api(f"dags/{answered}/dagRuns/{waits}/taskInstances/answered/links")["extra_links"]
        assert links == {"Campaign in SalesBlink": campaign_page("spring-2027")}
    emails = [person.email for person in sandbox.people("spring-2027")]
    assert len(emails) == len(set(emails))
    assert not [name for name, text in airflow.logs().items() if sandbox.key in text]


def _ended(airflow: RealAirflow, dag_id: str, run_id: str) -> bool:
    return airflow.run_state(dag_id, run_id) in {"success", "failed"}


@pytest.mark.generation(3)  # make ui shows its UI
def test_make_ui_starts_it_all_and_ends_it_all(tmp_path: Path) -> None:
    environment: dict[str, Any] = {**os.environ, "DEMO_STATE": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "demo.ui"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(5)]
            (url,) = re.findall(r"Airflow: +(\S+)", "".join(lines))
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
                assert b"<html" in answer.read()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout.read().endswith("Stopped.\n")
    assert process.returncode == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)  # noqa: S310
