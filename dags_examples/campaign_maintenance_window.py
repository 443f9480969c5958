"""Pause a campaign, work on its data, and unpause it.

The pause is a setup task and the unpause a teardown task: the campaign is unpaused even if the work fails. If the
campaign was paused before, it stays paused and the tasks of the window are skipped.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_salesblink.operators.campaigns import (
    GetCampaignOperator,
    PauseCampaignOperator,
    UnpauseCampaignOperator,
)
from airflow_provider_salesblink.operators.prospects import ListProspectsOperator

with DAG(
    "campaign_maintenance_window",
    description="Pause a SalesBlink campaign while its data is worked on",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={"campaign_id": Param("spring-2027", type="string", description="The campaign to pause")},
):
    look = GetCampaignOperator(task_id="look", campaign_id="{{ params.campaign_id }}")

    @task.short_circuit
    def is_running(campaign: dict[str, Any]) -> bool:
        """Return whether there is anything to pause. An unknown state counts as running."""
        return campaign["paused"] is not True

    pause = PauseCampaignOperator(task_id="pause", campaign_id="{{ params.campaign_id }}").as_setup()
    people = ListProspectsOperator(task_id="people", campaign_id="{{ params.campaign_id }}")

    @task
    def work(people: dict[str, Any]) -> int:
        """Replace this with your own code: correct the CRM, remove duplicates, wait for a batch."""
        return int(people["count"])

    unpause = UnpauseCampaignOperator(task_id="unpause", campaign_id="{{ params.campaign_id }}")

    @task
    def finish() -> None:
        """Fail the run if the work fails: the teardown succeeds then, and alone it would make the run a success."""

    is_running(look.output) >> pause >> people
    worked = work(people.output)
    worked >> finish()
    # A failed teardown fails the run too: somebody should notice a campaign that stays paused.
    worked >> unpause.as_teardown(setups=pause, on_failure_fail_dagrun=True)
