"""Fixtures of the operators' tests: a connection, the writes that arrived, and the tasks' log."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink import operators
from airflow_provider_salesblink.operators.base import SalesBlinkOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api, Write


@pytest.fixture(autouse=True)
def _connected(connection: Callable[..., None]) -> None:
    connection()


@pytest.fixture
def writes(api: Api) -> Callable[[], list[Write]]:
    """Return the writes that reached SalesBlink so far."""
    return api.writes


@pytest.fixture
def changes(sandbox: Sandbox) -> Callable[[], list[tuple[str, str, Any]]]:
    """Return the requests other than reads that reached API v1 so far: method, path below the API's root, and body."""
    return lambda: [
        (request.method, request.path.removeprefix("/api/public/v1.0.0"), request.body)
        for request in sandbox.requests
        if request.method != "GET"
    ]


@pytest.fixture
def task_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what operators logged, wherever this version of Airflow sends it."""
    caplog.set_level(logging.INFO, "tests.task")
    monkeypatch.setattr(SalesBlinkOperator, "log", logging.getLogger("tests.task"))
    ours = Path(operators.__file__).parent
    return lambda: [each.getMessage() for each in caplog.records if Path(each.pathname).parent == ours]


@pytest.fixture
def dag() -> Any:
    """Return an empty DAG to put tasks into."""
    from airflow.providers.common.compat.sdk import DAG

    return DAG("under_test", schedule=None, start_date=datetime(2026, 1, 1))  # noqa: DTZ001
