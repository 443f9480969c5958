"""Report how many members a team has and how many of its campaigns are running.

Names and addresses of the members go into a file; XCom holds only the counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_salesblink.operators.campaigns import ListCampaignsOperator
from airflow_provider_salesblink.operators.team import ListMembersOperator

HERE = Path(__file__).parent

with DAG(
    "team_report",
    description="Count a SalesBlink team's members and campaigns",
    doc_md=__doc__,
    schedule="@weekly",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "output": Param(
            f"file://{HERE.parent}/.demo/team.jsonl", type="string", description="File for the members, one per line"
        )
    },
):
    members = ListMembersOperator(task_id="members", output_path="{{ params.output }}")
    campaigns = ListCampaignsOperator(task_id="campaigns")

    @task
    def report(members: dict[str, Any], campaigns: dict[str, Any]) -> dict[str, int]:
        """Return the counts."""
        states = [campaign["paused"] for campaign in campaigns["campaigns"]]
        return {
            "members": members["count"],
            "campaigns": campaigns["count"],
            "paused": states.count(True),
            "running": states.count(False),
            "state unknown": states.count(None),
        }

    report(members.output, campaigns.output)
