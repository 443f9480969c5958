"""Every night: bring the people of a file into a campaign, and what could not be loaded to somebody's attention.

New people are added, people whose columns changed are updated, and nobody is added twice, however often the task runs.
Nobody is mailed who said no: the file's own column says it, a list of suppressed people does, or SalesBlink itself.
Rows that cannot be loaded go into a file with their reasons; the other rows are loaded.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

HERE = Path(__file__).parent

with DAG(
    "nightly_upsert",
    description="Upsert the people of a file into a SalesBlink campaign",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["salesblink", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign to load into"),
        "people": Param(f"file://{HERE}/people.csv", type="string", description="CSV or JSONL, on any object storage"),
        "suppressed": Param(
            f"file://{HERE}/suppressed.txt",
            type="string",
            description="Addresses, domains or SHA-256 of addresses, one a line",
        ),
        "rejected": Param(
            f"file://{HERE.parent}/.demo/rejected.jsonl", type="string", description="Where refused rows go, one a line"
        ),
    },
):
    load = AddProspectsOperator(
        task_id="load",
        campaign_id="{{ params.campaign_id }}",
        rows_path="{{ params.people }}",
        mode="upsert",
        opt_out_columns=["Unsubscribed"],
        suppression_path="{{ params.suppressed }}",
        rejected_path="{{ params.rejected }}",
        # More would mean that the source is broken rather than a few rows of it.
        max_rejected=100,
    )

    @task.short_circuit
    def anything_refused(report: dict[str, Any]) -> bool:
        """Whether somebody has to look."""
        return bool(report["rejected"])

    @task
    def hand_over(report: dict[str, Any]) -> str:
        """Stands for yours: open a ticket, post the path to a channel. The path, not the people."""
        return f"{report['rejected']} rows were refused: {report['rejected_path']}"

    anything_refused(load.output) >> hand_over(load.output)
