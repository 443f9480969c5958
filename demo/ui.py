"""``make ui``: a whole Airflow with its UI, the example DAGs, and a SalesBlink of your own in which something happens.

Runs until it is interrupted; nothing of it is left then but its files in ``.demo/ui``, until it is started again: each
time is a new one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from airflow_provider_salesblink.connection_form import FIELDS
from airflow_provider_salesblink.sandbox import Sandbox
from demo.real_airflow import AIRFLOW_3, RealAirflow

ROOT = Path(__file__).parents[1]
HOME = Path(os.environ.get("DEMO_STATE", ROOT / ".demo")) / "ui"
CONN_ID = "salesblink_default"


def main() -> int:
    """Run until SIGINT or SIGTERM."""
    if not AIRFLOW_3:
        print("make ui shows the UI of Airflow 3: leave AIRFLOW out.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(HOME, ignore_errors=True)
    print(
        "Starting a new SalesBlink and a new Airflow, which takes about half a minute (those of the last time, and "
        "what was in them, are gone) ...",
        flush=True,
    )
    airflow = with_examples(HOME)
    # Each DAG waits for the person who looks at it.
    airflow.environment["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "True"
    try:
        with Sandbox(seed="demo", life="calm") as sandbox:
            # Where a task's link to its campaign leads.
            airflow.environment["AIRFLOW__SALESBLINK__CAMPAIGN_PAGE_ROOT"] = f"{sandbox.url}/#"
            with airflow:
                connect(airflow, sandbox)
                print(
                    f"Airflow:    {airflow.url}/\nSalesBlink: {sandbox.url} (key: {sandbox.key})\n"
                    f"Connection: {airflow.url}/connections ({CONN_ID}; the button Test in its row says what answers)\n"
                    "Trigger a DAG, and see in SalesBlink what it did. There, people appear, answer and opt out by\n"
                    "themselves, and campaigns are paused and go on. Ctrl-C ends it all.",
                    flush=True,
                )
                signal.pause()
    except KeyboardInterrupt:
        print("Ended.")
    return 0


def with_examples(home: Path) -> RealAirflow:
    """An Airflow that is not started yet, with the example DAGs and their files."""
    airflow = RealAirflow(home, {})
    shutil.copytree(ROOT / "dags_examples", airflow.dags, dirs_exist_ok=True)
    if not AIRFLOW_3:
        (airflow.dags / "unsubscribes_to_warehouse.py").unlink()
    return airflow


def connect(airflow: RealAirflow, sandbox: Sandbox) -> None:
    """Make the connection to the sandbox through Airflow's REST API, as the form of its UI does."""
    airflow.api("connections", connection(sandbox.url, sandbox.key))


def connection(url: str, key: str) -> dict[str, Any]:
    """The connection, as the REST API takes it."""
    # All of them: Airflow's form for an existing connection shows only what is there.
    usual = {field.name: field.default for field in FIELDS}
    extra = json.dumps(usual | {"reads_per_minute": 0, "writes_per_minute": 0})
    made = {"connection_id": CONN_ID, "conn_type": "salesblink", "host": url, "password": key, "extra": extra}
    # Airflow 3.3.1 and 3.3.2 test no saved connection without a port; 0 is what their button sends for none.
    return made | {"port": 0}


if __name__ == "__main__":
    sys.exit(main())
