"""The check that all workers share this machine's files, which reservations need unless there is a ``pacing_url``."""

from __future__ import annotations

import os
import re

from airflow.providers.common.compat.sdk import conf

_LOCAL = frozenset({
    *("LocalExecutor", "airflow.executors.local_executor.LocalExecutor"),
    # Airflow 2 only.
    *("SequentialExecutor", "airflow.executors.sequential_executor.SequentialExecutor"),
    *("DebugExecutor", "airflow.executors.debug_executor.DebugExecutor"),
})  # fmt: skip

_IN_CONTAINERS = {
    # The worker in the container is configured with the LocalExecutor, whatever executor started it.
    "AIRFLOW_IS_K8S_EXECUTOR_POD": "KubernetesExecutor",
    "AIRFLOW_IS_EXECUTOR_CONTAINER": "an executor that starts containers",
}


def remote_executor(of_task: str | None = None) -> str | None:
    """Return the name of a configured executor whose workers may be on several machines; None if all are local.

    An executor that is not on the list of local ones counts as remote. All configured executors count, also those of
    teams: another task may add the same people there.

    :param of_task: the task's own ``executor``.
    """
    for variable, name in _IN_CONTAINERS.items():
        if os.environ.get(variable):
            return name
    configured = _configured()
    remote = [name for alias, name in configured if name not in _LOCAL]
    if not remote and of_task and of_task not in _LOCAL | {alias for alias, _ in configured}:
        remote = [of_task]
    return remote[0] if remote else None


def why_adds_are_refused(conn_id: str, of_task: str | None = None) -> str:
    """Return why a connection without ``pacing_url`` must not add people; empty if all workers share files.

    :param of_task: the task's own ``executor``.
    """
    executor = remote_executor(of_task)
    if executor is None:
        return ""
    return (
        f"Airflow is configured with {executor}, whose workers may be on several machines, and connection {conn_id!r} "
        "has no pacing_url: two workers could add the same person twice. Nothing was sent. Set the extra pacing_url to "
        "redis://host:6379/1, or to file:///folder/salesblink.sqlite in a folder that all workers share."
    )


def _configured() -> list[tuple[str, str]]:
    """Return alias and name or path of each executor in ``LocalExecutor,quick:path.to.Class;team=CeleryExecutor``."""
    entries = (entry.rpartition("=")[2].strip() for entry in re.split("[;,]", conf.get("core", "executor")))
    parted = (entry.rpartition(":") for entry in entries if entry)
    return [(alias.strip(), name.strip()) for alias, _, name in parted]
