"""Wait until a lead replies, and hand them over to the CRM.

A lead who does not reply within a week stays in the campaign. The wait holds no worker slot: it runs in the
triggerer, where all waits for people of one campaign share one request.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_salesblink.operators.prospects import UpdateProspectOperator
from airflow_provider_salesblink.sensors.campaigns import CampaignSensor
from airflow_provider_salesblink.sensors.prospects import ProspectSensor

with DAG(
    "answered_to_crm",
    description="Hand a lead over to the CRM as soon as they reply to a SalesBlink campaign",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign the lead is in"),
        "prospect_id": Param("", type="string", description="The lead's id, from the XCom of the task that added them"),
    },
):
    running = CampaignSensor(
        task_id="running",
        campaign_id="{{ params.campaign_id }}",
        state="running",
        deferrable=True,
        timeout=timedelta(days=1).total_seconds(),
    )
    answered = ProspectSensor(
        task_id="answered",
        campaign_id="{{ params.campaign_id }}",
        prospect_id="{{ params.prospect_id }}",
        where={"Replied": {"exists": True}},
        deferrable=True,
        poke_interval=60,
        timeout=timedelta(days=7).total_seconds(),
        soft_fail=True,
    )

    @task
    def hand_over(lead: dict[str, Any]) -> str:
        """Replace this with your own code: create a deal in the CRM, or send a message to its owner."""
        return str(lead["prospect_id"])

    # So the campaign's texts and filters can treat this lead differently from now on.
    mark = UpdateProspectOperator(
        task_id="mark", prospect_id="{{ params.prospect_id }}", fields={"Stage": "With sales"}
    )

    running >> answered
    hand_over(answered.output) >> mark
