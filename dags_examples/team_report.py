"""Report who is on the team and how many campaigns run.

The members, who are people with addresses, go into a file; XCom holds the counts.
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
            f"file://{HERE.parent}/.demo/team.jsonl", type="string", description="Where the members go, one a line"
        )
    },
):
    members = ListMembersOperator(task_id="members", output_path="{{ params.output }}")
    campaigns = ListCampaignsOperator(task_id="campaigns")

    @task
    def report(members: dict[str, Any], campaigns: dict[str, Any]) -> dict[str, int]:
        """The figures."""
        states = [campaign["paused"] for campaign in campaigns["campaigns"]]
        return {
            "members": members["count"],
            "campaigns": campaigns["count"],
            "paused": states.count(True),
            "running": states.count(False),
            "state not told": states.count(None),
        }

    report(members.output, campaigns.output)
