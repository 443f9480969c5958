"""Every night, load the people of a file into a campaign, and report the rows that could not be loaded.

The load adds new people and updates people whose columns changed. It adds nobody twice, however often the task runs. It
adds nobody who opted out according to the file's own column, a suppression list, or SalesBlink. Rows that cannot be
loaded go into a file with their reasons; the other rows are loaded.
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
            description="Addresses, domains or SHA-256 hashes of addresses, one per line",
        ),
        "rejected": Param(
            f"file://{HERE.parent}/.demo/rejected.jsonl",
            type="string",
            description="File for the refused rows, one per line",
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
        # More refused rows than this mean that the whole source is broken, rather than a few rows.
        max_rejected=100,
    )

    @task.short_circuit
    def anything_refused(report: dict[str, Any]) -> bool:
        """Return whether any row was refused."""
        return bool(report["rejected"])

    @task
    def hand_over(report: dict[str, Any]) -> str:
        """Replace this with your own code: open a ticket, or post the path (not the people) to a channel."""
        return f"{report['rejected']} rows were refused: {report['rejected_path']}"

    anything_refused(load.output) >> hand_over(load.output)
