"""One sandbox for all tests, which is reset before each test, and a client without retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
import requests  # noqa: TID251  # the tests are this server's client

from airflow_provider_salesblink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


class Call(Protocol):
    """Sends one request and returns the response."""

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response: ...


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.reset()
    yield running
    # Otherwise the activity continues during tests that use another sandbox.
    running.life = ""


@pytest.fixture
def campaign(sandbox: Sandbox) -> str:
    return sandbox.add_campaign("Spring")


@pytest.fixture
def call(sandbox: Sandbox) -> Iterator[Call]:
    with requests.Session() as session:
        session.trust_env = False

        def send(method: str, path: str, **options: Any) -> requests.Response:
            headers = {"Authorization": sandbox.key, **options.pop("headers", {})}
            options.setdefault("allow_redirects", False)
            return session.request(method, sandbox.url + path, headers=headers, timeout=10, **options)

        yield send
