"""What the tests of loading share: clients that keep their reservations to one test, and a load in one line."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.loading import Guards, OptOutRules, Report, RunOptions, load
from airflow_provider_salesblink.loading.rows import ColumnNames, Source, from_mappings
from tests.conftest import HASTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest


@pytest.fixture
def pacing_url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/shared.sqlite"


@pytest.fixture
def new_client(api: Api, sandbox: Sandbox, pacing_url: str) -> Iterator[Callable[..., SalesBlinkClient]]:
    """Makes clients that do not wait between retries and, unless the options say otherwise, have no rate limit."""
    with ExitStack() as stack:

        def make(**options: Any) -> SalesBlinkClient:
            hurried = {
                "api_key": sandbox.key,
                "base_url": sandbox.url,
                "api_version": api.version,
                "policy": HASTE,
                "timeout": 5,
            }
            unpaced = {"reads_per_minute": 0, "writes_per_minute": 0, "pacing_url": pacing_url}
            client = stack.enter_context(SalesBlinkClient(**{**hurried, **unpaced, **options}))
            if api.batch_size:
                client.prospects.batch_size = api.batch_size
            return client

        yield make


@pytest.fixture
def one_a_call(api: Api) -> None:
    """Lets a load on v1 send one person a call, as on the classic API, for tests whose faults hit single people."""
    api.batch_size = 1


OPT_OUT_RULES = {
    "opt_out_columns": "columns",
    "suppression_path": "suppression_path",
    "opt_outs": "in_campaign",
    "opt_out_scope": "scope",
}
GUARDS = {field.name: field.name for field in fields(Guards)}
RUN = {field.name: field.name for field in fields(RunOptions)}


def grouped(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a load in their groups; the others stay as they are."""

    def take(names: dict[str, str]) -> dict[str, Any]:
        return {inner: options.pop(name) for name, inner in names.items() if name in options}

    opt_outs, guards, run = OptOutRules(**take(OPT_OUT_RULES)), Guards(**take(GUARDS)), RunOptions(**take(RUN))
    return {**options, "opt_outs": opt_outs, "guards": guards, "run": run}


@pytest.fixture
def load_rows(new_client: Callable[..., SalesBlinkClient], campaign: CampaignUnderTest) -> Callable[..., Report]:
    """Loads mappings, or what the functions of ``rows`` return, into the campaign.

    Takes the options of a load as an operator does, by their own names.
    """

    def run(rows: Any, *, client: SalesBlinkClient | None = None, campaign_id: str = "", **options: Any) -> Report:
        source: Source = from_mappings(rows, ColumnNames()) if isinstance(rows, list) else rows
        return load(client or new_client(), campaign_id or campaign.id, source, **grouped(options))

    return run
