"""Load the leads of a warehouse into a campaign, and write what became of each back into the warehouse.

It needs a connection ``warehouse`` to a PostgreSQL database with a table ``lead``: ``id``, ``email``, ``first_name``,
``company``, ``do_not_mail``, ``campaign``. The query is read as a stream, so the table may have millions of rows. The
outcomes go into a table ``salesblink_outcome``. It has no addresses: ``person`` is a keyed hash, and ``row`` is the
row's position in the query.
"""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, BaseHook, ObjectStoragePath, Param, task

from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

HERE = Path(__file__).parent
WAREHOUSE = "warehouse"

CREATE = """
CREATE TABLE IF NOT EXISTS salesblink_outcome (
    run text, row integer, person text, outcome text, reason text, prospect_id text, time timestamptz,
    PRIMARY KEY (run, row)
)
"""
DELETE = "DELETE FROM salesblink_outcome WHERE run = %s"
INSERT = """
INSERT INTO salesblink_outcome VALUES (
    %(run)s, %(row)s, %(person)s, %(outcome)s, %(reason)s, %(prospect_id)s, %(time)s
)
"""

with DAG(
    "warehouse_to_campaign",
    description="Load the leads of a warehouse into a SalesBlink campaign, and write the outcomes back",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["salesblink", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign to load into"),
        "outcomes": Param(
            f"file://{HERE.parent}/.demo/outcomes.jsonl",
            type="string",
            description="File for the outcomes; all workers must share it",
        ),
    },
):
    load = AddProspectsOperator(
        task_id="load",
        campaign_id="{{ params.campaign_id }}",
        # Without an order, the first row of a person may be another one at the next run.
        sql="""
            SELECT email, first_name, company, do_not_mail
            FROM lead
            WHERE campaign = %(campaign)s
            ORDER BY id
        """,
        sql_parameters={"campaign": "{{ params.campaign_id }}"},
        sql_conn_id=WAREHOUSE,
        mode="upsert",
        opt_out_columns=["do_not_mail"],
        outcomes_path="{{ params.outcomes }}",
        # A join that went wrong would add many times as many people as usual.
        max_adds=5_000,
        max_rejected=100,
    )

    @task
    def store_outcomes(params: dict[str, str], run_id: str) -> int:
        """Store the outcome of each row, and return how many there are. Running it again changes nothing."""
        path = ObjectStoragePath(params["outcomes"])
        if not path.exists():
            return 0
        connection = BaseHook.get_connection(WAREHOUSE).get_hook().get_conn()
        with path.open("r") as lines, closing(connection) as warehouse, closing(warehouse.cursor()) as cursor:
            cursor.execute(CREATE)
            cursor.execute(DELETE, [run_id])
            # In Airflow 2, such a file cannot be iterated over.
            outcomes = map(json.loads, iter(lines.readline, ""))
            cursor.executemany(INSERT, ({**outcome, "run": run_id} for outcome in outcomes))
            cursor.execute("SELECT count(*) FROM salesblink_outcome WHERE run = %s", [run_id])
            (stored,) = cursor.fetchone()
            warehouse.commit()
        return int(stored)

    @task
    def finish() -> None:
        """Fail the run if the load fails: the teardown succeeds then, and alone it would make the run a success."""

    load >> finish()
    # A load that fails has outcomes too, so a teardown stores them.
    load >> store_outcomes().as_teardown(on_failure_fail_dagrun=True)
