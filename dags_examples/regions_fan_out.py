"""Load all files of a folder into one campaign, each file in a mapped task of its own, several at a time.

The loads share the key's rate limit. They also share reservations of the people they are adding: a person who is in two
files is added once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

HERE = Path(__file__).parent

with DAG(
    "regions_fan_out",
    description="Load the files of a folder into a SalesBlink campaign, in parallel",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign to load into"),
        "folder": Param(f"file://{HERE}/regions", type="string", description="CSV files, on any object storage"),
    },
):

    @task
    def find_files(params: dict[str, str]) -> list[str]:
        """Return the paths of the files to load."""
        return sorted(str(path) for path in ObjectStoragePath(params["folder"]).iterdir() if path.suffix == ".csv")

    loads = AddProspectsOperator.partial(
        task_id="load", campaign_id="{{ params.campaign_id }}", max_active_tis_per_dag=4
    ).expand(rows_path=find_files())

    @task
    def add_up(reports: list[dict[str, Any]]) -> dict[str, int]:
        """Return the sum of the counts of all loads."""
        names = ("rows", "added", "there", "taken_by_others", "opted_out", "rejected")
        return {name: sum(report[name] for report in reports) for name in names}

    add_up(loads.output)
