"""Reservations: one load holds a person, and the others wait until the reservation expires."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client.errors import ConnectionFailedError, RateLimitedError
from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.client.shared_store import StoreLocation
from airflow_provider_salesblink.loading import reservations_retry
from airflow_provider_salesblink.loading.reservations_file import FileReservations
from airflow_provider_salesblink.loading.reservations_redis import RedisReservations
from airflow_provider_salesblink.loading.reservations_retry import (
    RetryingReservations,
    open_reservations,
)
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from airflow_provider_salesblink.loading.store_retry import RETRY_PAUSE, NotReservedError
from tests.conftest import ROOT
from tests.loading.people import assert_each_once, people
from tests.redis_server import new_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.loading.reservations import Reservations
    from airflow_provider_salesblink.sandbox import Sandbox

ANA, BOB = b"a" * 16, b"b" * 16


@pytest.fixture(params=["file", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Reservations]:
    """Opens the reservations of an owner."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")

    def make(owner: str, scope: str = "spring", **options: Any) -> Reservations:
        if request.param == "file":
            return FileReservations(tmp_path / "new" / "r.sqlite", scope, owner, **options)
        from redis import Redis

        return RedisReservations(Redis.from_url(url), scope, owner, **options)

    return make


def test_a_person_stays_reserved_for_one_load(opened: Callable[..., Reservations]) -> None:
    first, second = opened("first"), opened("second")

    assert first.acquire([ANA]) == {ANA}
    assert second.acquire([ANA, BOB]) == {BOB}
    assert first.acquire([ANA, BOB]) == {ANA}
    assert opened("first").acquire([ANA]) == {ANA}
    assert opened("second", scope="autumn").acquire([ANA]) == {ANA}


def test_reservations_of_a_dead_load_expire(opened: Callable[..., Reservations]) -> None:
    opened("dead", held_for=0.2).acquire([ANA])
    alive = opened("alive", held_for=0.2)
    assert alive.acquire([ANA]) == set()
    time.sleep(0.25)  # noqa: TID251

    assert alive.acquire([ANA]) == {ANA}


def test_a_reservation_that_is_acquired_again_lasts_as_long_again(opened: Callable[..., Reservations]) -> None:
    first, second = (opened(owner, held_for=0.6) for owner in ("first", "second"))
    first.acquire([ANA])
    time.sleep(0.4)  # noqa: TID251
    assert first.acquire([ANA]) == {ANA}
    time.sleep(0.4)  # noqa: TID251

    assert second.acquire([ANA]) == set()


def test_a_reservation_is_renewed_right_before_the_person_is_sent(opened: Callable[..., Reservations]) -> None:
    first, second = (opened(owner, held_for=0.6) for owner in ("first", "second"))
    first.acquire([ANA])
    time.sleep(0.4)  # noqa: TID251
    assert first.renew([ANA])
    time.sleep(0.4)  # noqa: TID251

    assert second.acquire([ANA]) == set()


def test_an_expired_reservation_is_not_renewed(opened: Callable[..., Reservations]) -> None:
    first, second = (opened(owner, held_for=0.6) for owner in ("first", "second"))
    first.acquire([ANA])
    assert not first.renew([BOB])
    time.sleep(0.65)  # noqa: TID251

    assert not first.renew([ANA])
    assert second.acquire([ANA]) == {ANA}
    assert not first.renew([ANA])
    assert second.renew([ANA])


def test_a_load_is_active_from_the_moment_it_last_sent(opened: Callable[..., Reservations]) -> None:
    first = opened("first")
    first.acquire([ANA])
    time.sleep(0.5)  # noqa: TID251
    first.renew([ANA])

    assert opened("first").idle_for() < 0.4


def test_an_owner_s_unfinished_run_is_known_until_it_finishes(opened: Callable[..., Reservations]) -> None:
    assert opened("first").idle_for() == math.inf
    opened("first").acquire([ANA])

    assert opened("first").idle_for() < 5
    assert opened("second").idle_for() == math.inf
    assert opened("first", scope="autumn").idle_for() == math.inf
    opened("first").finish()
    assert opened("first").idle_for() == math.inf


def test_threads_share_people_out(opened: Callable[..., Reservations]) -> None:
    everybody = [bytes([number]) * 16 for number in range(100)]

    def take(owner: str) -> list[bytes]:
        mine = opened(owner)
        return [who for start in range(0, 100, 5) for who in mine.acquire(everybody[start : start + 5])]

    with ThreadPoolExecutor(4) as pool:
        taken = [who for each in pool.map(take, "abcd") for who in each]

    assert sorted(taken) == everybody


def test_two_loads_with_redis_between_them_add_nobody_twice(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], redis_url: str, load_rows: Callable[..., Report]
) -> None:
    rows = people(200)
    with ThreadPoolExecutor(2) as pool:
        loads = [pool.submit(load_rows, rows[::step], client=new_client(pacing_url=redis_url)) for step in (1, -1)]
    reports = [each.result() for each in loads]

    assert_each_once(sandbox, rows)
    assert sum(report.added for report in reports) == 200


def test_a_crashed_load_of_another_owner_is_waited_for(
    sandbox: Sandbox, load_rows: Callable[..., Report], campaign: Any, new_client: Any
) -> None:
    rows = people(10)
    dead = open_reservations(new_client().shared, campaign.id, "dead", held_for=1.0)
    dead.acquire([fingerprint(row["Email"].upper()) for row in rows[:5]])

    report = load_rows(rows, owner="alive")

    assert_each_once(sandbox, rows)
    assert (report.added, report.taken_by_others) == (10, 0)


def test_no_more_calls_wait_for_a_budget_than_a_minute_of_it_admits(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report]
) -> None:
    from airflow_provider_salesblink.client.errors import BudgetSpentError

    with pytest.raises(BudgetSpentError):
        load_rows(people(50), client=new_client(writes_per_minute=3), longest_wait=1, max_in_flight=50, owner="paced")

    left = new_client().shared.path.with_suffix(".reserved.sqlite")
    with closing(sqlite3.connect(left)) as database:
        (reserved,) = database.execute("SELECT count(*) FROM reservation").fetchone()
    assert len(sandbox.people()) == 3
    assert reserved <= 6


OPENING = """
import sys, time
from pathlib import Path
from airflow_provider_salesblink.loading.reservations_file import FileReservations
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    FileReservations(Path(sys.argv[1]) / str(number), "spring", sys.argv[2]).acquire([b"a" * 16])
"""


def test_processes_open_a_new_file_at_the_same_moment(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, str(tmp_path), str(number)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(6)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()

    assert [process.wait(60) for process in processes] == [0] * 6


def test_a_store_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file, not a folder")
    location = StoreLocation("n", tmp_path / "in the way" / "pace.sqlite")

    with pytest.raises(ConnectionFailedError, match=r"People cannot be reserved in .* without that somebody could be"):
        open_reservations(location, "campaign", "owner")


def no_sleep(_: float) -> None:
    pass


def test_a_redis_server_that_is_missing_is_an_error_that_names_it() -> None:
    location = StoreLocation("n", redis_url="redis://127.0.0.1:1/0")

    with pytest.raises(ConnectionFailedError, match="the Redis server of pacing_url"):
        open_reservations(location, "campaign", "owner", sleep=no_sleep).acquire([b"who"])


def test_an_idle_owner_can_be_taken_over_and_an_active_one_cannot(
    opened: Callable[..., Reservations],
) -> None:
    first, second, third = opened("first"), opened("second"), opened("third")
    first.acquire([ANA])
    assert second.idle_owner(ANA) is None
    assert not second.take_over(ANA, "first")

    first.finish()

    assert second.idle_owner(ANA) == third.idle_owner(ANA) == "first"
    assert second.take_over(ANA, "first")
    # The third saw the first one idle. It is too late for the second, even though that one has finished.
    second.finish()
    assert not third.take_over(ANA, "first")
    assert opened("fourth").acquire([ANA]) == set()


@pytest.mark.parametrize("store", ["file", "redis"])
def test_people_that_an_idle_load_adds_after_all_are_not_added_by_the_load_that_takes_over(
    store: str,
    sandbox: Sandbox,
    load_rows: Callable[..., Report],
    new_client: Callable[..., SalesBlinkClient],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"pacing_url": request.getfixturevalue("redis_url")} if store == "redis" else {}
    both = people(2)
    # Without look-ups: with them, the first may end with one person reserved, because they do not answer at once.
    by_campaign: dict[str, Any] = {"opt_out_scope": "campaign"}
    # The first is deferred with both people reserved.
    sandbox.fault("prospect-add", "429", retry_after=600, times=2)
    with pytest.raises(RateLimitedError):
        load_rows(both, client=new_client(**options), owner="first", **by_campaign)
    sandbox.clear_faults()
    # The second finds it idle. Before it takes the people over, the first resumes and finishes.
    take_over, first = RetryingReservations.take_over, []

    def late(self: RetryingReservations, who: bytes, owner: str) -> bool:
        if not first:
            first.append(load_rows(both, client=new_client(**options), owner="first", **by_campaign))
        return take_over(self, who, owner)

    monkeypatch.setattr(RetryingReservations, "take_over", late)
    second = load_rows(both, client=new_client(**options), owner="second", **by_campaign)

    assert_each_once(sandbox, both)
    assert first[0].added == 2
    assert (second.added, second.taken_by_others) == (0, 2)


def test_a_clock_that_was_set_makes_a_load_look_again(
    sandbox: Sandbox, load_rows: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [0.0]
    monkeypatch.setattr(
        reservations_retry, "time", SimpleNamespace(time=lambda: time.time() + ahead[0], monotonic=time.monotonic)
    )

    def rows() -> Iterator[Any]:
        yield from from_mappings(people(1), ColumnNames())
        # After this load has read the campaign: another adds the same person, and its reservation ends too soon.
        load_rows(people(1), owner="other")
        ahead[0] = 3600.0

    waits: list[float] = []
    report = load_rows(rows(), owner="one", sleep=waits.append)

    assert_each_once(sandbox, people(1))
    assert (report.added, report.taken_by_others) == (0, 1)
    assert waits == [pytest.approx(5, abs=1)], "until the other load's requests have taken effect: the client's timeout"


def test_people_who_were_taken_out_of_the_campaign_are_loaded_again(
    sandbox: Sandbox, load_rows: Callable[..., Report], campaign: Any
) -> None:
    rows = people(20)
    load_rows(rows, owner="a")
    sandbox.reset()
    sandbox.add_campaign(campaign.name, id=campaign.id)

    began = time.monotonic()
    assert load_rows(rows, owner="b").added == 20

    assert_each_once(sandbox, rows)
    assert time.monotonic() - began < 5


# A Redis server that forgets


def in_redis(redis_url: str, owner: str, **options: Any) -> RetryingReservations:
    return open_reservations(StoreLocation("n", redis_url=redis_url), "campaign", owner, **options)


def test_a_reservation_is_confirmed_until_it_is_gone(redis_url: str, redis_server: Any) -> None:
    first, second = (in_redis(redis_url, owner, settling_time=0) for owner in ("first", "second"))
    first.acquire([ANA])
    first.confirm([ANA])
    with pytest.raises(NotReservedError, match=r"does not hold the person's reservation any more; nothing was sent"):
        second.confirm([ANA])

    redis_server.client().flushall()

    with pytest.raises(NotReservedError):
        first.confirm([ANA])


def test_a_reservation_that_cannot_be_confirmed_is_none_at_once() -> None:
    waits: list[float] = []
    gone = in_redis("redis://:secret@127.0.0.1:1", "first", sleep=waits.append)

    with pytest.raises(NotReservedError, match=r"server of pacing_url cannot be used \(ConnectionError\)") as caught:
        gone.confirm([ANA])

    assert waits == []
    assert "secret" not in str(caught.value)


def test_a_server_that_is_away_is_waited_for_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with new_server() as server:
        port = server.port
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            server._desired_port = port
            server.start()

    try:
        assert in_redis(f"redis://127.0.0.1:{port}", "first", sleep=sleep, settling_time=0).acquire([ANA]) == {ANA}
    finally:
        server.terminate()

    assert waits[:3] == [RETRY_PAUSE] * 3
    assert caplog.text.count("so nobody is added until it is reachable; waiting for it for about 60 s") == 1


def test_a_server_that_refuses_who_asks_is_not_waited_for() -> None:
    waits: list[float] = []
    with new_server() as server:
        server.client().config_set("requirepass", "right")
        with pytest.raises(ConnectionFailedError, match="cannot be reserved"):
            in_redis(f"redis://127.0.0.1:{server.port}", "first", sleep=waits.append).acquire([ANA])
    assert waits == []


def test_on_a_server_that_was_just_started_what_others_may_have_under_way_is_waited_for() -> None:
    waits: list[float] = []
    with new_server() as server:
        held = in_redis(f"redis://127.0.0.1:{server.port}", "first", settling_time=30, sleep=waits.append)
        held.acquire([ANA])
        now = time.monotonic()
        assert now + 25 < held.complete_since() <= now + 30

    (waited,) = waits
    assert 25 < waited <= 30


def test_a_server_that_was_emptied_or_went_back_is_known_by_who_used_it(tmp_path: Path) -> None:
    server = new_server(data_dir=tmp_path / "data", persist=True, appendonly="yes", appendfsync="always")
    server.start()
    try:
        url, port = f"redis://127.0.0.1:{server.port}", server.port
        held = in_redis(url, "first", settling_time=0)
        held.acquire([ANA])
        time.sleep(1.1)  # noqa: TID251  # the server counts its seconds whole
        before = time.monotonic()
        held.acquire([ANA])
        assert held.complete_since() < before
        server.client().flushall()
        held.acquire([ANA])
        assert held.complete_since() > before
        server.terminate()
        server._desired_port = port
        server.start()
        restarted = time.monotonic()
        newcomer = in_redis(url, "second", settling_time=0)
        assert newcomer.acquire([ANA, BOB]) == {BOB}
        assert newcomer.complete_since() > restarted
    finally:
        server.terminate()


def test_the_end_of_a_load_does_not_need_the_server() -> None:
    gone = in_redis("redis://127.0.0.1:1", "first")

    gone.release([ANA])
    gone.finish()


def test_a_store_that_forgets_in_the_middle_makes_a_load_look_again(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report], campaign: Any,
    redis_url: str, redis_server: Any,
) -> None:  # fmt: skip
    rows = people(60)
    sandbox.fault("prospect-add", "slow", seconds=0.05, times=None)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load_rows, rows, client=new_client(pacing_url=redis_url), owner="a")
        while len(sandbox.people()) < 10:
            time.sleep(0.01)  # noqa: TID251
        # Another adds the last ones, and all that is known of it is lost.
        for row in rows[40:]:
            sandbox.add_person(campaign.id, row)
        redis_server.client().flushall()
        report = loading.result()

    assert_each_once(sandbox, rows)
    assert (report.added, report.taken_by_others) == (40, 20)
