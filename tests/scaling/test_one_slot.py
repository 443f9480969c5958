"""Two loads of the same people in a pool of one slot, and the worker of the first is killed: in a real Airflow."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.sandbox import Sandbox
from demo.real_airflow import RealAirflow
from tests.loading.people import assert_each_once, people
from tests.loading.processes import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_server import Postgres

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("real-airflow"),
    pytest.mark.generation(3),  # one of the two is enough: what is shared is not Airflow's
]

CAMPAIGN, EVERYBODY, HEARTBEAT_TIMEOUT = "spring-2027", people(12), 15
LOADS = """
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow_provider_salesblink.operators.loads import AddProspectsOperator

with DAG("loads", schedule=None, start_date=datetime(2026, 1, 1), default_args={{"pool": "one", "retries": 2,
         "retry_delay": timedelta(seconds=1)}}):
    for name, weight in (("first", 2), ("second", 1)):
        AddProspectsOperator(
            task_id=name, campaign_id="{campaign}", rows_path="file://{rows}", defer_after=3, priority_weight=weight)
"""


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    """A SalesBlink that takes its time, so that a worker can be killed in the middle."""
    with Sandbox() as sandbox:
        sandbox.add_campaign("Spring", id=CAMPAIGN)
        sandbox.fault("prospect-add", "slow", seconds=2, times=8)
        yield sandbox


@pytest.fixture
def airflow(slow: Sandbox, postgres: Postgres, tmp_path: Path) -> Iterator[RealAirflow]:
    connection = {
        "conn_type": "salesblink", "host": slow.url, "password": slow.key,
        "extra": {"writes_per_minute": 0, "reads_per_minute": 0, "timeout": 5,
                  "pacing_url": f"file://{tmp_path}/shared.sqlite"},
    }  # fmt: skip
    settings = {
        "TASK_INSTANCE_HEARTBEAT_SEC": "2",
        "TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
        "TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    airflow = RealAirflow(
        tmp_path / "airflow",
        {
            "AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps(connection),
            **{f"AIRFLOW__SCHEDULER__{name}": value for name, value in settings.items()},
        },
        postgres.new_database(),
    )
    rows = written(tmp_path / "rows.csv", EVERYBODY)
    (airflow.dags / "loads.py").write_text(LOADS.format(campaign=CAMPAIGN, rows=rows))
    with airflow:
        airflow._python("-m", "airflow", "pools", "set", "one", "1", "one at a time")
        yield airflow


def test_a_load_that_waits_for_a_dead_one_leaves_it_the_slot(airflow: RealAirflow, slow: Sandbox) -> None:
    run = airflow.trigger("loads")
    airflow.wait_until("the first adds", lambda: any(each.method == "POST" for each in slow.requests), 90)
    kill_task(airflow, run, "first")
    killed = time.monotonic()
    airflow.wait_until("both end", lambda: airflow.run_state("loads", run) in {"success", "failed"}, 150)
    took = time.monotonic() - killed

    assert airflow.run_state("loads", run) == "success"
    assert_each_once(slow, EVERYBODY)
    assert airflow.tasks("loads", run)["first"] == ("success", 2)
    # Up to a timeout until the worker is missed, and as long again for the rest, whichever load had the slot meanwhile.
    assert took < 2 * HEARTBEAT_TIMEOUT + 30, took


def kill_task(airflow: RealAirflow, run: str, task: str) -> None:
    """Kill what runs a task, and what supervises it, on the spot."""
    ((pid,),) = airflow.query(
        "SELECT pid FROM task_instance WHERE run_id = :run AND task_id = :task", run=run, task=task
    )
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    for each in (parent, int(pid)):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
