"""Fixtures of the client's tests: a scene, clients of each API with other options, and servers of raw bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkClient, classic, v1
from airflow_provider_salesblink.client.rate_limit import NoLimit
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.sandbox import V1Rules
from tests.client.documented_calls import ANA, Scene
from tests.client.raw_server import RawServer, Script
from tests.conftest import HASTE

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox

NewClient = Callable[..., SalesBlinkClient]
Serve = Callable[..., RawServer]


AT_ONCE = V1Rules(import_delay=0, dedupe_delay=0)
"""Imports take no time. The tests in v1/test_adds.py are about those that do."""


@pytest.fixture
def api_version(request: pytest.FixtureRequest) -> str:
    """Return the API under test: that of the parameter ``call``, or the classic one."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    return getattr(parameters.get("call"), "api", "classic")


@pytest.fixture
def sandbox(sandbox: Sandbox) -> Sandbox:
    sandbox.v1 = AT_ONCE
    return sandbox


@pytest.fixture
def scene(sandbox: Sandbox, request: pytest.FixtureRequest, api_version: str) -> Scene:
    if api_version == "classic":
        campaign = request.getfixturevalue("campaign").id
        return Scene(campaign, sandbox.add_person(campaign, {"Email": ANA, "First Name": "Ana"}))
    lists = [sandbox.add_list(name, id=name) for name in ("l1", "l2")]
    campaign = sandbox.add_campaign("Summer", id="s1", lists=lists[:1])
    sandbox.add_campaign("Autumn", id="paused", paused=True, lists=lists[1:])
    return Scene(campaign, sandbox.add_lead("l1", {"Email": ANA, "First Name": "Ana"}, id="p1"))


@contextmanager
def new_clients(sandbox: Sandbox, api_version: str) -> Iterator[NewClient]:
    """Make clients that retry quickly and, by default, use the sandbox without a rate limit."""
    with ExitStack() as stack:

        def make(**options: Any) -> SalesBlinkClient:
            defaults = {"api_key": sandbox.key, "base_url": sandbox.url, "api_version": api_version, "timeout": 5}
            quick = {"policy": replace(HASTE, import_time=0.0)}
            unlimited = {"reads_per_minute": 0, "writes_per_minute": 0, "deletes_per_minute": 0}
            return stack.enter_context(SalesBlinkClient(**{**defaults, **quick, **unlimited, **options}))

        yield make


@pytest.fixture
def new_client(sandbox: Sandbox, api_version: str) -> Iterator[NewClient]:
    """Makes clients of the API under test."""
    with new_clients(sandbox, api_version) as make:
        yield make


@pytest.fixture
def client(new_client: NewClient) -> SalesBlinkClient:
    return new_client()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers of raw bytes."""
    with ExitStack() as stack:

        def start(script: Script, **options: Any) -> RawServer:
            return stack.enter_context(RawServer(script, **options))

        yield start


class WaitlessClient:
    """An API over a requestor that records its waits and does not wait."""

    def __init__(self, sandbox: Sandbox, policy: Policy, api_version: str) -> None:
        self.waits: list[float] = []
        package = {"classic": classic, "v1": v1}[api_version]
        requestor = Requestor(
            sandbox.url, package.PREFIX, sandbox.key,
            policy=policy, rate_limiter=NoLimit(), timeout=5, sleep=self.waits.append,
        )  # fmt: skip
        calls: classic.Api | v1.Api = package.Api(requestor)
        self.campaigns = calls.campaigns
        self.prospects = calls.prospects
        self.close = requestor.close


@pytest.fixture
def waitless(sandbox: Sandbox, api_version: str) -> Iterator[WaitlessClient]:
    """Makes the decisions of the real policy."""
    client = WaitlessClient(sandbox, Policy(), api_version)
    yield client
    client.close()
