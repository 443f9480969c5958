"""Share one client between all waits over a connection in an event loop.

The client's own retries are off here: the next poll repeats a failed request anyway, and a thread must not sleep.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_salesblink.client.errors import BudgetSpentError, RateLimitedError, SalesBlinkError
from airflow_provider_salesblink.client.rate_limit import waiting_for_later_pages
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.metrics import count_wait
from airflow_provider_salesblink.waiting.connection_reload import ReloadingClient
from airflow_provider_salesblink.waiting.poller import Poller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.waiting.connection_reload import ConnectionDetails
    from airflow_provider_salesblink.waiting.poller import Decisions
    from airflow_provider_salesblink.waiting.resources import Resource

log = logging.getLogger(__name__)

USUAL_WAIT = 60.0
"""Seconds to wait after a 429 without ``Retry-After``: SalesBlink's limits are per minute."""

MOST_CONCURRENT_REQUESTS = 32
"""Maximum number of concurrent polls, which send one request at a time. Each occupies a thread until it is over."""


class SharedClient:
    """The client of a connection, and the pollers that use it.

    When the connection changes, all pollers continue with the new client.

    :param name: the connection, for the log.
    :param read: reads the connection.
    """

    def __init__(self, name: str, read: Callable[[], Awaitable[ConnectionDetails]]) -> None:
        self.users = 0
        self._name = name
        # One more thread, so that a new client never has to wait for polls that wait for the rate limit.
        self._threads = ThreadPoolExecutor(MOST_CONCURRENT_REQUESTS + 1, thread_name_prefix="salesblink-poll")
        self._current = ReloadingClient(name, read, self._threads, self._changed)
        self._blocked_until = 0.0
        self._unblocked = asyncio.Event()
        self._room = asyncio.Semaphore(MOST_CONCURRENT_REQUESTS)
        self._turn = asyncio.Lock()
        self._in_queue = 0
        self._spent_budget_is_logged = False
        self._pollers: dict[Resource, Poller] = {}

    async def join(self) -> None:
        """Make sure that the client comes from a read of the connection that is later than this call.

        :raises UnusableConnectionError: no client can be made from the connection.
        """
        await self._current.refresh()

    def close(self) -> None:
        """Close the client. Requests in flight end by themselves."""
        self._current.close()
        self._threads.shutdown(wait=False)

    def poller(self, resource: Resource) -> Poller:
        """Return the only poller of a resource."""
        if resource not in self._pollers:
            name = redacted(f"{self._name}: {resource}")
            ended = partial(self._pollers.pop, resource, None)
            self._pollers[resource] = Poller(partial(self._look, resource), name, ended)
        return self._pollers[resource]

    async def _look(self, resource: Resource, conditions: Callable[[], tuple[Any, ...]]) -> Decisions:
        """Return what one poll decides. It covers the conditions that exist when it begins.

        :raises SalesBlinkError: a request failed.
        """
        # Queue here rather than in the executor, which would send requests in spite of a 429.
        async with self._room:
            await self._wait_out_rate_limit()
            if not self._in_queue:
                try:
                    return await self._look_with_current_client(resource, conditions)
                except BudgetSpentError as spent:
                    self._log_spent_budget(spent)
            return await self._look_in_turn(resource, conditions)

    async def _look_in_turn(self, resource: Resource, conditions: Callable[[], tuple[Any, ...]]) -> Decisions:
        # Queue when the rate limit is reached, or the same pollers might win each time. The count is needed next to the
        # lock: the lock is free for a moment between two holders, and the last holder would take it again.
        self._in_queue += 1
        try:
            async with self._turn:
                while True:
                    await self._wait_out_rate_limit()
                    try:
                        return await self._look_with_current_client(resource, conditions)
                    except BudgetSpentError as spent:
                        wait = (spent.retry_after or 1.0) + random.uniform(0, 0.1)
                        count_wait(self._current.client.observer, "polls", wait)
                        await asyncio.sleep(wait)
        finally:
            self._in_queue -= 1

    async def _look_with_current_client(
        self, resource: Resource, conditions: Callable[[], tuple[Any, ...]]
    ) -> Decisions:
        loop = asyncio.get_running_loop()
        while True:
            client, account = self._current.client, self._current.account
            nobody_waits = threading.Event()
            try:
                return await loop.run_in_executor(self._threads, _look, resource, client, conditions(), nobody_waits)
            except BudgetSpentError:
                raise
            except SalesBlinkError as error:
                if error.permanent:
                    await self._reload_connection()
                if self._current.account == account:
                    self._note_rate_limit(error)
                if self._current.client is client:
                    raise
                # The request used the connection's previous content: repeat it with the new client.
                await self._wait_out_rate_limit()
            finally:
                nobody_waits.set()

    async def _reload_connection(self) -> None:
        """Read the connection again before a wait ends: somebody may have corrected it already."""
        with suppress(Exception):
            await self._current.refresh()

    def _note_rate_limit(self, error: SalesBlinkError) -> None:
        if isinstance(error, RateLimitedError):
            # SalesBlink limits the key, not the resource.
            wait = USUAL_WAIT if error.retry_after is None else error.retry_after
            self._blocked_until = max(self._blocked_until, asyncio.get_running_loop().time() + wait)

    def _changed(self, other_account: bool) -> None:
        """Let all pollers continue with the new client."""
        self._spent_budget_is_logged = False
        if other_account:
            self._blocked_until = 0.0
            self._unblocked.set()
            self._unblocked = asyncio.Event()
        for poller in self._pollers.values():
            poller.restart()
        log.info(
            "Connection %r has changed. Polls (%d lists) continue with its new content.",
            self._name, len(self._pollers),
        )  # fmt: skip

    async def _wait_out_rate_limit(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            rest = self._blocked_until - loop.time()
            if rest <= 0:
                return
            # With jitter, so that not all requests come at the same moment.
            wait = rest + random.uniform(0, 1)
            count_wait(self._current.client.observer, "polls", wait)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._unblocked.wait()

    def _log_spent_budget(self, spent: BudgetSpentError) -> None:
        if not self._spent_budget_is_logged:
            self._spent_budget_is_logged = True
            log.warning(
                "%s: polling %d lists needs more reads than the rate limit allows, so each list is polled less often. "
                "Raise poke_interval (poll_interval of watchers), or the connection's reads_per_minute. (%s)",
                self._name, len(self._pollers), spent,
            )  # fmt: skip


def _look(
    resource: Resource, client: SalesBlinkClient, conditions: tuple[Any, ...], nobody_waits: threading.Event
) -> Decisions:
    with waiting_for_later_pages(nobody_waits):
        return list(resource.look(client, conditions))


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedClient]] = WeakKeyDictionary()


@asynccontextmanager
async def join_shared_client(
    name: str, read: Callable[[], Awaitable[ConnectionDetails]]
) -> AsyncIterator[SharedClient]:
    """Yield the client that all users of ``name`` in this event loop share. The last user closes it.

    :param read: reads the connection of that name.
    :raises UnusableConnectionError: no client can be made from it.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    shared = clients.setdefault(name, SharedClient(name, read))
    shared.users += 1
    try:
        await shared.join()
        yield shared
    finally:
        shared.users -= 1
        if not shared.users:
            # After it was closed, another user may have made a new one.
            if clients.get(name) is shared:
                del clients[name]
            shared.close()
