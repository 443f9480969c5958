"""Start when somebody unsubscribes from a campaign, and store the opt-out in a warehouse (Airflow 3.0 and later).

The triggerer reads the campaign once a minute, however many DAGs wait for it. It may report an opt-out twice, for
example after it was killed. Both reports have the same key, so the table's primary key drops the second one.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, AssetWatcher, Param, task

from airflow_provider_salesblink.assets import campaign_asset
from airflow_provider_salesblink.triggers.events import ProspectEventTrigger

HERE = Path(__file__).parent
CAMPAIGN = "spring-2027"

unsubscribes = campaign_asset("acme", CAMPAIGN)
unsubscribes.watchers = [
    AssetWatcher(name="unsubscribes", trigger=ProspectEventTrigger(campaign_id=CAMPAIGN, events=["unsubscribed"]))
]

with DAG(
    "unsubscribes_to_warehouse",
    description="Store everybody who unsubscribes from a SalesBlink campaign in a warehouse",
    doc_md=__doc__,
    schedule=[unsubscribes],
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    tags=["salesblink", "example"],
    params={
        "warehouse": Param(
            f"{HERE.parent}/.demo/warehouse.sqlite",
            type="string",
            description="A SQLite file in place of your warehouse",
        )
    },
):

    @task
    def store_opt_outs(params: dict[str, Any], triggering_asset_events: dict[Any, Any]) -> int:
        """Store the ids of the people who opted out, and return how many there are."""
        payloads = [event.extra["payload"] for event in triggering_asset_events[unsubscribes]]
        rows = [
            (change["key"], payload["campaign_id"], change["prospect_id"])
            for payload in payloads
            for change in payload["changes"]
        ]
        Path(params["warehouse"]).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(params["warehouse"])) as warehouse, warehouse:
            warehouse.execute("CREATE TABLE IF NOT EXISTS opt_out (key TEXT PRIMARY KEY, campaign TEXT, prospect TEXT)")
            warehouse.executemany("INSERT OR IGNORE INTO opt_out VALUES (?, ?, ?)", rows)
        return len(rows)

    store_opt_outs()
