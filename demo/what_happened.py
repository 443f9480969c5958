"""Summarize the last run of a DAG from Airflow's database."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_LAST_RUN = "SELECT run_id FROM dag_run WHERE dag_id = ? ORDER BY start_date DESC LIMIT 1"
_TASKS = "SELECT task_id, state FROM task_instance WHERE dag_id = ? AND run_id = ? ORDER BY start_date, task_id"
_RESULTS = "SELECT task_id, value FROM xcom WHERE dag_id = ? AND run_id = ? AND key = 'return_value'"


@dataclass(frozen=True)
class TaskSummary:
    """A task of a DAG run. A mapped task is summed over its instances.

    :param states: number of instances per state.
    :param outcomes: number of instances per outcome.
    """

    task_id: str
    states: Counter[str]
    outcomes: Counter[str]


def last_run(database: Path, dag_id: str) -> list[TaskSummary]:
    """Return the tasks of the last run of ``dag_id``, in the order they started."""
    with closing(sqlite3.connect(database)) as connection:
        (run_id,) = connection.execute(_LAST_RUN, (dag_id,)).fetchone()
        tasks: dict[str, TaskSummary] = {}
        for task_id, state in connection.execute(_TASKS, (dag_id, run_id)):
            summary = tasks.setdefault(task_id, TaskSummary(task_id, Counter(), Counter()))
            summary.states[state or "not run"] += 1
        for task_id, value in connection.execute(_RESULTS, (dag_id, run_id)):
            match _decoded(value):
                case {"outcome": str() as outcome}:
                    tasks[task_id].outcomes[outcome] += 1
    return list(tasks.values())


def _decoded(value: Any) -> Any:  # noqa: ANN401
    """Decode an XCom value. Airflow 3 stores JSON text in a JSON column, so it is encoded twice."""
    decoded = json.loads(value)
    return json.loads(decoded) if isinstance(decoded, str) and decoded[:1] in '{["' else decoded
