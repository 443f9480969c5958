"""A server that sends raw bytes, for answers that no correct server sends."""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

Piece = bytes | float | Literal["reset", "close"]
"""Bytes to send, seconds to wait, or how to end the connection."""


@dataclass(frozen=True)
class Received:
    """One received request."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any
    connection: int


Script = Callable[[Received], Iterable[Piece]]


def answer(content: Any = None, status: str = "200 OK", **headers: str) -> bytes:
    """Return a complete answer with ``content`` as its JSON; None means an empty body."""
    body = b"" if content is None else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


class RawServer(socketserver.ThreadingTCPServer):
    """Answers each request as ``script`` says, and records the requests.

    :param tls: use TLS; with ``proxy`` only after a CONNECT, as the server behind a proxy does.
    :param proxy: accept CONNECT for any server, and act as that server.
    """

    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def __init__(
        self,
        script: Script,
        *,
        family: socket.AddressFamily = socket.AF_INET,
        tls: ssl.SSLContext | None = None,
        proxy: bool = False,
    ) -> None:
        self.address_family = family
        super().__init__(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), _Connection)
        self.script, self.tls, self.proxy = script, tls, proxy
        self.requests: list[Received] = []
        self.tunnels: list[str] = []
        self.connections = 0
        threading.Thread(target=self.serve_forever, args=(0.004,), daemon=True).start()

    @property
    def url(self) -> str:
        host = "[::1]" if self.address_family == socket.AF_INET6 else "127.0.0.1"
        return f"{'https' if self.tls and not self.proxy else 'http'}://{host}:{self.server_address[1]}"

    def sent(self, method: str) -> list[Received]:
        """Return the requests with this method."""
        return [request for request in self.requests if request.method == method]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()

    def __enter__(self) -> Self:
        return self

    def handle_error(self, *_: Any) -> None:
        """Ignore clients that close the connection."""


class _Connection(socketserver.BaseRequestHandler):
    server: RawServer

    def handle(self) -> None:
        self.server.connections += 1
        self._wire: socket.socket = self.request
        self._input = self._wire.makefile("rb")
        if self.server.tls and not self.server.proxy:
            self._encrypt(self.server.tls)
        while received := self._read():
            if received.method == "CONNECT" and self.server.proxy:
                self.server.tunnels.append(received.target)
                self._wire.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self._encrypt(self.server.tls)
                continue
            self.server.requests.append(received)
            for piece in self.server.script(received):
                if isinstance(piece, str):
                    self._end(reset=piece == "reset")
                    return
                if isinstance(piece, bytes):
                    self._wire.sendall(piece)
                else:
                    time.sleep(piece)  # noqa: TID251  # a slow server

    def _encrypt(self, tls: ssl.SSLContext | None) -> None:
        assert tls is not None
        self._wire = tls.wrap_socket(self._wire, server_side=True)
        self._input = self._wire.makefile("rb")

    def _read(self) -> Received | None:
        line = self._input.readline().decode("latin-1").split()
        if len(line) < 2:
            return None
        headers = {}
        while (header := self._input.readline()) not in (b"\r\n", b""):
            name, _, value = header.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self._input.read(int(headers.get("content-length", 0)))
        return Received(line[0], line[1], headers, json.loads(body) if body else None, self._wire.getpeername()[1])

    def _end(self, *, reset: bool) -> None:
        if reset:
            self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._input.close()
        self._wire.close()
