"""Run a DAG in this process: ``python -m demo.run_dag HOME DAG_ID [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from demo import airflow_home

EXAMPLES = Path(__file__).parents[1] / "dags_examples"


def main(home: str, dag_id: str, folder: str = str(EXAMPLES)) -> int:
    """Run the DAG that the file of its name in a folder holds, to its end; 0 if it succeeded."""
    airflow_home.use_home(Path(home))
    airflow_home.make_database()
    dag = airflow_home.dags_of(Path(folder) / f"{dag_id}.py")[dag_id]
    for task in dag.tasks:
        # Somebody is waiting: a task that fails here says so at once.
        task.retries = 0
    run = airflow_home.run(dag)
    return 0 if run.state == "success" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
