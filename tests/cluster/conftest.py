"""The cluster needs Airflow's Celery provider, which only its own environment has: ``make cluster``."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("celery") else ["test_*.py"]
