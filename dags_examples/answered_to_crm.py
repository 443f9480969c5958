"""Wait until a lead has answered, and hand them over; whoever does not answer in a week stays in the campaign.

The wait holds no worker: it is the triggerer's, where all who wait for people of a campaign share one request.
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
    description="Hand a lead over to the CRM as soon as they answer a SalesBlink campaign",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    params={
        "campaign_id": Param("spring-2027", type="string", description="The campaign the lead is in"),
        "prospect_id": Param("", type="string", description="The lead's id: in the XCom of the task that added them"),
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
        """Stands for yours: a deal in the CRM, a message to the owner."""
        return str(lead["prospect_id"])

    # The campaign's texts and filters can tell by it that a person has taken over.
    mark = UpdateProspectOperator(
        task_id="mark", prospect_id="{{ params.prospect_id }}", fields={"Stage": "With sales"}
    )

    running >> answered
    hand_over(answered.output) >> mark
