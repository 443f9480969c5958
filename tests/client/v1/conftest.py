"""Fixtures of the tests of the API v1: its resources, on a server that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client.rate_limit import NoLimit
from airflow_provider_salesblink.client.requestor import Requestor
from airflow_provider_salesblink.client.v1 import PREFIX, Api
from tests.client.conftest import new_clients
from tests.client.raw_server import RawServer, Script, answer
from tests.conftest import HASTE

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient, Serve

KEY = "key-0123456789abcdef"


class Resources(Api):
    """The API v1's own resources on one server."""

    def __init__(self, url: str, key: str = KEY, *, dry_run: bool = False) -> None:
        self.requestor = Requestor(url, PREFIX, key, policy=HASTE, rate_limiter=NoLimit(), timeout=5, dry_run=dry_run)
        super().__init__(self.requestor)


class ScriptedResources(Resources):
    """The same on a server of raw bytes."""

    def __init__(self, server: RawServer, **options: Any) -> None:
        super().__init__(server.url, **options)
        self.server = server


NewResources = Callable[..., ScriptedResources]


@pytest.fixture
def resources(serve: Serve) -> Iterator[NewResources]:
    """Makes resources whose server answers as a script says, or with the given JSON contents, one after the other."""
    with ExitStack() as stack:

        def make(*contents: Any, script: Script | None = None, **options: Any) -> ScriptedResources:
            left = [answer(content) for content in contents]
            made = ScriptedResources(serve(script or (lambda _: [left.pop(0)])), **options)
            stack.callback(made.requestor.close)
            return made

        yield make


@pytest.fixture
def on_sandbox(sandbox: Sandbox) -> Iterator[Resources]:
    """The resources on the sandbox."""
    made = Resources(sandbox.url, sandbox.key)
    yield made
    made.requestor.close()


@pytest.fixture
def new_client(sandbox: Sandbox) -> Iterator[NewClient]:
    """Makes clients of the API v1."""
    with new_clients(sandbox, "v1") as make:
        yield make


def ok(data: Any = None) -> dict[str, Any]:
    """Return the envelope of an answer."""
    return {"success": True, "data": data}
