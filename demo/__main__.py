"""``make demo``: load the people of a file into a campaign of the sandbox, and show the result.

The demo keeps its state in ``.demo/`` of the checkout, so a second run adds nobody twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client import Prospect, SalesBlinkClient
from demo.what_happened import TaskSummary, last_run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
STATE = Path(os.environ.get("DEMO_STATE", ROOT / ".demo"))
LOG = STATE / "airflow.log"
DAG_ID = "leads_to_campaign"
CAMPAIGN = "spring-2027"


def main() -> int:
    """Run the demo. Return 0 if the DAG succeeded."""
    STATE.mkdir(exist_ok=True)
    with sandbox() as (url, key):
        print(f"The sandbox runs at {url} until the demo ends.\nAirflow runs the DAG {DAG_ID} ...", flush=True)
        client = SalesBlinkClient(key, url, reads_per_minute=0)
        before = client.prospects.list(CAMPAIGN)
        if not run_dag(url, key):
            print(f"The DAG failed. Errors and last lines of {LOG}:\n\n{log_end()}", file=sys.stderr)
            return 1
        after = client.prospects.list(CAMPAIGN)
    show_tasks(last_run(STATE / "airflow" / "airflow.db", DAG_ID))
    show_people(after)
    print(f"\n{verdict(len(before), len(after))}\nThe log of the run is in {LOG}.")
    return 0


@contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """Run a sandbox in its own process, and yield its URL and key."""
    command = [sys.executable, "-m", "airflow_provider_salesblink.sandbox"]
    command += ["--db", str(STATE / "salesblink.sqlite"), "--seed", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            # The first line: SalesBlink sandbox at URL key KEY
            words = process.stdout.readline().split() if process.stdout else []
            if len(words) < 4:
                sys.exit("The sandbox did not start.")
            yield words[-3], words[-1]
        finally:
            process.terminate()


def run_dag(url: str, key: str) -> bool:
    """Run the DAG in the demo's own Airflow. Return whether it succeeded."""
    connection = {
        "conn_type": "salesblink",
        "host": url,
        "password": key,
        # The sandbox has no rate limits here.
        "extra": {"reads_per_minute": 0, "writes_per_minute": 0},
    }
    command = [sys.executable, "-W", "ignore", "-m", "demo.run_dag", str(STATE / "airflow"), DAG_ID]
    environment = {**os.environ, "AIRFLOW_CONN_SALESBLINK_DEFAULT": json.dumps(connection)}
    with LOG.open("w") as log:
        return subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=False).returncode == 0


def show_tasks(tasks: list[TaskSummary]) -> None:
    """Print a line for each task."""
    print("\nTasks")
    for task in tasks:
        states = ", ".join(f"{count} x {state}" if count > 1 else state for state, count in task.states.items())
        outcomes = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in task.outcomes.items())
        print(f"  {task.task_id:<18}{states:<16}{outcomes}".rstrip())


def show_people(found: list[Prospect]) -> None:
    """Print a line for each person."""
    print(f"\nIn SalesBlink now: {len(found)} people in campaign {CAMPAIGN}")
    for person in found:
        print(f"  {person['email']:<22}{'unsubscribed' if person['unsubscribed'] else ''}".rstrip())


def verdict(before: int, after: int) -> str:
    """Return the demo's last sentence: what the run changed."""
    if after == before:
        return (
            "Nobody was added: everybody is in the campaign already or has opted out. Nobody gets the same email twice."
        )
    return f"{after - before} people were added. Run the demo again: nobody will be added twice."


def log_end() -> str:
    """Return the lines of Airflow's log that show errors, and its last lines."""
    lines = LOG.read_text().splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    return "\n".join([*errors[:5], "...", *lines[-20:]])


if __name__ == "__main__":
    sys.exit(main())
