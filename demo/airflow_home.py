"""An Airflow of one's own: a home with a database, and DAGs run in it in this process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def use_home(home: Path) -> None:
    """Make ``home`` the AIRFLOW_HOME of this process, before anything of Airflow is imported; keep what is there."""
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
    """Make the database of this home, or bring the one that is there up to date."""
    from airflow import settings
    from airflow.utils.db import initdb, upgradedb

    # Airflow 2 masks secrets only in processes that it starts for a task; this one is to be such a process.
    settings.MASK_SECRETS_IN_LOGS = True

    if (Path(os.environ["AIRFLOW_HOME"]) / "airflow.db").exists():
        upgradedb()
    else:
        initdb()


def dags_of(folder: Path) -> dict[str, Any]:
    """The DAGs in a file, or in the files of a folder, as Airflow reads them.

    :raises ImportError: Airflow cannot read one of them.
    """
    bag = _dag_bag(str(folder))
    if bag.import_errors:
        raise ImportError("\n".join(map(str, bag.import_errors.values())))
    return dict(bag.dags)


def run(dag: Any, **options: Any) -> Any:  # noqa: ANN401
    """Run ``dag`` to its end and give its run."""
    _store(dag)
    return dag.test(**options)


def _dag_bag(folder: str) -> Any:  # noqa: ANN401
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    return DagBag(dag_folder=folder)


def _store(dag: Any) -> None:  # noqa: ANN401
    """From Airflow 3 on a DAG runs only after the database knows it."""
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import sync_bag_to_db
    except ImportError:
        return
    DagBundlesManager().sync_bundles_to_db()
    bag = _dag_bag(os.devnull)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
