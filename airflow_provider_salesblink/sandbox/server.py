"""The sandbox as a Python object: a server in a thread, and access to its data and settings."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from airflow_provider_salesblink.sandbox.activity import Habit, parse_life
from airflow_provider_salesblink.sandbox.app import app
from airflow_provider_salesblink.sandbox.fault_middleware import FaultMiddleware
from airflow_provider_salesblink.sandbox.faults import Fault, parse_faults
from airflow_provider_salesblink.sandbox.limits import Limits, RateLimiter
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.seeds import load_seed, read_seed
from airflow_provider_salesblink.sandbox.shapes import Shapes
from airflow_provider_salesblink.sandbox.state import State
from airflow_provider_salesblink.sandbox.store import IN_MEMORY, CampaignState, Person, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from airflow_provider_salesblink.sandbox.activity_events import Happening
    from airflow_provider_salesblink.sandbox.request_log import Request

HOST = "127.0.0.1"
STARTUP_SECONDS = 30
KEEP_ALIVE_SECONDS = 3600  # a client with a limit of a few requests a minute keeps its connection


class Sandbox:
    """A local SalesBlink that runs for the duration of a ``with`` block.

    :param port: port on 127.0.0.1; 0 = a free port.
    :param db: SQLite file for all data; in memory by default.
    :param seed: ``demo``, a JSON file or its content. Ignored if ``db`` already holds campaigns.
    :param key: API key; a random one by default.
    :param faults: faults to inject from the start, as :class:`Fault` objects or in their text form.
    :param limits: rate limits; none by default.
    :param shapes: the shapes of responses.
    :param life: events that happen without requests, as :class:`Habit` objects or in their text form; none by default.
    :param random_seed: seed for random faults and events, so that a test is repeatable.
    :param keep_requests: number of latest requests to keep in ``requests``.
    :raises SandboxUsageError: an argument is invalid, or the file, seed or port cannot be used.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        db: str | Path = IN_MEMORY,
        seed: str | Path | Mapping[str, Any] | None = None,
        key: str | None = None,
        faults: str | Iterable[Fault] = "",
        limits: Limits | None = None,
        shapes: Shapes | None = None,
        life: str | Iterable[Habit] = "",
        random_seed: int = 0,
        keep_requests: int = 100_000,
    ) -> None:
        self._port = port
        self._store = Store(db)
        try:
            self._state = State(self._store, key=key, random_seed=random_seed, keep_requests=keep_requests)
            self._state.faults.add(parse_faults(faults) if isinstance(faults, str) else faults)
            self.limits = limits or Limits()
            self.shapes = shapes or Shapes()
            self.life = life
            if seed is not None:
                load_seed(self._store, read_seed(seed))
        except BaseException:
            self._store.close()
            raise
        self._server = _Server(FaultMiddleware(app, self._state))

    def __enter__(self) -> Self:
        try:
            self._port = self._server.start(self._port)
        except BaseException:
            self._store.close()
            raise
        self._state.scheduler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.scheduler.stop()
        self._server.stop()
        self._store.close()

    # Connection

    @property
    def url(self) -> str:
        """Return the root URL, without a trailing slash."""
        return f"http://{HOST}:{self._port}"

    @property
    def key(self) -> str:
        """Return the key of an administrator."""
        return self._state.key

    @property
    def member_key(self) -> str:
        """Return the key of a member who is not an administrator. It gets 403 on ``GET /my-team``."""
        return self._state.member_key

    # Data

    def add_campaign(self, name: str, *, paused: bool = False, id: str | None = None) -> str:  # noqa: A002
        """Add a campaign without an API request, and return its id."""
        return self._store.add_campaign(name, paused=paused, id=id).id

    def add_person(self, campaign_id: str, fields: Mapping[str, Any], *, unsubscribed: bool = False) -> str:
        """Add a prospect without an API request, and return its id."""
        if self._store.campaign(campaign_id) is None:
            message = f"There is no campaign with the id '{campaign_id}'. Add it with add_campaign() first"
            raise SandboxUsageError(message)
        return self._store.add_person(campaign_id, fields, unsubscribed=unsubscribed).id

    def people(self, campaign_id: str | None = None) -> list[Person]:
        """Return the people of one campaign or of all campaigns, in the order they were added."""
        return self._store.people(campaign_id)

    def campaigns(self) -> list[CampaignState]:
        """Return all campaigns, in the order they were added."""
        return self._store.campaigns()

    @property
    def requests(self) -> list[Request]:
        """Return the received requests, oldest first, without those of the sandbox's own pages."""
        return self._state.request_log.entries()

    @property
    def happened(self) -> list[Happening]:
        """Return the last 10,000 events, scheduled or triggered by ``happen``, oldest first."""
        return self._state.events.entries()

    def reset(self) -> None:
        """Remove all data, requests, faults, limits and activity, and restore the default shapes. The keys stay."""
        self._state.reset()

    # Behavior

    def fault(self, operation: str, kind: str, **options: Any) -> None:  # Fault's, each its own type
        """Add a fault. ``options`` are those of :class:`Fault`."""
        self._state.faults.add([Fault(operation, kind, **options)])

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._state.faults.clear()

    def happen(self, happening: str, *, to: str | None = None) -> Happening | None:
        """Trigger one event now, for a random prospect or campaign or for the one with the id ``to``.

        Return the event, or None if there is nothing that it can apply to.

        :param happening: the event, for example ``unsubscribe``.
        :raises SandboxUsageError: the event is unknown, or does not apply to ``to``.
        """
        return self._state.events.generate(happening, to)

    @property
    def life(self) -> tuple[Habit, ...]:
        """Return the scheduled events. Setting it restarts the schedule; ``""`` stops it."""
        return self._state.scheduler.habits

    @life.setter
    def life(self, life: str | Iterable[Habit]) -> None:
        self._state.scheduler.schedule(parse_life(life) if isinstance(life, str) else life)

    @property
    def shapes(self) -> Shapes:
        """Return the shapes of responses. Can be set while the sandbox runs."""
        return self._state.shapes

    @shapes.setter
    def shapes(self, shapes: Shapes) -> None:
        self._state.shapes = shapes

    @property
    def limits(self) -> Limits:
        """Return the rate limits. Setting them starts a new window."""
        return self._state.rate_limiter.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._state.rate_limiter = RateLimiter(limits)


class _Server(uvicorn.Server):
    """uvicorn in a thread. It is ready when ``start`` returns, and has ended when ``stop`` returns."""

    def __init__(self, application: FaultMiddleware) -> None:
        config = uvicorn.Config(
            application,
            lifespan="off",
            ws="none",
            log_config=None,
            # Injected faults are not errors. FaultMiddleware logs the real ones.
            log_level="critical",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            server_header=False,
            proxy_headers=False,
            interface="asgi3",
        )
        super().__init__(config)
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, port: int) -> int:
        """Start listening, and return the port."""
        listener = _listener(port)
        self._thread = threading.Thread(target=self._serve_on, args=(listener,), name="salesblink-sandbox", daemon=True)
        self._thread.start()
        if not self._ready.wait(STARTUP_SECONDS) or not self.started:
            listener.close()
            message = "The sandbox's server did not start"
            raise RuntimeError(message)
        bound: int = listener.getsockname()[1]
        return bound

    def stop(self) -> None:
        """Abort open requests and end the thread."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    def _serve_on(self, listener: socket.socket) -> None:
        try:
            # Not another event loop such as uvloop: the faults set options on asyncio's sockets.
            asyncio.run(self.serve(sockets=[listener]))
        finally:
            self._ready.set()

    async def main_loop(self) -> None:
        """Wait for ``stop``, instead of checking for it periodically as uvicorn does."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close idle connections normally, and abort those that still wait for a response."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        tasks = list(self.server_state.tasks)
        for connection in list(self.server_state.connections):
            connection.shutdown()
            if tasks and connection.transport is not None:
                connection.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _listener(port: int) -> socket.socket:
    # With the protocol given as TCP, asyncio turns Nagle's algorithm off. Otherwise every response takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        message = f"Cannot listen on port {port} of {HOST}: {reason}"
        raise SandboxUsageError(message) from error
    return listener
