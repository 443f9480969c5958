"""What the tests of loading share: clients that keep their reservations to one test, and a load in one line."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.loading import Report, load
from airflow_provider_salesblink.loading.rows import ColumnNames, Source, from_mappings
from tests.conftest import HASTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest


@pytest.fixture
def pacing_url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/shared.sqlite"


@pytest.fixture
def new_client(sandbox: Sandbox, pacing_url: str) -> Iterator[Callable[..., SalesBlinkClient]]:
    """Makes clients that are in a hurry and, unless told otherwise, have no budget."""
    with ExitStack() as stack:

        def make(**options: Any) -> SalesBlinkClient:
            hurried = {"api_key": sandbox.key, "base_url": sandbox.url, "policy": HASTE, "timeout": 5}
            unpaced = {"reads_per_minute": 0, "writes_per_minute": 0, "pacing_url": pacing_url}
            return stack.enter_context(SalesBlinkClient(**{**hurried, **unpaced, **options}))

        yield make


@pytest.fixture
def load_rows(new_client: Callable[..., SalesBlinkClient], campaign: CampaignUnderTest) -> Callable[..., Report]:
    """Loads mappings, or what the functions of ``rows`` give, into the campaign."""

    def run(rows: Any, *, client: SalesBlinkClient | None = None, campaign_id: str = "", **options: Any) -> Report:
        source: Source = from_mappings(rows, ColumnNames()) if isinstance(rows, list) else rows
        return load(client or new_client(), campaign_id or campaign.id, source, **options)

    return run
