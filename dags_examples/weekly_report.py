"""Write a page about the mails of the last week every Monday, for people who do not use Airflow.

It needs API v1. The page needs no other file, so it can be sent by mail: pass its path to ``EmailOperator`` in
``files``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_salesblink.operators.results import CampaignReportOperator, ExtractEventsOperator

HERE = Path(__file__).parent

with DAG(
    "weekly_report",
    description="Report what happened to the mails of SalesBlink in the last week",
    doc_md=__doc__,
    schedule="0 6 * * MON",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
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
        output_path="{{ params.folder }}/reports/{{ macros.datetime.now().strftime('%Y-%m-%d') }}.html",
        since="{{ (macros.datetime.now() - macros.timedelta(days=7)).strftime('%Y-%m-%d') }}",
    )

    extract >> report
