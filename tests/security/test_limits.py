"""No answer fills the memory or the disk, and none takes forever."""

from __future__ import annotations

import gzip
import resource
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import (
    AuthenticationError,
    ConnectionFailedError,
    ServerError,
    UnreadableResponseError,
    http_transport,
)
from airflow_provider_salesblink.client.retry import Policy
from tests.client.raw_server import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.conftest import NewClient, Serve
    from tests.client.raw_server import Piece

MIB = 1024**2
ONCE = Policy(max_attempts=1, settling_time=0)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


class Pouring:
    """A script that sends a beginning and then the same bytes forever, and counts them."""

    def __init__(self, beginning: bytes, forever: bytes, pause: float = 0.0) -> None:
        self.beginning, self.forever, self.pause = beginning, forever, pause
        self.sent = 0

    def __call__(self, _: Any) -> Iterator[Piece]:
        yield self.beginning
        while True:
            yield self.forever
            self.sent += len(self.forever)
            if self.pause:
                yield self.pause


# Bytes


@pytest.mark.parametrize(
    ("call", "limit"),
    [
        (lambda client: client.campaigns.pause("c1"), 16),
        (lambda client: client.campaigns.list(), 128),
        (lambda client: client.prospects.list("c1"), 128),
    ],
    ids=["a write", "a read", "a list in memory"],
)
def test_an_answer_without_end_is_given_up_and_not_asked_for_again(
    serve: Serve, new_client: NewClient, call: Any, limit: int
) -> None:
    pouring = Pouring(TO_THE_END + b"[", b'"x",' * 65_536)

    with pytest.raises(UnreadableResponseError, match=f"it is longer than {limit} MiB"):
        call(new_client(base_url=serve(pouring).url))

    assert pouring.sent < (limit + 32) * MIB


def test_a_list_without_end_is_given_up_before_the_disk_is_full(
    serve: Serve, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert http_transport.LONGEST_LIST == 8 * 1024**3
    monkeypatch.setattr(http_transport, "LONGEST_LIST", 32 * MIB)
    pouring = Pouring(TO_THE_END + b"[", b'{"Email":"a@example.com"},' * 65_536)

    with pytest.raises(UnreadableResponseError, match="it is longer than 32 MiB"):
        list(new_client(base_url=serve(pouring).url, policy=ONCE).prospects.each("c1"))

    assert pouring.sent < 64 * MIB


def test_a_list_of_exactly_the_limit_is_read(
    serve: Serve, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"[" + b",".join([b'{"id":"1"}'] * 200_000) + b"]"
    monkeypatch.setattr(http_transport, "LONGEST_IN_MEMORY", 10)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    client = new_client(base_url=serve(lambda _: [head + body]).url, policy=ONCE)

    monkeypatch.setattr(http_transport, "LONGEST_LIST", len(body))
    assert sum(1 for _ in client.prospects.each("c1")) == 200_000
    monkeypatch.setattr(http_transport, "LONGEST_LIST", len(body) - 1)
    with pytest.raises(UnreadableResponseError):
        list(client.prospects.each("c1"))


@pytest.mark.parametrize(("status", "error"), [("401 Unauthorized", AuthenticationError), ("500 Oops", ServerError)])
def test_an_endless_error_page_is_still_that_error(
    serve: Serve, new_client: NewClient, status: str, error: type[Exception]
) -> None:
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n".encode()

    with pytest.raises(error):
        new_client(base_url=serve(Pouring(head, b"x" * 65_536)).url, policy=ONCE).campaigns.pause("c1")


def bomb() -> bytes:
    """Return 10 GiB of blanks in 10 MB of gzip."""
    packer = zlib.compressobj(9, wbits=31)
    start = packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    assert block == packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * 10_239


def test_a_bomb_goes_off_at_the_limit(serve: Serve, new_client: NewClient) -> None:
    packed = bomb()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    client = new_client(base_url=serve(lambda _: [head + packed]).url, policy=ONCE, timeout=30)
    tracemalloc.start()

    with pytest.raises(UnreadableResponseError, match="longer than 16 MiB"):
        client.campaigns.pause("c1")

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The peak includes the server's copy of the answer.
    assert peak < len(packed) + 64 * MIB


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "identity, gzip", "compress"])
def test_an_answer_in_another_compression_is_refused(serve: Serve, new_client: NewClient, encoding: str) -> None:
    server = serve(lambda _: [answer([{"id": "1"}], Content_Encoding=encoding)])

    with pytest.raises(UnreadableResponseError, match="compressed in a way that the client did not ask for"):
        new_client(base_url=server.url, policy=ONCE).campaigns.list()
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)]
)
def test_an_answer_in_a_requested_compression_is_read(
    serve: Serve, new_client: NewClient, encoding: str, pack: Any
) -> None:
    body = pack(b'[{"id": "1"}]')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding.encode(), len(body))

    assert new_client(base_url=serve(lambda _: [head + body]).url).campaigns.list()[0]["id"] == "1"


def test_a_full_disk_is_an_error(serve: Serve, new_client: NewClient) -> None:
    pouring = Pouring(TO_THE_END + b"[", b'"x",' * 65_536)
    client = new_client(base_url=serve(pouring).url, policy=ONCE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 * MIB, before[1]))
        with pytest.raises(ConnectionFailedError, match="could not be stored on this machine"):
            list(client.prospects.each("c1"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# Bytes outside the content

FLOODS = {
    "interim answers": Pouring(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "headers": Pouring(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n" * 1000),
    "interim headers": Pouring(b"HTTP/1.1 100 Continue\r\n", b"X: 1\r\n" * 1000),
    "a status line": Pouring(b"HTTP/1.1 200 ", b"x" * 65_536),
    "a header": Pouring(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65_536),
    "a chunk's size": Pouring(CHUNKED, b"0" * 65_536),
    "a chunk's extension": Pouring(CHUNKED + b"2;", b"x" * 65_536),
    "trailers": Pouring(CHUNKED + b"2\r\n[]\r\n0\r\n", b"X: 1\r\n" * 10_000),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_outside_the_content_is_given_up(serve: Serve, new_client: NewClient, flood: str) -> None:
    pouring = FLOODS[flood]

    with pytest.raises(ConnectionFailedError, match="broke before the answer was complete"):
        new_client(base_url=serve(pouring).url, policy=ONCE).campaigns.pause("c1")

    assert pouring.sent < 48 * MIB


# Time

DRIPS = {
    "content": Pouring(TO_THE_END, b" ", 0.02),
    "content of a length": Pouring(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" ", 0.02),
    "chunks": Pouring(CHUNKED, b"1\r\n \r\n", 0.02),
    "a chunk's size": Pouring(CHUNKED, b"0", 0.02),
    "a status line": Pouring(b"HTTP/1.1 200 ", b"x", 0.02),
    "headers": Pouring(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.02),
    "interim answers": Pouring(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
}


@pytest.mark.parametrize(
    "call", [lambda c: c.campaigns.list(), lambda c: list(c.prospects.each("c"))], ids=["", "long"]
)
@pytest.mark.parametrize("drip", DRIPS)
def test_a_server_that_drips_is_given_up(serve: Serve, new_client: NewClient, drip: str, call: Any) -> None:
    client = new_client(base_url=serve(DRIPS[drip]).url, policy=ONCE, timeout=0.1)
    before = time.monotonic()

    with pytest.raises(ConnectionFailedError, match="no answer in time"):
        call(client)

    assert 0.3 < time.monotonic() - before < 2


def test_a_server_that_drips_through_tls_is_given_up(
    serve: Serve, new_client: NewClient, tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[1]))
    server = serve(Pouring(TO_THE_END, b" ", 0.02), tls=tls[0])
    before = time.monotonic()

    with pytest.raises(ConnectionFailedError, match="no answer in time"):
        new_client(base_url=server.url, policy=ONCE, timeout=0.2).campaigns.list()

    assert time.monotonic() - before < 3


def test_a_long_answer_may_take_long_if_it_is_fast_enough(serve: Serve, new_client: NewClient) -> None:
    def script(_: Any) -> Iterator[Piece]:
        yield TO_THE_END + b"["
        for _ in range(30):
            yield b" " * 65_536
            yield 0.05
        yield b'{"id": "1"}]'
        yield "close"

    before = time.monotonic()

    assert new_client(base_url=serve(script).url, policy=ONCE, timeout=0.2).campaigns.list()[0]["id"] == "1"
    assert time.monotonic() - before > 4 * 0.2


# JSON

INVALID_JSON = {
    "nothing but depth": b"[" * 1_000_000,
    "a deep object": b'{"data":' * 200_000 + b"1" + b"}" * 200_000,
    "a deep person": b'[{"Email":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    "a long key": b'[{"' + b"k" * 6_000_000 + b'":{' + b'"a":1,' * 100_000,
    "a number of a million digits": b'[{"id":' + b"1" * 1_000_000 + b"}]",
    "NaN": b'[{"id":NaN}]',
    "infinity": b'[{"id":-Infinity}]',
    "a number that is too large": b'[{"id":1e999}]',
    "half a text": b'[{"id":"' + b"x" * 6_000_000,
    "invalid UTF-8": b'[{"id":"\xff"}]',
    "two documents": b'[{"id":"1"}] [{"id":"2"}]',
    "an extra comma": b'[{"id":"1"},]',
}


@pytest.mark.parametrize("where", ["in memory", "in a file"])
@pytest.mark.parametrize("body", INVALID_JSON)
def test_invalid_json_is_quickly_refused(
    serve: Serve, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, body: str, where: str
) -> None:
    content = INVALID_JSON[body]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    client = new_client(base_url=serve(lambda _: [head + content]).url, policy=ONCE)
    if where == "in a file":
        monkeypatch.setattr(http_transport, "LONGEST_IN_MEMORY", 5)
    before = time.monotonic()

    with pytest.raises(UnreadableResponseError):
        list(client.prospects.each("c1"))
    assert time.monotonic() - before < 5
