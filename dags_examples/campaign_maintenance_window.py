"""Pause a campaign, work on its data, let it go on.

The pause is a setup and its end a teardown: the campaign goes on even when the work fails. A campaign that somebody had
paused before is left paused: nothing of the window runs.
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
        """Whether there is anything to pause: unknown counts as running."""
        return campaign["paused"] is not True

    pause = PauseCampaignOperator(task_id="pause", campaign_id="{{ params.campaign_id }}").as_setup()
    people = ListProspectsOperator(task_id="people", campaign_id="{{ params.campaign_id }}")

    @task
    def work(people: dict[str, Any]) -> int:
        """Stands for yours: correct the CRM, deduplicate, wait for a batch."""
        return int(people["count"])

    unpause = UnpauseCampaignOperator(task_id="unpause", campaign_id="{{ params.campaign_id }}")

    @task
    def finish() -> None:
        """Fails with the work: the teardown, which succeeds all the same, would otherwise speak for the whole run."""

    is_running(look.output) >> pause >> people
    worked = work(people.output)
    worked >> finish()
    # Fails the run as well: a campaign that stays paused should be seen.
    worked >> unpause.as_teardown(setups=pause, on_failure_fail_dagrun=True)
