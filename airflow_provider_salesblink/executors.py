"""Airflow's executors: whether all workers are on this machine, and so share its files."""

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
    # Such a worker is configured with the LocalExecutor, whichever started it.
    "AIRFLOW_IS_K8S_EXECUTOR_POD": "KubernetesExecutor",
    "AIRFLOW_IS_EXECUTOR_CONTAINER": "an executor that starts containers",
}


def remote_executor(of_task: str | None = None) -> str | None:
    """Return the name of a configured executor whose workers may be on several machines; None if there is none.

    An executor that is not known to be local counts as one that is not. All that are configured count, those of
    teams too: another task may add the same people there.

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


def refusal_of_adds(conn_id: str, of_task: str | None = None) -> str:
    """Return why nobody may be added over a connection without ``pacing_url``; empty where all workers share files.

    :param of_task: the task's own ``executor``.
    """
    executor = remote_executor(of_task)
    if executor is None:
        return ""
    return (
        f"Airflow is configured with {executor}, whose workers may be on several machines, and connection {conn_id!r} "
        "has no pacing_url: two of them could add the same person twice. Nothing was sent. Set the extra pacing_url to "
        "redis://host:6379/1, or to file:///folder/salesblink.sqlite in a folder that all workers see."
    )


def _configured() -> list[tuple[str, str]]:
    """The alias and the name or path of each executor: ``LocalExecutor,quick:path.to.Class;team=CeleryExecutor``."""
    entries = (entry.rpartition("=")[2].strip() for entry in re.split("[;,]", conf.get("core", "executor")))
    parted = (entry.rpartition(":") for entry in entries if entry)
    return [(alias.strip(), name.strip()) for alias, _, name in parted]
