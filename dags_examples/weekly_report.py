"""Write a page about the mails of the last week every Monday, for people who do not use Airflow.

It needs API v1. The page needs no other file, so it can be sent by mail: pass its path to ``EmailOperator`` in
``files``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_salesblink.operators.results import CampaignReportOperator, ExtractEventsOperator

HERE = Path(__file__).parent


def day(run: Any, before: int = 0) -> str:  # noqa: ANN401
    """Return the UTC day of a run, or an earlier one. It stays the same when the run is cleared."""
    # Airflow 2 has no run_after, and the interval of a manual run ends at the last time of the schedule.
    before_3 = run.logical_date if run.run_type == "manual" else run.data_interval_end
    time = getattr(run, "run_after", None) or before_3
    return str(time.astimezone(UTC).date() - timedelta(days=before))


with DAG(
    "weekly_report",
    description="Report what happened to the mails of SalesBlink in the last week",
    doc_md=__doc__,
    schedule="0 6 * * MON",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    user_defined_macros={"day": day},
    tags=["salesblink", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{HERE.parent}/.demo/weekly",
            type="string",
            description="Folder for the events and the reports; all workers must share it",
        ),
        "campaign": Param("all", type="string", description="Id of the campaign to report on, or all"),
    },
):
    extract = ExtractEventsOperator(
        task_id="extract",
        feeds=["sent", "opens", "clicks", "replies", "reports"],
        output_path="{{ params.folder }}/events",
    )

    report = CampaignReportOperator(
        task_id="report",
        campaign_id="{{ params.campaign }}",
        events_path="{{ params.folder }}/events",
        output_path="{{ params.folder }}/reports/{{ day(dag_run) }}.html",
        # The seven whole days before the run.
        since="{{ day(dag_run, before=7) }}",
        until="{{ day(dag_run) }}",
    )

    extract >> report
