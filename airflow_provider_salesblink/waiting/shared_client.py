"""One client for all who wait over a connection in an event loop: when its client may be used.

The client's own retries are off here: what failed is looked at again anyway, and a thread must not sleep.
"""

from __future__ import annotations

import asyncio
import logging
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_salesblink.client.errors import BudgetSpentError, RateLimitedError, SalesBlinkError
from airflow_provider_salesblink.client.redaction import redacted
from airflow_provider_salesblink.waiting.connection_reload import CurrentClient
from airflow_provider_salesblink.waiting.poller import Poller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.waiting.connection_reload import Access
    from airflow_provider_salesblink.waiting.poller import Settled
    from airflow_provider_salesblink.waiting.resources import Resource

log = logging.getLogger(__name__)

USUAL_WAIT = 60.0
"""Seconds to leave SalesBlink alone after a 429 that does not say how long: its limits are per minute."""

AT_ONCE = 32
"""Requests at once; each takes a thread while SalesBlink thinks."""


class SharedClient:
    """The client of a connection, and the pollers that use it.

    When the connection changes, all pollers go on with its new client; nobody joins again.

    :param name: the connection, for the log.
    :param read: reads the connection.
    """

    def __init__(self, name: str, read: Callable[[], Awaitable[Access]]) -> None:
        self.users = 0
        self._name = name
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="salesblink-poll")
        self._current = CurrentClient(name, read, self._threads, self._changed)
        self._quiet_until = 0.0
        self._quiet_is_over = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._turn = asyncio.Lock()
        self._in_queue = 0
        self._told_of_budget = False
        self._pollers: dict[Resource, Poller] = {}

    async def join(self) -> None:
        """Take part; the client is from now on that of a connection read later than this call.

        :raises UnusableConnectionError: there is no client to be made from it.
        """
        await self._current.refresh()

    def close(self) -> None:
        """Let go of the client. What is on its way ends by itself."""
        self._current.close()
        self._threads.shutdown(wait=False)

    def poller(self, resource: Resource) -> Poller:
        """The one poller of a resource."""
        if resource not in self._pollers:
            name = redacted(f"{self._name}: {resource}")
            ended = partial(self._pollers.pop, resource, None)
            self._pollers[resource] = Poller(partial(self._look, resource), name, ended)
        return self._pollers[resource]

    async def _look(self, resource: Resource, conditions: Callable[[], tuple[Any, ...]]) -> Settled:
        """What one request shows for those who wait when it is sent.

        :raises SalesBlinkError: nothing could be seen.
        """
        # Those without a thread queue here: from the threads' own queue they would be sent whatever a 429 has asked.
        async with self._room:
            await self._quiet()
            if not self._in_queue:
                try:
                    return await self._asked(resource, conditions)
                except BudgetSpentError as spent:
                    self._tell_of_budget(spent)
            return await self._in_turn(resource, conditions)

    async def _in_turn(self, resource: Resource, conditions: Callable[[], tuple[Any, ...]]) -> Settled:
        # Who finds the budget used up queues; else the same ones might get it each time. Counted beside the lock, which
        # is free for a moment between one and the next, and who had it last would take it again.
        self._in_queue += 1
        try:
            async with self._turn:
                while True:
                    await self._quiet()
                    try:
                        return await self._asked(resource, conditions)
                    except BudgetSpentError as spent:
                        await asyncio.sleep((spent.retry_after or 1.0) + random.uniform(0, 0.1))
        finally:
            self._in_queue -= 1

    async def _asked(self, resource: Resource, conditions: Callable[[], tuple[Any, ...]]) -> Settled:
        loop = asyncio.get_running_loop()
        while True:
            client, account = self._current.client, self._current.account
            try:
                return await loop.run_in_executor(self._threads, _look, resource, client, conditions())
            except BudgetSpentError:
                raise
            except SalesBlinkError as error:
                if error.permanent:
                    await self._read_again()
                if self._current.account == account:
                    self._note(error)
                if self._current.client is client:
                    raise
                # It failed with what the connection held before: that is nothing to those who wait.
                await self._quiet()

    async def _read_again(self) -> None:
        """See whether a person has mended the connection already, before a wait ends."""
        with suppress(Exception):
            await self._current.refresh()

    def _note(self, error: SalesBlinkError) -> None:
        if isinstance(error, RateLimitedError):
            # It is the key that is limited, not the resource.
            wait = USUAL_WAIT if error.retry_after is None else error.retry_after
            self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + wait)

    def _changed(self, other_account: bool) -> None:
        """Go on with the new client."""
        self._told_of_budget = False
        if other_account:
            self._quiet_until = 0.0
            self._quiet_is_over.set()
            self._quiet_is_over = asyncio.Event()
        for poller in self._pollers.values():
            poller.restart()
        log.info(
            "Connection %r has changed: what is waited for (%d lists) is looked at with what it holds now.",
            self._name, len(self._pollers),
        )  # fmt: skip

    async def _quiet(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            rest = self._quiet_until - loop.time()
            if rest <= 0:
                return
            # Not all at the same moment.
            with suppress(TimeoutError):
                async with asyncio.timeout(rest + random.uniform(0, 1)):
                    await self._quiet_is_over.wait()

    def _tell_of_budget(self, spent: BudgetSpentError) -> None:
        if not self._told_of_budget:
            self._told_of_budget = True
            log.warning(
                "%s: what is waited for (%d lists) needs more reads than the budget has; each is looked at less often. "
                "Raise poll_interval, or reads_per_minute of the connection. (%s)",
                self._name, len(self._pollers), spent,
            )  # fmt: skip


def _look(resource: Resource, client: SalesBlinkClient, conditions: tuple[Any, ...]) -> Settled:
    return list(resource.look(client, conditions))


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedClient]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client_of(name: str, read: Callable[[], Awaitable[Access]]) -> AsyncIterator[SharedClient]:
    """The client of this event loop that all with the same ``name`` share; it is closed behind the last of them.

    :param read: reads the connection of that name.
    :raises UnusableConnectionError: there is no client to be made from it.
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
            # Somebody may have come after it was closed, and made another.
            if clients.get(name) is shared:
                del clients[name]
            shared.close()
