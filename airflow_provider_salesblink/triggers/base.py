"""The base of all SalesBlink triggers: the shared client, and the events that end a wait."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import threading
import time
from abc import abstractmethod
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_salesblink.connection_form import InvalidConnectionError
from airflow_provider_salesblink.hooks.salesblink import SalesBlinkHook
from airflow_provider_salesblink.task_mixins import permanent_error_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.waiting.backoff import Backoff
    from airflow_provider_salesblink.waiting.conditions import Hopeless, Met
    from airflow_provider_salesblink.waiting.connection_reload import ConnectionDetails
    from airflow_provider_salesblink.waiting.resources import Resource
    from airflow_provider_salesblink.waiting.shared_client import SharedClient


class SalesBlinkTrigger(BaseTrigger):
    """Wait for one condition. All triggers of a triggerer that need the same resource share one poll.

    The event holds ``status``: ``met`` with ``found`` (ids and states), or ``hopeless`` or ``gave_up`` with ``reason``.

    :param salesblink_conn_id: the Airflow connection that holds the key.
    :param poll_interval: maximum seconds between two polls.
    :param max_consecutive_failures: number of polls in a row that may fail with a passing error (429, 5xx, no answer)
        before it gives up; None for no limit.
    :param backoff: makes ``poll_interval`` grow; the arguments ``began``, ``timeout`` and ``longest`` of
        :class:`waiting.backoff.Backoff`.
    """

    def __init__(
        self,
        *,
        salesblink_conn_id: str,
        poll_interval: float,
        max_consecutive_failures: int | None,
        backoff: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.salesblink_conn_id = salesblink_conn_id
        self.poll_interval = poll_interval
        self.max_consecutive_failures = max_consecutive_failures
        self.backoff = backoff

    @abstractmethod
    def condition(self) -> tuple[Resource, object]:
        """Return the resource to poll, and the condition."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the subclass's own arguments."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which Airflow stores."""
        shared = ("salesblink_conn_id", "poll_interval", "max_consecutive_failures")
        # Only if used: a triggerer of version 0.1.0 does not accept it.
        backoff = {} if self.backoff is None else {"backoff": self.backoff}
        return _path_of(self), {**self.arguments(), **{name: getattr(self, name) for name in shared}, **backoff}

    def __repr__(self) -> str:
        # Airflow's own repr shows all arguments, and a value in a condition may be personal data.
        return f"<{type(self).__name__} on {self.salesblink_conn_id}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event with the result."""
        await import_waiting()
        from airflow_provider_salesblink.waiting.conditions import Met
        from airflow_provider_salesblink.waiting.connection_reload import UnusableConnectionError
        from airflow_provider_salesblink.waiting.poller import GaveUp

        try:
            outcome = await self._waited()
        except GaveUp as error:
            yield event(status="gave_up", reason=str(error))
        except UnusableConnectionError as error:
            yield event(status="hopeless", reason=str(error))
        else:
            if isinstance(outcome, Met):
                yield event(status="met", found=outcome.found)
            else:
                yield event(status="hopeless", reason=outcome.reason)

    async def _waited(self) -> Met | Hopeless:
        resource, condition = self.condition()
        async with shared_client_for(self.salesblink_conn_id) as shared:
            return await shared.poller(resource).wait(
                condition, interval=self._interval(), most_failures=self.max_consecutive_failures
            )

    def _interval(self) -> float | Backoff:
        from airflow_provider_salesblink.waiting.backoff import Backoff

        if self.backoff is None:
            return self.poll_interval
        return Backoff(self.poll_interval, **self.backoff, now=time.time())


_WAITING = "airflow_provider_salesblink.waiting.shared_client"
_LOADED = threading.Event()


async def import_waiting() -> None:
    """Import what waiting needs, in a thread: it takes about 0.3 s and would block the event loop."""
    if not _LOADED.is_set():
        await asyncio.to_thread(import_module, _WAITING)
        _LOADED.set()


@asynccontextmanager
async def shared_client_for(conn_id: str) -> AsyncIterator[SharedClient]:
    """Yield the client that all triggers of this event loop share over a connection.

    :raises UnusableConnectionError: the connection does not exist or is invalid.
    """
    from airflow_provider_salesblink.waiting.shared_client import join_shared_client

    async with join_shared_client(conn_id, partial(_read, conn_id)) as shared:
        yield shared


async def _read(conn_id: str) -> ConnectionDetails:
    from airflow.providers.common.compat.connection import get_async_connection

    from airflow_provider_salesblink.waiting.connection_reload import ConnectionDetails, UnusableConnectionError

    hook = SalesBlinkHook(conn_id)
    try:
        connection = await get_async_connection(conn_id, hook)
    except AirflowNotFoundException as error:
        raise UnusableConnectionError(permanent_error_message(error, conn_id)) from None
    account = (connection.host, connection.schema, connection.port, connection.password)
    return ConnectionDetails(
        content=_hashed(*account, connection.extra),
        account=_hashed(*account),
        make_client=partial(_client_of, hook, connection),
    )


def _client_of(hook: SalesBlinkHook, connection: Connection) -> SalesBlinkClient:
    from airflow_provider_salesblink.waiting.connection_reload import UnusableConnectionError

    try:
        # Send each request once: the next poll repeats it anyway.
        return hook.client_of(connection, max_attempts=1)
    except InvalidConnectionError as error:
        raise UnusableConnectionError(str(error)) from error


_HASH_KEY = secrets.token_bytes(32)


def _hashed(*parts: str | int | None) -> bytes:
    # With a random key: a short API key could be guessed from a plain hash.
    return hashlib.blake2b(json.dumps(parts).encode(), key=_HASH_KEY, digest_size=16).digest()


def event(**payload: Any) -> TriggerEvent:
    """Return an event with this payload. Airflow logs and stores it."""
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


def _path_of(trigger: object) -> str:
    return f"{type(trigger).__module__}.{type(trigger).__qualname__}"
