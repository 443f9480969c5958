"""An Airflow with the CeleryExecutor: a broker, and two workers that share no folder, like two machines."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from demo.real_airflow import RealAirflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MACHINES = ("one", "two")
SLOTS = 2
"""Tasks that a worker runs at once. Four mapped loads keep both workers busy."""
HEARTBEAT_TIMEOUT = 20
"""Seconds after which Airflow misses a killed worker."""


class Cluster(RealAirflow):
    """A cluster that runs for the duration of a ``with`` block. ``start`` and ``kill`` take a machine's name, too.

    :param home: a folder for all components, with a folder for each machine.
    :param environment: additional environment variables.
    :param database: the URL of an empty PostgreSQL database.
    :param broker: the URL of a Redis server.
    :param dags: the DAG files, which each machine gets a copy of.
    """

    def __init__(
        self, home: Path, environment: Mapping[str, str], database: str, broker: str, dags: Iterable[Path]
    ) -> None:
        settings = {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CORE__PARALLELISM": "16",
            "CORE__HOSTNAME_CALLABLE": "tests.cluster.machine.name",
            "CELERY__BROKER_URL": broker,
            "CELERY__RESULT_BACKEND": database.replace("postgresql+", "db+postgresql+"),
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        }
        own = {f"AIRFLOW__{name}": value for name, value in settings.items()}
        super().__init__(home, {**own, "C_FORCE_ROOT": "1", **environment}, database)
        for path in dags:
            shutil.copy(path, self.dags)
        for machine in MACHINES:
            self.commands[machine] = [
                *("celery", "worker", "--skip-serve-logs", "--without-mingle", "--without-gossip"),
                *("--concurrency", str(SLOTS), "--celery-hostname", f"{machine}@cluster"),
            ]
            (self._folder(machine) / "tmp").mkdir(parents=True)
            shutil.copytree(self.dags, self._folder(machine) / "dags")

    def kill(self, component: str) -> None:
        """Kill a component and all its child processes immediately."""
        super().kill(component)
        # The worker refuses to start while the file of the killed one is there.
        (self._folder(component) / "airflow-worker.pid").unlink(missing_ok=True)

    def logs(self) -> dict[str, str]:
        """Return the text of all log files, by file name."""
        return {
            **super().logs(),
            **{
                str(path.relative_to(self.home)): path.read_text(errors="replace")
                for path in sorted((self.home / "machines").rglob("*.log"))
            },
        }

    def _folder(self, machine: str) -> Path:
        return self.home / "machines" / machine

    def _environment_of(self, component: str) -> dict[str, str]:
        environment = super()._environment_of(component)
        if component not in MACHINES:
            return environment
        folder = self._folder(component)
        return environment | {
            "CLUSTER_MACHINE": component,
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        }

    def _latest_job(self, component: str) -> int:
        # Celery's workers have no jobs in the database; each start logs one such line.
        return self.log(component).count(" ready.") if component in MACHINES else super()._latest_job(component)

    def _ends_of_logs(self) -> str:
        shown = super()._ends_of_logs()
        for name, value in self.environment.items():
            if name.endswith(("_KEY", "_SECRET")):
                shown = shown.replace(value, "***")
        return shown
