"""Count the events of a day again each time that its files change (Airflow 3.3 and later).

``results_to_warehouse`` extracts the events. Its asset gets a partition for each UTC day whose files changed, and this
DAG runs once for each of them. A late event changes a day that has passed, so that day is counted again, and no other.
It needs a connection ``warehouse`` to a PostgreSQL database.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    Asset,
    BaseHook,
    ObjectStoragePath,
    Param,
    task,
)
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

HERE = Path(__file__).parent
WAREHOUSE = "warehouse"

CREATE = """
CREATE TABLE IF NOT EXISTS salesblink_day (
    day date, sequence_id text, message text, events integer, PRIMARY KEY (day, sequence_id, message)
)
"""
DELETE = "DELETE FROM salesblink_day WHERE day = %s"
INSERT = "INSERT INTO salesblink_day VALUES (%s, %s, %s, %s)"

# Before Airflow 3.3, the operator cannot say which partitions changed.
if AIRFLOW_V_3_3_PLUS:
    from airflow.sdk import PartitionedAssetTimetable

    with DAG(
        "results_by_day",
        description="Count what happened to the mails of SalesBlink, for each day that changed",
        doc_md=__doc__,
        schedule=PartitionedAssetTimetable(assets=Asset("salesblink_events")),
        start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
        catchup=False,
        # Two runs for one day must not count it at the same time.
        max_active_runs=1,
        tags=["salesblink", "example"],
        default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
        params={
            "folder": Param(
                f"file://{HERE.parent}/.demo/events",
                type="string",
                description="The folder that results_to_warehouse writes to",
            ),
        },
    ):

        @task
        def count_day(params: dict[str, str], partition_key: str | None = None) -> int:
            """Replace the day's numbers, and return how many events there are. Running it again changes nothing."""
            if not partition_key:
                raise AirflowFailException("There is no day: trigger the DAG with a partition key such as 2026-11-25.")
            counts: Counter[tuple[str, str]] = Counter()
            for file in ObjectStoragePath(params["folder"]).glob(f"*/{partition_key}.jsonl"):
                with file.open("r") as lines:
                    events = map(json.loads, lines)
                    counts.update((event["sequence_id"] or "", event["message"] or "") for event in events)
            connection = BaseHook.get_connection(WAREHOUSE).get_hook().get_conn()
            with closing(connection) as warehouse, closing(warehouse.cursor()) as cursor:
                cursor.execute(CREATE)
                cursor.execute(DELETE, [partition_key])
                cursor.executemany(INSERT, [(partition_key, *what, number) for what, number in counts.items()])
                warehouse.commit()
            return counts.total()

        count_day()
