"""The name of the machine that a process of the cluster runs on, for Airflow's ``hostname_callable``."""

from __future__ import annotations

import os


def name() -> str:
    return os.environ.get("CLUSTER_MACHINE", "main")
