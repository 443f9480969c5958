"""The DAGs of the cluster's tests. Their people are in PostgreSQL, because the workers share no folder."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_salesblink.operators.campaigns import GetCampaignOperator
from airflow_provider_salesblink.operators.prospects import AddProspectsOperator

START = datetime(2026, 1, 1)  # noqa: DTZ001  # Airflow takes it as UTC
RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=1)}
PEOPLE = "SELECT email, first_name FROM people WHERE region = %(region)s ORDER BY email"

with DAG("fan_out", schedule=None, start_date=START, default_args=RETRIES):
    AddProspectsOperator.partial(
        task_id="load", campaign_id="fan-out", sql=PEOPLE, sql_conn_id="warehouse", max_in_flight=4
    ).expand(sql_parameters=[{"region": region} for region in ("east", "north", "south", "west")])

with DAG("load_in_one_slot", schedule=None, start_date=START, default_args=RETRIES):
    AddProspectsOperator(
        task_id="load", campaign_id="one-slot", sql=PEOPLE, sql_parameters={"region": "late"}, sql_conn_id="warehouse",
        salesblink_conn_id="salesblink_slow", pool="one", defer_after=2,
    )  # fmt: skip

with DAG("read_in_the_slot", schedule=None, start_date=START, default_args=RETRIES):
    GetCampaignOperator(task_id="read", campaign_id="one-slot", pool="one")
