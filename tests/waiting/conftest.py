"""What the tests of waiting share: clients of the sandbox, and deadlines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import SalesBlinkClient
from airflow_provider_salesblink.client.retry import Policy
from airflow_provider_salesblink.waiting import connection_reload
from airflow_provider_salesblink.waiting.connection_reload import ConnectionDetails
from airflow_provider_salesblink.waiting.resources import AllCampaigns
from airflow_provider_salesblink.waiting.shared_client import _clients, join_shared_client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from contextlib import AbstractAsyncContextManager

    from airflow_provider_salesblink.sandbox import Sandbox
    from airflow_provider_salesblink.waiting.shared_client import SharedClient
    from tests.apis import Api
    from tests.polls import Polls

DEADLINE = 10.0


def run(story: Coroutine[Any, Any, Any]) -> Any:
    """Run a story to its end in a loop of its own."""

    async def with_deadline() -> Any:
        return await asyncio.wait_for(story, 3 * DEADLINE)

    return asyncio.run(with_deadline())


async def until(condition: Callable[[], Any], seconds: float = DEADLINE) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        await asyncio.sleep(0.005)


async def for_a_while(seconds: float) -> None:
    """Wait for what must not happen."""
    await asyncio.sleep(seconds)


def waiting(
    shared: SharedClient, condition: Any, resource: Any = None, *, interval: float = 0.05, most: int = 10
) -> asyncio.Task[Any]:
    """Start a wait for a condition."""

    async def wait() -> Any:
        return await shared.poller(resource or AllCampaigns()).wait(condition, interval=interval, most_failures=most)

    return asyncio.create_task(wait())


def poll_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("salesblink-poll")]


def no_clients() -> bool:
    return not _clients.get(asyncio.get_running_loop())


class Connection:
    """A connection to the sandbox, and the clients that were made of it.

    A client sends each request once, as in the triggerer.
    """

    def __init__(self, sandbox: Sandbox, api: Api, polls: Polls, stack: ExitStack) -> None:
        self.sandbox = sandbox
        self._api = api
        self._polls = polls
        self.options: dict[str, Any] = {}
        self.made: list[SalesBlinkClient] = []
        self.reads = 0
        self.broken: Exception | None = None
        self._stack = stack

    def given(self) -> dict[str, Any]:
        # How long to wait after a 429 is the shared client's own business.
        policy = Policy(max_attempts=1, rate_limit_window=0.0)
        given = {
            "api_key": self.sandbox.key, "base_url": self.sandbox.url, "api_version": self._api.version,
            "policy": policy, "timeout": 5, "reads_per_minute": 0, "writes_per_minute": 0,
        }  # fmt: skip
        return {**given, **self.options}

    def make_client(self) -> SalesBlinkClient:
        self.made.append(self._stack.enter_context(SalesBlinkClient(**self.given())))
        return self.made[-1]

    async def read(self) -> ConnectionDetails:
        """Read the connection; the tests change ``options`` and ``broken`` meanwhile."""
        self.reads += 1
        if self.broken is not None:
            raise self.broken
        given = self.given()
        account = _bytes([given["api_key"], given["base_url"]])
        return ConnectionDetails(content=_bytes(given), account=account, make_client=self.make_client)

    def shared_client(self, name: str = "crm") -> AbstractAsyncContextManager[SharedClient]:
        return join_shared_client(name, self.read)

    @property
    def looks(self) -> list[float]:
        """When each poll came to the server."""
        return [each.at for each in self._polls.looks]

    def looks_at(self) -> Counter[str]:
        """How many polls came for each resource."""
        return Counter(request.path for request in self._polls.looks)


def _bytes(value: object) -> bytes:
    return repr(value).encode()


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_reload, "SHORTEST_RELOAD_INTERVAL", 0.05)


@pytest.fixture
def connection(sandbox: Sandbox, api: Api, polls: Polls) -> Iterator[Connection]:
    with ExitStack() as stack:
        yield Connection(sandbox, api, polls, stack)
        # The last request of a poll must not come in the next test.
        for thread in poll_threads():
            thread.join(DEADLINE)
