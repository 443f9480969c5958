"""The example results_by_day runs under a real scheduler, once for each day whose event files changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.sandbox import Sandbox
from demo.real_airflow import RealAirflow
from tests.conftest import ROOT
from tests.results.extracting import ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_server import Postgres

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("real-airflow"),
    pytest.mark.generation(3),  # Airflow 2 has no partitions
]

PLAIN = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset

with DAG("plain", schedule=[Asset("salesblink_events")]):
    EmptyOperator(task_id="nothing")
"""
RUNS = "SELECT partition_key, run_id, state FROM dag_run WHERE dag_id = 'results_by_day' ORDER BY id"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def airflow(sandbox: Sandbox, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    salesblink = {
        "conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key,
        "extra": {"api_version": "v1", "reads_per_minute": 0},
    }  # fmt: skip
    airflow = RealAirflow(
        tmp_path_factory.mktemp("airflow"),
        {
            "AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps(salesblink),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(postgres.airflow_connection()),
        },
        postgres.new_database(),
    )
    extracts = (ROOT / "dags_examples" / "results_to_warehouse.py").read_text()
    assert extracts.count('schedule="@hourly"') == 1
    (airflow.dags / "results_to_warehouse.py").write_text(extracts.replace('schedule="@hourly"', "schedule=None"))
    counts = (ROOT / "dags_examples" / "results_by_day.py").read_text()
    (airflow.dags / "results_by_day.py").write_text(counts)
    (airflow.dags / "plain.py").write_text(PLAIN)
    with airflow:
        yield airflow
    # Other tests use the same database.
    postgres.run("DROP TABLE IF EXISTS salesblink_event, salesblink_file, salesblink_day")


def add_event(sandbox: Sandbox, message: str, days: int) -> str:
    """Add an event of some days ago; return its day."""
    time = datetime.now(UTC) - timedelta(days=days)
    sandbox.add_event(message, email="zoe@example.com", sequence_id="s1", time_ms=ms(time))
    return time.date().isoformat()


def extract(airflow: RealAirflow) -> None:
    run = airflow.trigger("results_to_warehouse")
    airflow.wait_until("it ends", lambda: airflow.run_state("results_to_warehouse", run) in {"success", "failed"}, 120)
    assert airflow.run_state("results_to_warehouse", run) == "success"


def days_counted(airflow: RealAirflow) -> list[str]:
    """Return the day of each run, in order, once all have ended."""
    runs = airflow.query(RUNS)
    assert all(state != "failed" for *_, state in runs), runs
    return [day for day, _, state in runs if state == "success"]


def counted(postgres: Postgres) -> dict[tuple[str, str], int]:
    rows: list[Any] = postgres.run("SELECT day::text, message, events FROM salesblink_day")
    return {(day, message): events for day, message, events in rows}


def test_each_day_that_changed_is_counted_again(airflow: RealAirflow, sandbox: Sandbox, postgres: Postgres) -> None:
    older, newer = add_event(sandbox, "Sent", 2), add_event(sandbox, "Sent", 1)
    add_event(sandbox, "Opened", 1)

    extract(airflow)
    airflow.wait_until("both days are counted", lambda: sorted(days_counted(airflow)) == [older, newer], 120)

    assert counted(postgres) == {(older, "Sent"): 1, (newer, "Sent"): 1, (newer, "Opened"): 1}
    assert postgres.run("SELECT count(*) FROM salesblink_event") == [(3,)]
    add_event(sandbox, "Sent", 2)
    extract(airflow)
    airflow.wait_until("the late event is counted", lambda: len(days_counted(airflow)) == 3, 120)

    assert days_counted(airflow)[2:] == [older]
    assert counted(postgres) == {(older, "Sent"): 2, (newer, "Sent"): 1, (newer, "Opened"): 1}
    assert postgres.run("SELECT count(*) FROM salesblink_event") == [(4,)]
    plain = "SELECT count(*) FROM dag_run WHERE dag_id = 'plain'"
    assert airflow.query(plain) == [(0,)], "Airflow starts no DAG that is scheduled without partitions"
    extract(airflow)
    airflow.wait_until("nothing changed", lambda: airflow.query(plain) == [(1,)])
    assert len(airflow.query(RUNS)) == 3
