"""The sandbox as a Python object: a server in a thread, and a view of what it holds."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from airflow_provider_salesblink.sandbox.activity import Habit, parse_life
from airflow_provider_salesblink.sandbox.app import app
from airflow_provider_salesblink.sandbox.fault_middleware import Wire
from airflow_provider_salesblink.sandbox.faults import Fault, parse_faults
from airflow_provider_salesblink.sandbox.limits import Limits, Meter
from airflow_provider_salesblink.sandbox.options import SandboxUsageError
from airflow_provider_salesblink.sandbox.seeds import plant, read_seed
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
KEEP_ALIVE_SECONDS = 3600  # a client that is paced to a few requests a minute keeps its connection


class Sandbox:
    """A SalesBlink on this machine, from ``with`` to the end of its block.

    :param port: port on 127.0.0.1; 0 = a free one.
    :param db: a SQLite file that outlives the sandbox; in memory by default.
    :param seed: ``demo``, a JSON file or its content; a ``db`` that holds campaigns already is left as it is.
    :param key: the API key; a random one by default.
    :param faults: what goes wrong from the start, as :class:`Fault` objects or in their text form.
    :param limits: request limits; none by default.
    :param shapes: how answers look.
    :param life: what happens by itself, as :class:`Habit` objects or in their text form; nothing by default.
    :param random_seed: for faults that hit a share of the requests, and for whom things happen to, so that a test can
        be repeated.
    :param keep_requests: how many of the latest requests ``requests`` remembers.
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
                plant(self._store, read_seed(seed))
        except BaseException:
            self._store.close()
            raise
        self._server = _Server(Wire(app, self._state))

    def __enter__(self) -> Self:
        try:
            self._port = self._server.start(self._port)
        except BaseException:
            self._store.close()
            raise
        self._state.clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.clock.stop()
        self._server.stop()
        self._store.close()

    # What a client needs

    @property
    def url(self) -> str:
        """Root URL, without a slash at its end."""
        return f"http://{HOST}:{self._port}"

    @property
    def key(self) -> str:
        """Key of an administrator."""
        return self._state.key

    @property
    def member_key(self) -> str:
        """Key of somebody who is no administrator: 403 on ``GET /my-team``."""
        return self._state.member_key

    # What it holds

    def add_campaign(self, name: str, *, paused: bool = False, id: str | None = None) -> str:  # noqa: A002
        """Add a campaign, past the API; returns its id."""
        return self._store.add_campaign(name, paused=paused, id=id).id

    def add_person(self, campaign_id: str, fields: Mapping[str, Any], *, unsubscribed: bool = False) -> str:
        """Add a prospect, past the API; returns its id."""
        if self._store.campaign(campaign_id) is None:
            message = f"There is no campaign with the id '{campaign_id}'"
            raise SandboxUsageError(message)
        return self._store.add_person(campaign_id, fields, unsubscribed=unsubscribed).id

    def people(self, campaign_id: str | None = None) -> list[Person]:
        """People of a campaign, or of all, in order of adding."""
        return self._store.people(campaign_id)

    def campaigns(self) -> list[CampaignState]:
        """All campaigns, in order of adding."""
        return self._store.campaigns()

    @property
    def requests(self) -> list[Request]:
        """Every request that came in, but for the page's own; oldest first."""
        return self._state.journal.entries()

    @property
    def happened(self) -> list[Happening]:
        """What happened by itself or by ``happen``; oldest first, the last 10,000."""
        return self._state.happenings.entries()

    def reset(self) -> None:
        """Empty the store and the journal; no faults, no limits, no life, the first shapes. The keys stay."""
        self._state.reset()

    # What it does

    def fault(self, operation: str, kind: str, **options: Any) -> None:  # Fault's, each its own type
        """Let something go wrong; ``options`` are those of :class:`Fault`."""
        self._state.faults.add([Fault(operation, kind, **options)])

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._state.faults.clear()

    def happen(self, happening: str, *, to: str | None = None) -> Happening | None:
        """Let one thing happen now, at random or ``to`` an id; None if nobody and nothing is left for it."""
        return self._state.happenings.happen(happening, to)

    @property
    def life(self) -> tuple[Habit, ...]:
        """What happens by itself; setting it starts its clock anew, and ``""`` stops it."""
        return self._state.clock.habits

    @life.setter
    def life(self, life: str | Iterable[Habit]) -> None:
        self._state.clock.keep(parse_life(life) if isinstance(life, str) else life)

    @property
    def shapes(self) -> Shapes:
        """How answers look; may be set while it runs."""
        return self._state.shapes

    @shapes.setter
    def shapes(self, shapes: Shapes) -> None:
        self._state.shapes = shapes

    @property
    def limits(self) -> Limits:
        """Request limits; setting them starts a new window."""
        return self._state.meter.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._state.meter = Meter(limits)


class _Server(uvicorn.Server):
    """uvicorn in a thread: ready when ``start`` returns, gone when ``stop`` does, and never waiting for a tick."""

    def __init__(self, application: Wire) -> None:
        config = uvicorn.Config(
            application,
            lifespan="off",
            ws="none",
            log_config=None,
            # Spoilt answers are meant; what is not meant is logged by the wire.
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
        """Listen on a port; returns which."""
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
        """Break off whatever is under way, and end."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    def _serve_on(self, listener: socket.socket) -> None:
        try:
            # asyncio's own loop and no other: the faults set options on its sockets.
            asyncio.run(self.serve(sockets=[listener]))
        finally:
            self._ready.set()

    async def main_loop(self) -> None:
        """Wait for ``stop``."""
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close idle connections in order, and break off those that still wait for an answer."""
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
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
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
