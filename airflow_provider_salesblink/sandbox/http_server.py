"""The sandbox's HTTP server: uvicorn in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from airflow_provider_salesblink.sandbox.options import SandboxUsageError

if TYPE_CHECKING:
    from airflow_provider_salesblink.sandbox.fault_middleware import FaultMiddleware

HOST = "127.0.0.1"
STARTUP_SECONDS = 30
KEEP_ALIVE_SECONDS = 3600  # a client with a limit of a few requests a minute keeps its connection


class HttpServer(uvicorn.Server):
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
