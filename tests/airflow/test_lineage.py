"""The OpenLineage events of a load in a real Airflow, written with OpenLineage's file transport."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ROOT
from tests.postgres_server import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.postgres_server import Postgres

ROWS = "Email,First Name\nana@example.com,Ana\nben@example.com,Ben\nno address,Eve\n"
DAG = """
from datetime import datetime
from airflow.providers.common.compat.sdk import DAG
from openlineage.client.event_v2 import Dataset
from airflow_provider_salesblink.assets import campaign_asset
from airflow_provider_salesblink.operators.campaigns import PauseCampaignOperator
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

with DAG("lineage", schedule=None, start_date=datetime(2026, 1, 1)):
    named = AddProspectsOperator(
        task_id="named", campaign_id="spring", rows_path={rows!r}, rejected_path={rejected!r}, max_rejected=1,
        outcomes_path={outcomes!r},
        outlets=[campaign_asset("acme", "winter"), campaign_asset("acme", "spring")],
    )
    table = AddProspectsOperator(
        task_id="table", campaign_id="{{{{ 'spring' }}}}", rows=[{{"Email": "zoe@example.com"}}],
        inlets=[Dataset(namespace="sqlite://warehouse", name="main.leads")],
    )
    query = AddProspectsOperator(
        task_id="query", campaign_id="spring", sql_conn_id="warehouse", sql_parameters=["nobody@example.com"],
        sql="SELECT p.email, c.name AS company FROM people AS p JOIN crm.company AS c ON c.id = p.company "
            "WHERE p.email <> %s AND p.email <> 'noone@example.com'",
    )
    pause = PauseCampaignOperator(task_id="pause", campaign_id="spring", outlets=[campaign_asset("acme", "spring")])
    # The pause comes first: in one process, Airflow counts files that were written before as its outputs.
    pause >> named >> table >> query
"""
CAMPAIGN = ("salesblink://acme", "campaign/spring")


@pytest.fixture
def run_lineage_dag(sandbox: Sandbox, postgres: Postgres, tmp_path: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    """Return a function that runs the DAG and returns the last event of each task."""
    sandbox.add_campaign("Spring", id="spring")
    (tmp_path / "rows.csv").write_text(ROWS)
    files = {"rows": "rows.csv", "rejected": "rejected.jsonl", "outcomes": "outcomes.jsonl"}
    paths = {argument: f"file://{tmp_path}/{name}" for argument, name in files.items()}
    (tmp_path / "lineage.py").write_text(DAG.format(**paths))
    connection = {
        "conn_type": "salesblink", "host": sandbox.url, "password": sandbox.key,
        "extra": {"reads_per_minute": 0, "writes_per_minute": 0},
    }  # fmt: skip

    postgres.run(
        "DROP SCHEMA IF EXISTS crm CASCADE", "DROP TABLE IF EXISTS people", "CREATE SCHEMA crm",
        "CREATE TABLE crm.company (id int, name text)", "CREATE TABLE people (email text, company int)",
        "INSERT INTO crm.company VALUES (1, 'Acme')", "INSERT INTO people VALUES ('uma@example.com', 1)",
    )  # fmt: skip

    def run(**changed: Any) -> dict[str, dict[str, Any]]:
        transport = {"type": "file", "log_file_path": str(tmp_path / "events.jsonl"), "append": True}
        done = subprocess.run(
            [sys.executable, "-m", "demo.run_dag", str(tmp_path / "home"), "lineage", str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, timeout=240,
            env={
                **os.environ, "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
                "AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps({**connection, **changed}),
                "AIRFLOW_CONN_WAREHOUSE": json.dumps(postgres.airflow_connection()),
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        text = (tmp_path / "events.jsonl").read_text()
        assert "example.com" not in text
        assert sandbox.key not in text
        assert PASSWORD not in text
        events = [json.loads(line) for line in text.splitlines()]
        return {each["job"]["name"]: each for each in events if each["eventType"] == "COMPLETE"}

    return run


def datasets(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in found]


def test_a_load_leads_from_its_file_or_tables_to_the_campaign(
    run_lineage_dag: Callable[..., dict[str, dict[str, Any]]], postgres: Postgres, tmp_path: Path
) -> None:
    events = run_lineage_dag()

    named, table, query, pause = (events[f"lineage.{task_id}"] for task_id in ("named", "table", "query", "pause"))
    assert datasets(named["inputs"]) == [("file", f"{tmp_path}/rows.csv")]
    written = [("file", f"{tmp_path}/{name}.jsonl") for name in ("rejected", "outcomes")]
    assert datasets(named["outputs"]) == [CAMPAIGN, *written]
    assert named["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert datasets(table["inputs"]) == [("sqlite://warehouse", "main.leads")]
    # It has no outlet, so the connection's id is the workspace.
    assert datasets(table["outputs"]) == [("salesblink://salesblink_default", "campaign/spring")]
    assert table["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 1
    # Nobody wrote an inlet: the tables come from the query.
    server = f"postgres://127.0.0.1:{postgres.port}"
    assert sorted(datasets(query["inputs"])) == [(server, "postgres.crm.company"), (server, "postgres.public.people")]
    assert datasets(query["outputs"]) == [("salesblink://salesblink_default", "campaign/spring")]
    assert query["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 1
    # Airflow itself reports the outlets of tasks without lineage of their own.
    assert datasets(pause["outputs"]) == [CAMPAIGN]
