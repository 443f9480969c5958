"""What the tests of the sync of suppression lists share."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_provider_salesblink.operators.blocklist import SyncSuppressionsOperator

NOTHING = {"sent": 0, "there": 0, "appended": 0, "hashes": 0, "repeats": 0, "rejected": 0, "unreadable": 0}
DIRECTIONS = ("to_salesblink", "from_salesblink", "both")


def sha256(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def sync(path: Any = None, direction: Any = "both", **more: Any) -> dict[str, Any]:
    given = {} if path is None else {"path": path}
    result: dict[str, Any] = SyncSuppressionsOperator(task_id="t", direction=direction, **given, **more).execute({})
    return result


def counts(result: dict[str, Any]) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {name: count for name, count in result.items() if isinstance(count, int) and count}
