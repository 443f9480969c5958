"""Plan a load, let a person approve it, and then load exactly that (Airflow 3.1 and later).

Open the run in Airflow and choose *Required Actions*. The page shows what the load would do. Nobody gets mail before
somebody approves it. If the file then asks for more than was approved, the load stops before it sends anything.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, Param

from airflow_provider_salesblink.operators.plans import ApproveLoadOperator, PlanLoadOperator
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

HERE = Path(__file__).parent

# The plan and the load take the same arguments: the load stops if they differ.
LOAD = {
    "campaign_id": "{{ params.campaign_id }}",
    "rows_path": "{{ params.people }}",
    "mode": "upsert",
    "opt_out_columns": ["Unsubscribed"],
    "suppression_path": f"file://{HERE}/suppressed.txt",
    "max_rejected": 10,
    # All loads of the key together. A larger load continues on the next days, with the same approval.
    "daily_new_people": 500,
}

with DAG(
    "plan_approve_load",
    description="Plan a load into a SalesBlink campaign, let a person approve it, then load",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign to load into"),
        "people": Param(f"file://{HERE}/people.csv", type="string", description="A file of people"),
        "plans": Param(
            f"file://{HERE.parent}/.demo/plans",
            type="string",
            description="Folder for the plans; all workers must share it",
        ),
    },
):
    plan = PlanLoadOperator(
        task_id="plan",
        # A file for each run: an approval is for one run only.
        plan_path="{{ params.plans }}/{{ run_id | replace(':', '-') }}.txt",
        **LOAD,
    )
    approve = ApproveLoadOperator(
        task_id="approve",
        plan=plan.output,
        response_timeout=timedelta(hours=8),
        # Longer than the load, which may take days.
        valid_for="7d",
    )
    AddProspectsOperator(task_id="load", approved_plan=approve.output, **LOAD)
