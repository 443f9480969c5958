"""Fixtures of the client's tests: a scene, clients with other options, and servers of raw bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkClient, classic
from airflow_provider_salesblink.client.rate_limit import NoLimit
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import Policy
from tests.client.documented_calls import ANA, Scene
from tests.client.raw_server import RawServer, Script
from tests.conftest import HASTE, CampaignUnderTest

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox

NewClient = Callable[..., SalesBlinkClient]
Serve = Callable[..., RawServer]


@pytest.fixture
def scene(sandbox: Sandbox, campaign: CampaignUnderTest) -> Scene:
    return Scene(campaign.id, sandbox.add_person(campaign.id, {"Email": ANA, "First Name": "Ana"}))


@pytest.fixture
def new_client(sandbox: Sandbox) -> Iterator[NewClient]:
    """Makes clients that retry quickly and, by default, use the sandbox without a rate limit."""
    with ExitStack() as stack:

        def make(**options: Any) -> SalesBlinkClient:
            defaults = {"api_key": sandbox.key, "base_url": sandbox.url, "policy": HASTE, "timeout": 5}
            unlimited = {"reads_per_minute": 0, "writes_per_minute": 0}
            return stack.enter_context(SalesBlinkClient(**{**defaults, **unlimited, **options}))

        yield make


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers of raw bytes."""
    with ExitStack() as stack:

        def start(script: Script, **options: Any) -> RawServer:
            return stack.enter_context(RawServer(script, **options))

        yield start


class WaitlessClient:
    """The classic API over a requestor that records its waits and does not wait."""

    def __init__(self, sandbox: Sandbox, policy: Policy) -> None:
        self.waits: list[float] = []
        requestor = Requestor(
            sandbox.url, classic.PREFIX, sandbox.key,
            policy=policy, rate_limiter=NoLimit(), timeout=5, sleep=self.waits.append,
        )  # fmt: skip
        self.campaigns = classic.Campaigns(requestor)
        self.prospects = classic.Prospects(requestor)
        self.close = requestor.close


@pytest.fixture
def waitless(sandbox: Sandbox) -> Iterator[WaitlessClient]:
    """Makes the decisions of the real policy."""
    client = WaitlessClient(sandbox, Policy())
    yield client
    client.close()
