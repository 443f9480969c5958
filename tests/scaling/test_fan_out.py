"""Parallel mapped loads under one budget, in a real Airflow with the LocalExecutor."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from airflow_provider_salesblink.sandbox import Sandbox
from demo.real_airflow import RealAirflow
from tests.client.test_rate_limit import most_within
from tests.conftest import ROOT
from tests.loading.people import assert_each_once, people
from tests.loading.processes import written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres_server import Postgres

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("real-airflow"),
    pytest.mark.generation(3),  # one of the two is enough: what is shared is not Airflow's
]

CAMPAIGN, DAG_ID = "spring-2027", "regions_fan_out"
WRITES, SHARED, OWN, REGIONS = 12, 5, 5, ("east", "north", "south")
EVERYBODY = people(SHARED + OWN * len(REGIONS))


def region(number: int) -> list[dict[str, str]]:
    """Who is in all files, and who is in this one alone."""
    start = SHARED + OWN * number
    return EVERYBODY[:SHARED] + EVERYBODY[start : start + OWN]


@pytest.fixture
def busy() -> Iterator[Sandbox]:
    """A SalesBlink that takes its time, so that what runs at once shows."""
    with Sandbox() as sandbox:
        sandbox.add_campaign("Spring", id=CAMPAIGN)
        sandbox.fault("prospect-add", "reset", when="after", times=2)
        sandbox.fault("prospect-add", "slow", seconds=3, share=1)
        yield sandbox


@pytest.fixture
def airflow(busy: Sandbox, redis_url: str, postgres: Postgres, tmp_path: Path) -> Iterator[RealAirflow]:
    connection = {
        "conn_type": "salesblink", "host": busy.url, "password": busy.key,
        "extra": {"writes_per_minute": WRITES, "pacing_url": redis_url},
    }  # fmt: skip
    connections = {"AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps(connection)}
    airflow = RealAirflow(tmp_path / "airflow", connections, postgres.new_database())
    shutil.copy(ROOT / "dags_examples" / f"{DAG_ID}.py", airflow.dags)
    with airflow:
        yield airflow


def test_mapped_loads_run_side_by_side_within_one_budget(airflow: RealAirflow, busy: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "regions"
    folder.mkdir()
    for number, name in enumerate(REGIONS):
        written(folder / f"{name}.csv", region(number))

    run = airflow.trigger(DAG_ID, {"campaign_id": CAMPAIGN, "folder": f"file://{folder}"})
    airflow.wait_until("all loads run at once", lambda: at_work(airflow, run) == len(REGIONS))
    airflow.wait_until("the run ends", lambda: airflow.run_state(DAG_ID, run) in {"success", "failed"}, 150)

    assert airflow.run_state(DAG_ID, run) == "success"
    assert_each_once(busy, EVERYBODY)
    result = airflow.xcom(DAG_ID, run, "add_up")
    assert result["rows"] == len(REGIONS) * (SHARED + OWN)
    # Whose answer was in doubt when a load was deferred is found there by its next part.
    assert len(EVERYBODY) - 2 <= result["added"] <= len(EVERYBODY)
    writes = [request.at for request in busy.requests if request.method == "POST"]
    # More than a minute's worth, so that somebody had to wait.
    assert len(writes) > WRITES >= most_within(writes, 60)


def at_work(airflow: RealAirflow, run: str) -> int:
    """How many loads run right now."""
    query = "SELECT count(*) FROM task_instance WHERE run_id = :run AND task_id = 'load' AND state = 'running'"
    return int(airflow.query(query, run=run)[0][0])
