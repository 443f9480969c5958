"""Keep the people of a campaign up to date, and pause the campaign when that fails.

A campaign that keeps running on bad data keeps mailing people. So when any task fails after its last retry, the
campaign is paused. It stays paused until a person checks the data and unpauses it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, AirflowFailException, ObjectStoragePath, Param, task

from airflow_provider_salesblink.notifications.campaigns import PauseCampaignNotifier
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

HERE = Path(__file__).parent

with DAG(
    "pause_on_failure",
    description="Update a SalesBlink campaign from a file; pause it when that fails",
    doc_md=__doc__,
    schedule="@daily",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["salesblink", "example"],
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        # On each task rather than on the DAG: the worker whose task fails then pauses the campaign at once.
        "on_failure_callback": PauseCampaignNotifier(campaign_id="{{ params.campaign_id }}"),
    },
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign to update"),
        "people": Param(f"file://{HERE}/regions/north.csv", type="string", description="CSV, on any object storage"),
        "least_rows": Param(2, type="integer", description="With fewer rows, the export counts as broken"),
    },
):

    @task
    def check_export(params: dict[str, Any]) -> int:
        """Replace this with your own checks that the data is good enough to mail people."""
        rows = len(ObjectStoragePath(params["people"]).read_text().splitlines()) - 1
        if rows < params["least_rows"]:
            raise AirflowFailException(f"{params['people']} has {max(rows, 0)} rows; the export is broken.")
        return rows

    load = AddProspectsOperator(
        task_id="load", campaign_id="{{ params.campaign_id }}", rows_path="{{ params.people }}", mode="upsert"
    )

    check_export() >> load
