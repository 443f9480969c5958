"""The rate limit: shared by threads, processes and machines, never exceeded, and fully used."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from airflow_provider_salesblink.client import (
    ConnectionFailedError,
    InvalidInputError,
    NotFoundError,
    classic,
    rate_limit,
    rate_limit_stores,
    v1,
)
from airflow_provider_salesblink.client.rate_limit import (
    MINUTE,
    SLACK,
    NoLimit,
    RequestKind,
    SlidingWindow,
    check_before_write,
    rate_limiter,
)
from airflow_provider_salesblink.client.requestor import Requestor
from tests.client.documented_calls import Documented, Scene, every_call_of_each_api
from tests.client.rate_limited_process import acquire_until, store
from tests.conftest import HASTE, ROOT
from tests.redis_server import count_at_once, new_server

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.client.conftest import NewClient
    from tests.conftest import CampaignUnderTest

LIMIT, WINDOW, SECONDS = 60, 1.0, 3.2
LATE = 0.3
"""Seconds between counting a request and noting the time, on a busy machine."""
PER_MINUTE: dict[RequestKind, int] = {"reads": 2, "writes": 1, "deletes": 0}


def most_within(moments: list[float], window: float) -> int:
    """Return the most moments that any window of this length holds."""
    moments = sorted(moments)
    return max(bisect_left(moments, first + window) - place for place, first in enumerate(moments))


def assert_kept_and_used(moments: list[float]) -> None:
    assert most_within(moments, WINDOW - LATE) <= LIMIT
    windows = 1 + int((max(moments) - min(moments)) / WINDOW)
    assert len(moments) >= 0.8 * LIMIT * windows


def acquired_by_processes(url: str, processes: int) -> list[float]:
    """Return the times at which one of several processes was allowed to send."""
    command = [sys.executable, "-m", "tests.client.rate_limited_process", url, str(LIMIT), str(WINDOW), str(SECONDS)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return [moment for process in running for moment in json.loads(process.communicate(timeout=60)[0])]


def acquired_by_threads(url: str, threads: int) -> list[float]:
    limiter = SlidingWindow({"writes": LIMIT}, store(url), window=WINDOW)
    end = time.monotonic() + SECONDS
    with ThreadPoolExecutor(threads) as pool:
        return [moment for times in pool.map(lambda _: acquire_until(limiter, end), range(threads)) for moment in times]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder for this test only."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def count(tmp_path: Path) -> str:
    return str(tmp_path / "count.sqlite")


# What is counted


def test_a_limit_that_is_used_up_has_to_be_waited_for(count: str) -> None:
    limiter = SlidingWindow({"writes": 3}, store(count), window=30)

    assert [limiter.try_acquire("writes") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert 29 < limiter.try_acquire("writes") <= 30.01
    assert 29 < limiter.try_acquire("writes") <= 30.01


def test_a_request_that_has_to_wait_is_not_counted(count: str) -> None:
    limiter = SlidingWindow({"writes": 1}, store(count), window=0.2)
    assert limiter.try_acquire("writes") == 0
    for _ in range(20):
        assert limiter.try_acquire("writes") > 0

    time.sleep(limiter.try_acquire("writes"))  # noqa: TID251

    assert limiter.try_acquire("writes") == 0


def test_the_check_before_a_write_runs_while_it_waits_too(count: str) -> None:
    limiter = SlidingWindow({"writes": 1, "reads": 1}, store(count), window=30)
    checks: list[bool] = []

    with check_before_write(lambda: checks.append(True)):
        assert [limiter.try_acquire("writes") > 0 for _ in range(3)] == [False, True, True]
        limiter.try_acquire("reads")

    assert len(checks) == 3


def test_kinds_are_counted_separately_and_0_means_no_limit(count: str) -> None:
    limiter = SlidingWindow(PER_MINUTE, store(count))

    assert [limiter.try_acquire("reads") > 0 for _ in range(3)] == [False, False, True]
    assert [limiter.try_acquire("writes") > 0 for _ in range(2)] == [False, True]
    assert not any(limiter.try_acquire("deletes") for _ in range(100))


@pytest.mark.usefixtures("temporary")
def test_the_window_is_a_little_longer_than_a_minute() -> None:
    limiter = rate_limiter({"writes": 1}, pacing_url="", key="k", base_url="https://example.com")

    assert limiter.try_acquire("writes") == 0
    assert 60.4 < limiter.try_acquire("writes") <= MINUTE + SLACK + 0.01


@pytest.mark.usefixtures("temporary")
def test_without_limits_nothing_is_counted() -> None:
    assert isinstance(
        rate_limiter({"reads": 0, "writes": 0}, pacing_url="", key="k", base_url="https://x.com"), NoLimit
    )


@pytest.mark.usefixtures("temporary")
def test_clients_with_the_same_key_and_server_share_a_limit() -> None:
    def is_allowed(key: str, base_url: str) -> bool:
        return rate_limiter({"writes": 1}, pacing_url="", key=key, base_url=base_url).try_acquire("writes") == 0

    assert is_allowed("k", "https://example.com")
    assert not is_allowed("k", "https://example.com")
    assert is_allowed("other", "https://example.com")
    assert is_allowed("k", "https://example.org")


def test_clients_of_one_key_share_a_file(sandbox: Sandbox, new_client: NewClient, temporary: Path) -> None:
    first, second = (new_client(reads_per_minute=3, base_url=sandbox.url + slash) for slash in ("", "/"))
    first.campaigns.list()
    second.campaigns.list()
    first.campaigns.list()

    (count,) = (each for each in (temporary / f"airflow-provider-salesblink-{os.getuid()}").glob("*.sqlite"))
    assert sandbox.key not in count.name
    assert rate_limiter({"reads": 3}, pacing_url=f"file://{count}", key="", base_url="").try_acquire("reads") > 0


class FakeRateLimiter:
    """Records what is acquired, and asks to wait now and then."""

    def __init__(self, *waits: float) -> None:
        self.acquired: list[str] = []
        self._waits = iter(waits)

    def try_acquire(self, kind: RequestKind) -> float:
        wait = next(self._waits, 0.0)
        self.acquired += [] if wait else [kind]
        return wait


@every_call_of_each_api
def test_every_request_is_counted(sandbox: Sandbox, scene: Scene, call: Documented) -> None:
    sandbox.fault(call.operation, "429", times=2)
    if call.after_loss != "stop":
        sandbox.fault(call.operation, "reset", times=2)
    limiter = FakeRateLimiter()
    policy = replace(HASTE, import_time=0.0)
    package = {"classic": classic, "v1": v1}[call.api]
    requestor = Requestor(sandbox.url, package.PREFIX, sandbox.key, policy=policy, rate_limiter=limiter, timeout=5)
    client: Any = package.Api(requestor)

    with suppress(NotFoundError):  # The blocklist has no entry with the id of this call.
        call.make(client, scene)
    requestor.close()

    tiers = {"GET": "reads", "POST": "writes", "PATCH": "writes", "PUT": "deletes", "DELETE": "deletes"}
    assert limiter.acquired == [tiers[request.method] for request in sandbox.requests]
    assert len(call.among(sandbox.requests, scene)) >= (3 if call.after_loss == "stop" else 5)


def test_a_request_waits_until_it_may_be_sent(sandbox: Sandbox) -> None:
    waits: list[float] = []
    requestor = Requestor(
        sandbox.url,
        "/api",
        sandbox.key,
        policy=HASTE,
        rate_limiter=FakeRateLimiter(7.0, 0.5),
        timeout=5,
        sleep=waits.append,
    )

    requestor.read("campaigns")
    requestor.close()

    assert waits == [7.0, 0.5]
    assert len(sandbox.requests) == 1


# Sharing


def test_threads_share_a_limit(count: str) -> None:
    assert_kept_and_used(acquired_by_threads(count, 8))


def test_processes_share_a_limit(count: str) -> None:
    assert_kept_and_used(acquired_by_processes(count, 3))


FORKING = """
import os, sys
from tests.client.rate_limited_process import store
from airflow_provider_salesblink.client.rate_limit import SlidingWindow
limiter = SlidingWindow({"writes": 4}, store(sys.argv[1]))
assert limiter.try_acquire("writes") == 0
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        os._exit(0 if limiter.try_acquire("writes") == 0 else 1)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
assert limiter.try_acquire("writes") == 0
assert limiter.try_acquire("writes") > 0
"""


def test_forked_children_share_a_limit(count: str) -> None:
    subprocess.run([sys.executable, "-c", FORKING, count], cwd=ROOT, check=True, timeout=60)


def test_the_clock_is_read_under_the_lock(count: str) -> None:
    limiter = SlidingWindow({"writes": 2}, store(count), window=30)
    assert limiter.try_acquire("writes") == 0
    with ThreadPoolExecutor(1) as other:
        with FileLock(f"{count}.lock"):
            acquiring = other.submit(limiter.try_acquire, "writes")
            time.sleep(0.3)  # noqa: TID251
            assert not acquiring.done()
            freed = time.time() * 1000
        assert acquiring.result() == 0

    with sqlite3.connect(count) as counted:
        assert counted.execute("SELECT max(item_timestamp) FROM writes").fetchone()[0] >= int(freed)


def test_after_the_clock_is_set_back_a_request_waits_one_window_at_most(
    count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = SimpleNamespace(time_ns=lambda: time.time_ns() + 3600 * 10**9, time=time.time, monotonic=time.monotonic)
    with monkeypatch.context() as an_hour_ago:
        for module in (rate_limit_stores, rate_limit):
            an_hour_ago.setattr(module, "time", ahead)
        limiter = SlidingWindow({"writes": 2}, store(count), window=30)
        assert [limiter.try_acquire("writes"), limiter.try_acquire("writes")] == [0, 0]

    # They count as sent just now.
    assert 29 < limiter.try_acquire("writes") <= 30.01
    assert SlidingWindow({"writes": 3}, store(count), window=30).try_acquire("writes") == 0


# Where requests are counted


def test_the_folder_of_the_counts_belongs_to_its_user(temporary: Path) -> None:
    assert rate_limiter(PER_MINUTE, pacing_url="", key="k", base_url="https://x.com").try_acquire("writes") == 0

    (folder,) = temporary.iterdir()
    assert folder.name == f"airflow-provider-salesblink-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def file_instead(folder: Path) -> None:
    folder.touch()


def link_instead(folder: Path) -> None:
    folder.symlink_to(tempfile.mkdtemp(dir=folder.parent), target_is_directory=True)


def broken_link_instead(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def writable_for_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def writable_for_a_group(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


def owned_by_another_user(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 12345, 12345)


@pytest.mark.parametrize(
    "prepare",
    [file_instead, link_instead, broken_link_instead, writable_for_all, writable_for_a_group, owned_by_another_user],
)
def test_a_folder_that_others_could_change_is_not_used(new_client: NewClient, temporary: Path, prepare: Any) -> None:
    prepare(temporary / f"airflow-provider-salesblink-{os.getuid()}")

    with pytest.raises(InvalidInputError, match=r"not a folder that only this user can write to: remove it, or"):
        new_client(writes_per_minute=1)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://host", "http://host", "redis", "redis:host", "REDIS://host", "file:", "file://", "file:///"[:-1],
        "file://relative/path", "/absolute/path", "relative", "://", "redis:/x", "[", "http://[bad", " ",
    ],
)  # fmt: skip
def test_a_pacing_url_without_a_store_is_refused(new_client: NewClient, url: str) -> None:
    with pytest.raises(InvalidInputError, match="pacing_url is neither"):
        new_client(writes_per_minute=1, pacing_url=url)


def test_pacing_url_may_name_a_file(new_client: NewClient, tmp_path: Path) -> None:
    new_client(reads_per_minute=5, pacing_url=f"file://{tmp_path}/a%20folder/count.sqlite").campaigns.list()

    assert (tmp_path / "a folder" / "count.sqlite").exists()


def folder_instead(path: Path) -> None:
    path.mkdir()


def no_database(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)


def below_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


@pytest.mark.parametrize("prepare", [folder_instead, no_database, below_a_file])
def test_a_store_that_cannot_be_used_sends_nothing(
    sandbox: Sandbox, new_client: NewClient, campaign: CampaignUnderTest, tmp_path: Path, prepare: Any
) -> None:
    path = tmp_path / "counts" / "count.sqlite"
    path.parent.mkdir()
    prepare(path)
    client = new_client(reads_per_minute=5, writes_per_minute=5, pacing_url=f"file://{path}")

    for call, method in (
        (client.campaigns.list, "GET"),
        (lambda: client.prospects.add(campaign.id, {"Email": "a@x.com"}), "POST"),
    ):
        with pytest.raises(
            ConnectionFailedError, match=r"The request count cannot be kept in .*; nothing was sent"
        ) as e:
            call()
        assert (e.value.method, e.value.path[:5]) == (method, "/api/")
    assert sandbox.requests == []


def test_a_store_is_used_once_it_works_again(new_client: NewClient, tmp_path: Path) -> None:
    path = tmp_path / "count.sqlite"
    no_database(path)
    client = new_client(reads_per_minute=5, pacing_url=f"file://{path}")
    with pytest.raises(ConnectionFailedError):
        client.campaigns.list()

    path.unlink()

    assert client.campaigns.list() == []


# Redis


def test_processes_share_a_limit_in_redis(redis_url: str) -> None:
    assert_kept_and_used(acquired_by_processes(redis_url, 3))


def test_threads_share_a_limit_in_redis(redis_url: str) -> None:
    assert_kept_and_used(acquired_by_threads(redis_url, 8))


def test_clients_share_a_limit_in_redis(redis_url: str, redis_server: Any, new_client: NewClient) -> None:
    for _ in range(2):
        new_client(reads_per_minute=3, pacing_url=redis_url).campaigns.list()

    assert all(key.startswith(b"salesblink:") for key in redis_server.client().scan_iter())
    (key,) = redis_server.client().keys("*:reads")
    assert redis_server.client().zcard(key) == 2
    assert 60_000 < redis_server.client().pttl(key) < 62_000


def test_machines_whose_clocks_differ_share_a_limit_in_redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limiters = [SlidingWindow({"writes": 2}, store(redis_url)) for _ in range(3)]
    truth = time.time_ns()
    waits = []
    for limiter, ahead in zip(limiters, (0, 3600, -3600), strict=True):
        monkeypatch.setattr(time, "time_ns", lambda ahead=ahead: truth + ahead * 10**9)
        waits.append(limiter.try_acquire("writes"))

    assert waits[:2] == [0.0, 0.0]
    assert 59 < waits[2] <= MINUTE + SLACK + 0.01


def test_after_the_clock_of_redis_is_set_back_nobody_waits_for_the_time_that_it_showed(
    redis_url: str, redis_server: Any
) -> None:
    server = redis_server.client()
    limiter = SlidingWindow({"writes": 2}, store(redis_url))
    assert [limiter.try_acquire("writes"), limiter.try_acquire("writes")] == [0, 0]
    (key,) = server.keys("*:writes")
    in_an_hour = (time.time() + 3600) * 1000
    for request in server.zrange(key, 0, -1):
        server.zadd(key, {request: in_an_hour})

    assert 59 < limiter.try_acquire("writes") <= MINUTE + SLACK + 0.01

    # A server that started while its clock was wrong.
    server.hset(rate_limit_stores.MEMORY_KEY, "since", int(in_an_hour))
    assert 65 < limiter.try_acquire("writes") <= MINUTE + SLACK + 10.01
    assert float(server.hget(rate_limit_stores.MEMORY_KEY, "since")) < in_an_hour


def test_a_client_with_a_smaller_limit_waits_for_its_own_room(redis_url: str) -> None:
    large, small = (SlidingWindow({"writes": limit}, store(redis_url), window=1.0) for limit in (4, 2))
    for _ in range(2):
        assert large.try_acquire("writes") == 0
    time.sleep(0.3)  # noqa: TID251
    for _ in range(2):
        assert large.try_acquire("writes") == 0

    assert 0.9 < small.try_acquire("writes") <= 1.01
    assert 0.6 < large.try_acquire("writes") <= 0.71


def test_redis_may_forget_scripts_and_counts(redis_url: str, redis_server: Any) -> None:
    limiter = SlidingWindow({"writes": 1}, store(redis_url))
    assert limiter.try_acquire("writes") == 0
    redis_server.client().script_flush()
    assert limiter.try_acquire("writes") > 0
    redis_server.client().flushall()
    count_at_once(redis_server)
    assert limiter.try_acquire("writes") == 0


def test_when_redis_refuses_the_password_nothing_is_sent(sandbox: Sandbox, new_client: NewClient) -> None:
    with new_server() as server:
        server.client().config_set("requirepass", "right")
        for url in (f"redis://:secret@127.0.0.1:{server.port}", "redis://:secret@127.0.0.1:port"):
            client = new_client(reads_per_minute=5, pacing_url=url)
            with pytest.raises(ConnectionFailedError, match="kept in the Redis server of pacing_url") as caught:
                client.campaigns.list()
            assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert sandbox.requests == []


def test_redis_without_its_library_is_an_error(monkeypatch: pytest.MonkeyPatch, new_client: NewClient) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(InvalidInputError, match=r"install airflow-provider-salesblink\[redis\]"):
        new_client(writes_per_minute=1, pacing_url="redis://127.0.0.1")
