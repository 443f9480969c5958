"""One line to SalesBlink for all who wait over a connection in an event loop: the client, and when it may be used.

The client's own retries are off here: what failed is looked at again anyway, and a thread must not sleep.
"""

from __future__ import annotations

import asyncio
import logging
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_salesblink.client.addresses import redacted
from airflow_provider_salesblink.client.errors import AuthenticationError, BudgetSpentError, RateLimitedError
from airflow_provider_salesblink.waiting.poller import Poller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.waiting.poller import Settled
    from airflow_provider_salesblink.waiting.resources import Resource

log = logging.getLogger(__name__)

USUAL_WAIT = 60.0
"""Seconds to leave SalesBlink alone after a 429 that does not say how long: its limits are per minute."""

AT_ONCE = 32
"""Requests at once; each takes a thread while SalesBlink thinks."""


class Line:
    """The client of a connection, and the pollers that use it.

    :param name: the connection, for the log.
    :param make_client: makes a client that sends each request once.
    """

    def __init__(self, name: str, make_client: Callable[[], Awaitable[SalesBlinkClient]]) -> None:
        self.users = 0
        self._name = name
        self._make_client = make_client
        self._opening = asyncio.Lock()
        self._client: SalesBlinkClient | None = None
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="salesblink-poll")
        self._open_things = ExitStack()
        self._quiet_until = 0.0
        self._room = asyncio.Semaphore(AT_ONCE)
        self._turn = asyncio.Lock()
        self._in_queue = 0
        self._told_of_budget = False
        self._pollers: dict[Resource, Poller] = {}

    async def client(self) -> SalesBlinkClient:
        """The client; made when it is asked for first.

        Raises what making it does.
        """
        async with self._opening:
            if self._client is None:
                self._client = await self._make_client()
                # Threads do not wait for the budget: a triggerer that is stopped would wait for them.
                self._open_things.enter_context(self._client.waiting_at_most(0))
            return self._client

    def close(self) -> None:
        """Let go of the client. What is on its way ends by itself."""
        if self._client is not None:
            self._threads.submit(self._client.close)
        self._threads.shutdown(wait=False)

    def poller(self, resource: Resource) -> Poller:
        """The one poller of a resource."""
        if resource not in self._pollers:
            name = redacted(f"{self._name}: {resource}")
            ended = partial(self._pollers.pop, resource, None)
            self._pollers[resource] = Poller(partial(self._look, resource), name, ended)
        return self._pollers[resource]

    async def _look(self, resource: Resource, wishes: Callable[[], tuple[Any, ...]]) -> Settled:
        """What one request shows for those who wait when it is sent.

        :raises SalesBlinkError: nothing could be seen.
        """
        # Those without a thread queue here: from the threads' own queue they would be sent whatever a 429 has asked.
        async with self._room:
            await self._quiet()
            if not self._in_queue:
                try:
                    return await self._asked(resource, wishes)
                except BudgetSpentError as spent:
                    self._tell_of_budget(spent)
            return await self._in_turn(resource, wishes)

    async def _in_turn(self, resource: Resource, wishes: Callable[[], tuple[Any, ...]]) -> Settled:
        # Who finds the budget used up queues; else the same ones might get it each time. Counted beside the lock, which
        # is free for a moment between one and the next, and who had it last would take it again.
        self._in_queue += 1
        try:
            async with self._turn:
                while True:
                    await self._quiet()
                    try:
                        return await self._asked(resource, wishes)
                    except BudgetSpentError as spent:
                        await asyncio.sleep((spent.retry_after or 1.0) + random.uniform(0, 0.1))
        finally:
            self._in_queue -= 1

    async def _asked(self, resource: Resource, wishes: Callable[[], tuple[Any, ...]]) -> Settled:
        client, loop = await self.client(), asyncio.get_running_loop()
        waiting = wishes()
        try:
            return await loop.run_in_executor(self._threads, lambda: list(resource.look(client, waiting)))
        except BudgetSpentError:
            raise
        except AuthenticationError:
            self._renounce(client)
            raise
        except RateLimitedError as limited:
            # It is the key that is limited, not the resource.
            wait = USUAL_WAIT if limited.retry_after is None else limited.retry_after
            self._quiet_until = max(self._quiet_until, loop.time() + wait)
            raise

    def _renounce(self, client: SalesBlinkClient) -> None:
        """Make another the next time: by then somebody may have put a working key into the connection."""
        if self._client is client:
            self._client = None
            self._threads.submit(client.close)

    async def _quiet(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            rest = self._quiet_until - loop.time()
            if rest <= 0:
                return
            # Not all at the same moment.
            await asyncio.sleep(rest + random.uniform(0, 1))

    def _tell_of_budget(self, spent: BudgetSpentError) -> None:
        if not self._told_of_budget:
            self._told_of_budget = True
            log.warning(
                "%s: what is waited for (%d lists) needs more reads than the budget has; each is looked at less often. "
                "Raise poll_interval, or reads_per_minute of the connection. (%s)",
                self._name, len(self._pollers), spent,
            )  # fmt: skip


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Line]] = WeakKeyDictionary()


@asynccontextmanager
async def line_to(name: str, make_client: Callable[[], Awaitable[SalesBlinkClient]]) -> AsyncIterator[Line]:
    """The line of this event loop that all with the same ``name`` share; it is closed behind the last of them.

    Raises what ``make_client`` does.
    """
    lines = _lines.setdefault(asyncio.get_running_loop(), {})
    line = lines.setdefault(name, Line(name, make_client))
    line.users += 1
    try:
        await line.client()
        yield line
    finally:
        line.users -= 1
        if not line.users:
            # Somebody may have come after it was closed, and made another.
            if lines.get(name) is line:
                del lines[name]
            line.close()
