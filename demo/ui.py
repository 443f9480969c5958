"""``make ui``: run Airflow with its UI, the example DAGs, and a sandbox in which people reply and opt out.

It runs until you interrupt it. Its files stay in ``.demo/ui`` until the next start, which begins from scratch.
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
AIRFLOW_3_ONLY = ("results_by_day.py", "unsubscribes_to_warehouse.py")
"""Examples without a DAG for Airflow 2."""


def main() -> int:
    """Run until SIGINT or SIGTERM."""
    if not AIRFLOW_3:
        print("make ui needs Airflow 3. Run it without AIRFLOW=2.11.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shutil.rmtree(HOME, ignore_errors=True)
    print(
        "Starting a new sandbox and a new Airflow, which takes about 30 seconds. Earlier data is deleted ...",
        flush=True,
    )
    airflow = with_examples(HOME)
    # DAGs start only when the user triggers them.
    airflow.environment["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "True"
    try:
        with Sandbox(seed="demo", life="calm") as sandbox:
            # The campaign links of tasks lead to the sandbox's page.
            airflow.environment["AIRFLOW__SALESBLINK__CAMPAIGN_PAGE_ROOT"] = f"{sandbox.url}/#"
            with airflow:
                connect(airflow, sandbox)
                print(
                    f"Airflow:    {airflow.url}/\nSalesBlink: {sandbox.url} (key: {sandbox.key})\n"
                    f"Connection: {airflow.url}/connections ({CONN_ID}; use the Test button in its row)\n"
                    "Trigger a DAG, and look at the result in SalesBlink. There, people appear, reply and opt out,\n"
                    "and campaigns are paused and resumed. Press Ctrl+C to stop.",
                    flush=True,
                )
                signal.pause()
    except KeyboardInterrupt:
        print("Stopped.")
    return 0


def with_examples(home: Path, database: str | None = None) -> RealAirflow:
    """Return an Airflow, not started yet, with the example DAGs and their files."""
    airflow = RealAirflow(home, {}, database)
    shutil.copytree(ROOT / "dags_examples", airflow.dags, dirs_exist_ok=True)
    for name in () if AIRFLOW_3 else AIRFLOW_3_ONLY:
        (airflow.dags / name).unlink()
    return airflow


def connect(airflow: RealAirflow, sandbox: Sandbox) -> None:
    """Create the connection to the sandbox through Airflow's REST API, as the form in its UI does."""
    airflow.api("connections", connection(sandbox.url, sandbox.key))


def connection(url: str, key: str) -> dict[str, Any]:
    """Return the connection in the form that the REST API accepts."""
    # Airflow's form for an existing connection shows only stored extras, so store them all.
    usual = {field.name: field.default for field in FIELDS}
    extra = json.dumps(usual | {"reads_per_minute": 0, "writes_per_minute": 0})
    made = {"connection_id": CONN_ID, "conn_type": "salesblink", "host": url, "password": key, "extra": extra}
    # Airflow 3.3.1 and 3.3.2 cannot test a saved connection without a port. Their button sends 0 for no port.
    return made | {"port": 0}


if __name__ == "__main__":
    sys.exit(main())
