"""Limit how long an HTTP answer may take, and how many bytes it may have.

The HTTP libraries limit the wait for each single byte and the number of headers. They limit neither the total time nor
the bytes outside the content: interim answers, chunk sizes, trailers.
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
"""An answer may take this many times the timeout, plus the time for the bytes that have arrived."""
SLOWEST = 16_384
"""Bytes a second that an answer must reach if it takes longer."""
LONGEST_HEAD = 1_048_576
LONGEST_LINE = 65_536

_BUFFER = 65_536

_max_bytes: ContextVar[int] = ContextVar("most bytes of an answer")


@contextmanager
def max_bytes(size: int) -> Iterator[None]:
    """While active, stop reading an answer on this thread after ``size`` bytes on the wire."""
    token = _max_bytes.set(size)
    try:
        yield
    finally:
        _max_bytes.reset(token)


def limit_answers(manager: Any) -> None:  # noqa: ANN401
    """Limit the answers on all connections of a ``urllib3.PoolManager``."""

    def limited(pool: Any) -> Any:  # noqa: ANN401
        connection = type("Connection", (pool.ConnectionCls,), {"response_class": _LimitedAnswer})
        return type("Pool", (pool,), {"ConnectionCls": connection})

    manager.pool_classes_by_scheme = {name: limited(pool) for name, pool in manager.pool_classes_by_scheme.items()}


class _LimitedAnswer(HTTPResponse):
    """An HTTP answer that is read from a limited socket."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self._input = _LimitedSocket(sock)
        self.fp = _LimitedLines(self._input, _BUFFER)

    def begin(self) -> None:
        """Read the status line and the headers."""
        super().begin()
        # urllib3 logs malformed headers together with the whole URL, which may contain an address.
        self.msg.defects.clear()
        self.msg.set_payload("")
        self._input.max_bytes = LONGEST_HEAD + _max_bytes.get(LONGEST_HEAD)


class _LimitedLines(io.BufferedReader):
    """Limits the length of lines: status lines, headers, chunk sizes and trailers are read line by line."""

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line.

        :raises HTTPException: it is too long.
        """
        if size is not None and size >= 0:
            return super().readline(size)
        line = super().readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise HTTPException("a line is too long")
        return line


class _LimitedSocket(io.RawIOBase):
    """Reads from a socket while the answer is fast and short enough."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._raw: Any = sock.makefile("rb", buffering=0)
        self._timeout = sock.gettimeout() or 0.0
        self._started = time.monotonic()
        self._received = 0
        self.max_bytes = LONGEST_HEAD

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        """Wait for the next bytes and return how many there are; 0 at the end.

        :raises TimeoutError: the answer takes too long.
        :raises HTTPException: it has too many bytes.
        """
        left = self._started + PATIENCE * self._timeout + self._received / SLOWEST - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer is too slow")
        self._socket.settimeout(min(self._timeout, left))
        count: int = self._raw.readinto(buffer)
        self._received += count
        if self._received > self.max_bytes:
            raise HTTPException("the answer is too long")
        return count

    def close(self) -> None:
        """Close the socket's file."""
        if not self.closed:
            self._raw.close()
        super().close()
