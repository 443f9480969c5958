"""Follow a connection that may change while tasks wait.

The connection is read when a task joins, and every few minutes after that. Tasks that join together share a read.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import ExitStack, suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor

    from airflow_provider_salesblink.client import SalesBlinkClient

log = logging.getLogger(__name__)

RELOAD_INTERVAL = 120.0
"""Seconds between two reads of a connection while nobody joins."""

SHORTEST_RELOAD_INTERVAL = 1.0
"""Minimum seconds between two reads of a connection, however many tasks join."""


class UnusableConnectionError(Exception):
    """The connection does not exist, or no client can be made from it. The message says why."""


@dataclass(frozen=True)
class ConnectionDetails:
    """The content of a connection when it was read.

    :param content: a hash, equal for equal content. The key itself is not kept.
    :param account: a hash, equal while host and key are the same. SalesBlink limits requests per key.
    :param make_client: makes a client that sends each request once. Called in a thread.
    """

    content: bytes
    account: bytes
    make_client: Callable[[], SalesBlinkClient] = field(repr=False)


class ReloadingClient:
    """The client for the connection's current content.

    If the connection becomes invalid, the last client stays in use and no wait ends.

    :param name: the connection, for the log.
    :param read: reads the connection.
    :param threads: the executor in which clients are made and closed.
    :param changed: called after the client was replaced; its argument is whether host or key changed.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Awaitable[ConnectionDetails]],
        threads: Executor,
        changed: Callable[[bool], object],
    ) -> None:
        self._name = name
        self._read = read
        self._threads = threads
        self._changed = changed
        self._access: ConnectionDetails | None = None
        self._client: SalesBlinkClient | None = None
        self._client_options = ExitStack()
        self._wanted = asyncio.Event()
        self._next_read: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._last_warning = ""

    @property
    def client(self) -> SalesBlinkClient:
        """Return the current client.

        :raises LookupError: the connection has not been read yet.
        """
        if self._client is None:
            raise LookupError("The connection has not been read.")
        return self._client

    @property
    def account(self) -> bytes:
        """Return a hash that is equal while host and key are the same."""
        return b"" if self._access is None else self._access.account

    async def refresh(self) -> None:
        """Read the connection, or wait for a read that has not begun yet.

        :raises UnusableConnectionError: no client can be made from it.
        :raises Exception: any other error of reading, if there is no client yet.
        """
        loop = asyncio.get_running_loop()
        if self._task is None:
            # In an empty context: in the first task's, everything would be logged to that task's log.
            self._task = loop.create_task(self._follow(), context=Context())
        if self._next_read is None:
            self._next_read = loop.create_future()
            self._wanted.set()
        await asyncio.shield(self._next_read)

    def close(self) -> None:
        """Stop reading, and close the client."""
        if self._task is not None:
            self._task.cancel()
        if self._client is not None:
            self._threads.submit(self._client.close)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        began = -math.inf
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RELOAD_INTERVAL):
                    await self._wanted.wait()
            # Tasks that join during this pause share this read.
            await asyncio.sleep(max(0.0, began + SHORTEST_RELOAD_INTERVAL - loop.time()))
            began = loop.time()
            await self._read_for_all()

    async def _read_for_all(self) -> None:
        waiting, self._next_read = self._next_read, None
        self._wanted.clear()
        try:
            await self._adopt(await self._read())
        except Exception as error:  # noqa: BLE001  # goes to the tasks that joined; reading continues
            self._failed(error, waiting)
        else:
            self._last_warning = ""
            if waiting is not None:
                waiting.set_result(None)

    async def _adopt(self, access: ConnectionDetails) -> None:
        before, old = self._access, self._client
        if before is not None and before.content == access.content:
            return
        client = await asyncio.get_running_loop().run_in_executor(self._threads, access.make_client)
        kept, self._client_options = self._client_options, ExitStack()
        # Threads must not wait for the rate limit: a triggerer that stops would wait for them.
        self._client_options.enter_context(client.waiting_at_most(0))
        self._access, self._client = access, client
        if before is not None and old is not None:
            # Requests in flight with the old client end by themselves.
            self._threads.submit(_close, old, kept)
            self._changed(before.account != access.account)

    def _failed(self, error: Exception, waiting: asyncio.Future[None] | None) -> None:
        unusable = isinstance(error, UnusableConnectionError)
        if waiting is not None:
            if self._client is None or unusable:
                waiting.set_exception(error)
                # Mark it as retrieved: all tasks that waited for it may be gone.
                waiting.exception()
            else:
                waiting.set_result(None)
        if self._client is not None:
            # Log only the type of other errors: their message might hold a secret.
            self._warn_once(str(error) if unusable else type(error).__name__)

    def _warn_once(self, warning: str) -> None:
        if warning != self._last_warning:
            self._last_warning = warning
            log.warning(
                "Connection %r cannot be read again: %s. Waits continue with its previous content.",
                self._name, warning.rstrip("."),
            )  # fmt: skip


def _close(client: SalesBlinkClient, kept: ExitStack) -> None:
    with kept:
        client.close()
