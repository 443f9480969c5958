"""What a task remembers from one try, or one part of it, to the next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any


class TaskMemory:
    """Airflow's state of a task, which its retries see too, as the memory of a load."""

    KEY = "unfinished_load"

    def __init__(self, store: Any) -> None:  # noqa: ANN401
        self._store = store

    def take(self) -> dict[str, Any] | None:
        """What the run before left, which is gone from there now; None if nothing."""
        left: dict[str, Any] | None = self._store.get(self.KEY)
        if left is not None:
            self._store.delete(self.KEY)
        return left

    def keep(self, left: dict[str, Any]) -> None:
        """Keep it for the next run."""
        self._store.set(self.KEY, left, retention=timedelta(hours=1))
