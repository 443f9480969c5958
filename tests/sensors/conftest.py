"""What the sensors' tests share: ways of waiting, and a SalesBlink that changes meanwhile."""

from __future__ import annotations

import sys
import threading
import time
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.polls import Polls

WAYS = {"poke": {"mode": "poke"}, "reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}


@pytest.fixture(autouse=True)
def _one_attempt(connection: Callable[..., None]) -> None:
    # A request is sent once, also where the client would try again by itself.
    connection(extra={"max_attempts": 1})


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The arguments for each way of waiting, one after the other."""
    return {"poke_interval": 0.02, **WAYS[request.param]}


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_salesblink.waiting.poller.LONGEST_BACKOFF", 0.02)
    monkeypatch.setattr("airflow_provider_salesblink.waiting.connection_reload.SHORTEST_RELOAD_INTERVAL", 0.02)


@pytest.fixture
def reasons() -> list[str]:
    """What the tasks of ``dag`` said each time they failed."""
    return []


@pytest.fixture
def dag(reasons: list[str]) -> Any:
    """An empty DAG to put tasks into; they have retries."""
    from airflow.providers.common.compat.sdk import DAG

    def note(context: Any) -> None:
        reasons.append(str(context["exception"]))

    usual = {"retries": 2, "retry_delay": timedelta(0), "on_failure_callback": note, "on_retry_callback": note}
    return DAG("under_test", schedule=None, start_date=datetime(2026, 1, 1), default_args=usual)  # noqa: DTZ001


@pytest.fixture
def ran(dag: Any, run_dag: Callable[..., Any]) -> Callable[[], tuple[str, int, Any]]:
    """Runs the DAG; gives the state, the tries and the XCom of its one task."""

    def run() -> tuple[str, int, Any]:
        (task,) = run_dag(dag).get_task_instances()
        return task.state, task.try_number, task.xcom_pull(task_ids=task.task_id)

    return run


@pytest.fixture
def meanwhile(polls: Polls) -> Iterator[Callable[..., None]]:
    """Does something once so many looks (2) were taken, while the test waits for its task."""
    stopped = threading.Event()
    threads: list[threading.Thread] = []

    def meanwhile(change: Callable[[], object], after_looks: int = 2) -> None:
        def wait_and_change() -> None:
            while len(polls.looks) < after_looks:
                if stopped.wait(0.002):
                    return
            change()

        threads.append(threading.Thread(target=wait_and_change))
        threads[-1].start()

    yield meanwhile
    stopped.set()
    for thread in threads:
        thread.join()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a sensor in poke mode slept, each time; for the sensor that time passes at once."""
    from airflow.providers.common.compat.sdk import BaseSensorOperator

    waits: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(waits), sleep=waits.append)
    for module in (BaseSensorOperator.__module__, "airflow_provider_salesblink.sensors.base"):
        monkeypatch.setattr(sys.modules[module], "time", clock)
    return waits
