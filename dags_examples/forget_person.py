"""Forget a person who asked for it: in SalesBlink, and in the files that this provider wrote.

The address comes in a file, which the last task deletes. So it is in no table of Airflow's database: what is passed as
``params``, in XCom or in the text of a DAG stays there. The receipt shows no address.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task

from airflow_provider_salesblink.operators.prospects import ForgetPersonOperator

DEMO = Path(__file__).parents[1] / ".demo"

with DAG(
    "forget_person",
    description="Forget a person in SalesBlink and in extracted files",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "request": Param(
            f"file://{DEMO}/forget.txt", type="string", description="A file that holds the address and nothing else"
        ),
        "folders": Param([f"file://{DEMO}/events"], type="array", description="What this provider wrote"),
        "receipts": Param(f"file://{DEMO}/receipts", type="string", description="The folder for the receipts"),
    },
):
    forget = ForgetPersonOperator(
        task_id="forget",
        email_path="{{ params.request }}",
        paths="{{ params.folders | tojson }}",
        receipt_path="{{ params.receipts }}/{{ run_id }}.json",
    )

    @task
    def delete_request(path: str) -> None:
        """Delete the file with the address. Until then, a task that failed can run again."""
        ObjectStoragePath(path).unlink(missing_ok=True)

    forget >> delete_request("{{ params.request }}")
