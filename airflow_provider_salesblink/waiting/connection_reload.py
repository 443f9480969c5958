"""The client of a connection that may change while many wait over it.

The connection is read for everybody who joins, and every few minutes for those who wait already. Those who join
together share a read.
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

REREAD = 120.0
"""Seconds until a connection is read again for those who wait already."""

APART = 1.0
"""Seconds between two reads of a connection at least, however many join."""


class UnusableConnectionError(Exception):
    """There is no such connection, or no client can be made from it; the message says why."""


@dataclass(frozen=True)
class Access:
    """What a connection holds when it is read.

    :param content: equal for equal content; a hash, so that no key lies around.
    :param account: equal while host and key are the same: these are what SalesBlink limits.
    :param make_client: makes a client that sends each request once; runs in a thread.
    """

    content: bytes
    account: bytes
    make_client: Callable[[], SalesBlinkClient] = field(repr=False)


class CurrentClient:
    """The client that a connection stands for now.

    A connection that breaks meanwhile ends no wait: those who wait keep the client that they have.

    :param name: the connection, for the log.
    :param read: reads the connection.
    :param threads: where clients are made and closed.
    :param changed: called when there is another client, with whether host or key is another too.
    """

    def __init__(
        self, name: str, read: Callable[[], Awaitable[Access]], threads: Executor, changed: Callable[[bool], object]
    ) -> None:
        self._name = name
        self._read = read
        self._threads = threads
        self._changed = changed
        self._access: Access | None = None
        self._client: SalesBlinkClient | None = None
        self._open_things = ExitStack()
        self._wanted = asyncio.Event()
        self._next_read: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""

    @property
    def client(self) -> SalesBlinkClient:
        """The client of the last read."""
        if self._client is None:
            raise LookupError("The connection has not been read.")
        return self._client

    @property
    def account(self) -> bytes:
        """Equal while host and key are the same."""
        return b"" if self._access is None else self._access.account

    async def refresh(self) -> None:
        """Read the connection, or wait for a read that has not begun yet.

        :raises UnusableConnectionError: there is no client to be made from it.

        Raises what reading does, where nothing was read before.
        """
        loop = asyncio.get_running_loop()
        if self._task is None:
            # Without the first one's context, which would take all that is logged into its log.
            self._task = loop.create_task(self._follow(), context=Context())
        if self._next_read is None:
            self._next_read = loop.create_future()
            self._wanted.set()
        await asyncio.shield(self._next_read)

    def close(self) -> None:
        """Let go of the client."""
        if self._task is not None:
            self._task.cancel()
        if self._client is not None:
            self._threads.submit(self._client.close)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        began = -math.inf
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REREAD):
                    await self._wanted.wait()
            # Those who come now still get this read.
            await asyncio.sleep(max(0.0, began + APART - loop.time()))
            began = loop.time()
            await self._read_for_all()

    async def _read_for_all(self) -> None:
        waiting, self._next_read = self._next_read, None
        self._wanted.clear()
        try:
            await self._adopt(await self._read())
        except Exception as error:  # noqa: BLE001  # it belongs to those who joined, and must not end the reading
            self._failed(error, waiting)
        else:
            self._complaint = ""
            if waiting is not None:
                waiting.set_result(None)

    async def _adopt(self, access: Access) -> None:
        before, old = self._access, self._client
        if before is not None and before.content == access.content:
            return
        client = await asyncio.get_running_loop().run_in_executor(self._threads, access.make_client)
        kept, self._open_things = self._open_things, ExitStack()
        # Threads do not wait for the budget: a triggerer that is stopped would wait for them.
        self._open_things.enter_context(client.waiting_at_most(0))
        self._access, self._client = access, client
        if before is not None and old is not None:
            # What is on its way with the old one ends by itself.
            self._threads.submit(_close, old, kept)
            self._changed(before.account != access.account)

    def _failed(self, error: Exception, waiting: asyncio.Future[None] | None) -> None:
        unusable = isinstance(error, UnusableConnectionError)
        if waiting is not None:
            if self._client is None or unusable:
                waiting.set_exception(error)
                # Those who wanted to know may all have gone.
                waiting.exception()
            else:
                waiting.set_result(None)
        if self._client is not None:
            # Of other errors only the kind: who knows what they show.
            self._complain(str(error) if unusable else type(error).__name__)

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            self._complaint = complaint
            log.warning(
                "Connection %r cannot be read again: %s. Whoever waits goes on with what it held before.",
                self._name, complaint.rstrip("."),
            )  # fmt: skip


def _close(client: SalesBlinkClient, kept: ExitStack) -> None:
    with kept:
        client.close()
