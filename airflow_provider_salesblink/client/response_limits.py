"""An answer on its way: how long it may take, and how much may come before it or between its parts.

The HTTP libraries bound the wait for each single byte and the number of headers, but neither the whole time nor the
length of what is no content: interim answers, chunk sizes, trailers.
"""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

PATIENCE = 4
"""How many times the timeout an answer may take, beside the time for what has come already."""
SLOWEST = 16_384
"""Bytes a second: what an answer has to keep up when it takes longer than that."""
LONGEST_HEAD = 1_048_576
LONGEST_LINE = 65_536

_BUFFER = 65_536

_most: ContextVar[int] = ContextVar("most bytes of an answer")


@contextmanager
def of_at_most(size: int) -> Iterator[None]:
    """Within it, this thread's answers are broken off after ``size`` bytes on the wire."""
    token = _most.set(size)
    try:
        yield
    finally:
        _most.reset(token)


def bound(manager: Any) -> None:  # noqa: ANN401
    """Have the answers bounded that come over the connections of a ``urllib3.PoolManager``."""

    def bounded(pool: Any) -> Any:  # noqa: ANN401
        connection = type("Connection", (pool.ConnectionCls,), {"response_class": _Answer})
        return type("Pool", (pool,), {"ConnectionCls": connection})

    manager.pool_classes_by_scheme = {name: bounded(pool) for name, pool in manager.pool_classes_by_scheme.items()}


class _Answer(HTTPResponse):
    """Reads from a bounded wire."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self._wire = _Wire(sock)
        self.fp = _Lines(self._wire, _BUFFER)

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        # urllib3 logs what is no header, and the whole URL with it, which may hold an address.
        self.msg.defects.clear()
        self.msg.set_payload("")
        self._wire.most = LONGEST_HEAD + _most.get(LONGEST_HEAD)


class _Lines(io.BufferedReader):
    """What is read line by line are heads, chunk sizes and trailers, none of them long."""

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line."""
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise HTTPException("a line without end")
        return line


class _Wire(io.RawIOBase):
    """What comes from a socket, as long as it keeps its pace and its length."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._raw: Any = sock.makefile("rb", buffering=0)
        self._timeout = sock.gettimeout() or 0.0
        self._began = time.monotonic()
        self._came = 0
        self.most = LONGEST_HEAD

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        """Wait for the next bytes, as long as there is time."""
        left = self._began + PATIENCE * self._timeout + self._came / SLOWEST - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer comes too slowly")
        self._socket.settimeout(min(self._timeout, left))
        came: int = self._raw.readinto(buffer)
        self._came += came
        if self._came > self.most:
            raise HTTPException("an answer without end")
        return came

    def close(self) -> None:
        """Let go of the socket."""
        if not self.closed:
            self._raw.close()
        super().close()
