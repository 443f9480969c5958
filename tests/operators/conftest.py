"""What the operators' tests share: people in campaigns, and what was written."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_salesblink.sandbox import Sandbox


@pytest.fixture(autouse=True)
def _connected(connection: Callable[..., None]) -> None:
    connection()


@pytest.fixture
def writes(sandbox: Sandbox) -> Callable[[], list[tuple[str, Any]]]:
    """The writes that reached SalesBlink so far: last part of the path, and body."""
    return lambda: [
        (request.path.rsplit("/", 1)[-1], request.body) for request in sandbox.requests if request.method == "POST"
    ]


@pytest.fixture
def dag() -> Any:
    """An empty DAG to put tasks into."""
    from airflow.providers.common.compat.sdk import DAG

    return DAG("under_test", schedule=None, start_date=datetime(2026, 1, 1))  # noqa: DTZ001
