"""Extract what happened to mails, and load it into a warehouse: each event once, late ones included.

It needs API v1, and a connection ``warehouse`` to a PostgreSQL database. The load compares each file with the version
that was loaded, and reads only the files that changed: those of new days, and of days with late events. So a run also
loads what an earlier run extracted and could not load. The table has no addresses: ``person`` is a keyed hash, the same
as in the table of outcomes of ``warehouse_to_campaign``.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, BaseHook, ObjectStoragePath, Param, task

from airflow_provider_salesblink.operators.results import ExtractEventsOperator

HERE = Path(__file__).parent
WAREHOUSE = "warehouse"

# A column gets the value of the same name. Leave out what you do not need.
CREATE = """
CREATE TABLE IF NOT EXISTS salesblink_event (
    feed text, id text, time timestamptz, message text, person text, lead_id text, sequence_id text, sequence_name text,
    sender text, template_name text, link text, body text, extra jsonb,
    PRIMARY KEY (feed, id)
);
CREATE TABLE IF NOT EXISTS salesblink_file (file text PRIMARY KEY, version text);
CREATE TEMPORARY TABLE salesblink_line (line text) ON COMMIT DELETE ROWS
"""
IS_LOADED = "SELECT 1 FROM salesblink_file WHERE file = %s AND version = %s"
# Takes each line as one value: JSON text has no unescaped control characters.
COPY = r"COPY salesblink_line FROM STDIN WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02', ENCODING 'UTF8')"
# PostgreSQL's texts cannot hold NUL or half of a surrogate pair, which anybody may put into a link or a reply.
MERGE = r"""
INSERT INTO salesblink_event
SELECT event.*
FROM
    salesblink_line,
    regexp_replace(line, '(?<!\\)((\\\\)*)\\u(0000|d[89a-f]..)', '\1\\ufffd', 'g') AS cleaned,
    jsonb_populate_record(NULL::salesblink_event, cleaned::jsonb) AS event
ON CONFLICT (feed, id) DO NOTHING
"""
REMEMBER = """
INSERT INTO salesblink_file VALUES (%s, %s) ON CONFLICT (file) DO UPDATE SET version = excluded.version
"""

with DAG(
    "results_to_warehouse",
    description="Load what happened to the mails of SalesBlink into a warehouse",
    doc_md=__doc__,
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["salesblink", "example"],
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{HERE.parent}/.demo/events",
            type="string",
            description="Folder for the events; all workers must share it",
        ),
    },
):
    extract = ExtractEventsOperator(
        task_id="extract",
        feeds=["sent", "opens", "clicks", "replies", "reports"],
        output_path="{{ params.folder }}",
        outlets=[Asset("salesblink_events")],
    )

    @task
    def load(params: dict[str, str]) -> dict[str, int]:
        """Load the files that changed, and return the number of new events in each. A second run changes nothing."""
        new = {}
        connection = BaseHook.get_connection(WAREHOUSE).get_hook().get_conn()
        with closing(connection) as warehouse, closing(warehouse.cursor()) as cursor:
            cursor.execute(CREATE)
            warehouse.commit()
            for file in sorted(ObjectStoragePath(params["folder"]).glob("*/[!_.]*.jsonl")):
                # The version comes first: if the file changes now, the next run loads it again.
                name, version = f"{file.parent.name}/{file.name}", str(file.checksum())
                cursor.execute(IS_LOADED, [name, version])
                if cursor.fetchone():
                    continue
                copy_lines(file, cursor)
                cursor.execute(MERGE)
                new[name] = cursor.rowcount
                cursor.execute(REMEMBER, [name, version])
                warehouse.commit()
        return new

    extract >> load()


def copy_lines(file: ObjectStoragePath, cursor: Any) -> None:  # noqa: ANN401
    """Stream the lines of a file into the temporary table."""
    with file.open("rb") as lines:
        if hasattr(cursor, "copy_expert"):  # psycopg 2
            cursor.copy_expert(COPY, lines)
            return
        with cursor.copy(COPY) as copy:  # psycopg 3
            for chunk in iter(lambda: lines.read(65_536), b""):
                copy.write(chunk)
