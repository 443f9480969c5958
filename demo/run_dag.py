"""Run a DAG in this process: ``python -m demo.run_dag HOME DAG_ID [FOLDER [CONF]]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from demo import airflow_home

EXAMPLES = Path(__file__).parents[1] / "dags_examples"


def main(home: str, dag_id: str, folder: str = str(EXAMPLES), conf: str = "{}") -> int:
    """Run the DAG in the file of the same name, until it ends. Return 0 if it succeeded."""
    airflow_home.use_home(Path(home))
    airflow_home.make_database()
    dag = airflow_home.dags_of(Path(folder) / f"{dag_id}.py")[dag_id]
    for task in dag.tasks:
        # A user waits for the result, so a failure must show immediately.
        task.retries = 0
    run = airflow_home.run(dag, run_conf=json.loads(conf))
    return 0 if run.state == "success" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
