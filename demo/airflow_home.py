"""A separate AIRFLOW_HOME with its own database, and DAG runs in this process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def use_home(home: Path) -> None:
    """Set ``home`` as the AIRFLOW_HOME of this process, and keep its contents. Call it before you import Airflow."""
    home.mkdir(parents=True, exist_ok=True)
    dags = home / "no-dags"
    dags.mkdir(exist_ok=True)
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }


def make_database() -> None:
    """Create the database of this home, or upgrade the existing one."""
    from airflow import settings
    from airflow.utils.db import initdb, upgradedb

    # Airflow 2 masks secrets only in task processes. This process runs tasks too.
    settings.MASK_SECRETS_IN_LOGS = True

    if (Path(os.environ["AIRFLOW_HOME"]) / "airflow.db").exists():
        upgradedb()
    else:
        initdb()


def dags_of(folder: Path) -> dict[str, Any]:
    """Return the DAGs of a file, or of the files in a folder, by DAG id.

    :raises ImportError: Airflow cannot read one of them.
    """
    bag = _dag_bag(str(folder))
    if bag.import_errors:
        raise ImportError("\n".join(map(str, bag.import_errors.values())))
    return dict(bag.dags)


def run(dag: Any, **options: Any) -> Any:  # noqa: ANN401
    """Run ``dag`` until it ends, and return the DAG run."""
    _store(dag)
    return dag.test(**options)


def _dag_bag(folder: str) -> Any:  # noqa: ANN401
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    return DagBag(dag_folder=folder)


def _store(dag: Any) -> None:  # noqa: ANN401
    """Store the DAG in the database, which Airflow 3 requires before a run."""
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import sync_bag_to_db
    except ImportError:
        return
    DagBundlesManager().sync_bundles_to_db()
    bag = _dag_bag(os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
