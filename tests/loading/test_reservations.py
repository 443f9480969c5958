"""Reservations: one load has a person, and the others wait, until the reservation ends."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client.addresses import fingerprint
from airflow_provider_salesblink.client.errors import ConnectionFailedError
from airflow_provider_salesblink.client.places import Place
from airflow_provider_salesblink.loading.reservations import (
    FileReservations,
    RedisReservations,
    Reservations,
    reservations,
)
from tests.conftest import ROOT
from tests.loading.people import assert_each_once, people

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
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


def test_a_person_is_one_load_s_and_stays_it(opened: Callable[..., Reservations]) -> None:
    first, second = opened("first"), opened("second")

    assert first.take([ANA]) == {ANA}
    assert second.take([ANA, BOB]) == {BOB}
    assert first.take([ANA, BOB]) == {ANA}
    assert opened("first").take([ANA]) == {ANA}
    assert opened("second", scope="autumn").take([ANA]) == {ANA}


def test_what_a_dead_load_has_reserved_is_free_after_a_while(opened: Callable[..., Reservations]) -> None:
    opened("dead", held_for=0.2).take([ANA])
    alive = opened("alive", held_for=0.2)
    assert alive.take([ANA]) == set()
    time.sleep(0.25)  # noqa: TID251

    assert alive.take([ANA]) == {ANA}


def test_a_reservation_that_is_taken_again_holds_as_long_again(opened: Callable[..., Reservations]) -> None:
    first, second = (opened(owner, held_for=0.6) for owner in ("first", "second"))
    first.take([ANA])
    time.sleep(0.4)  # noqa: TID251
    assert first.take([ANA]) == {ANA}
    time.sleep(0.4)  # noqa: TID251

    assert second.take([ANA]) == set()


def test_an_owner_s_unfinished_run_is_known_until_it_finishes(opened: Callable[..., Reservations]) -> None:
    assert opened("first").left_at_work() == math.inf
    opened("first").take([ANA])

    assert opened("first").left_at_work() < 5
    assert opened("second").left_at_work() == math.inf
    assert opened("first", scope="autumn").left_at_work() == math.inf
    opened("first").finish()
    assert opened("first").left_at_work() == math.inf


def test_threads_share_people_out(opened: Callable[..., Reservations]) -> None:
    everybody = [bytes([number]) * 16 for number in range(100)]

    def take(owner: str) -> list[bytes]:
        mine = opened(owner)
        return [who for start in range(0, 100, 5) for who in mine.take(everybody[start : start + 5])]

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
    dead = reservations(new_client().shared, campaign.id, "dead", held_for=1.0)
    dead.take([fingerprint(row["Email"].upper()) for row in rows[:5]])

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
from airflow_provider_salesblink.loading.reservations import FileReservations
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    FileReservations(Path(sys.argv[1]) / str(number), "spring", sys.argv[2]).take([b"a" * 16])
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


def test_a_store_that_cannot_be_used_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file, not a folder")
    place = Place("n", tmp_path / "in the way" / "pace.sqlite")

    with pytest.raises(ConnectionFailedError, match=r"People cannot be reserved in .* without that somebody could be"):
        reservations(place, "campaign", "owner")


def test_a_redis_server_that_is_not_there_is_told_in_words() -> None:
    with pytest.raises(ConnectionFailedError, match="the Redis server of pacing_url"):
        reservations(Place("n", redis_url="redis://127.0.0.1:1/0"), "campaign", "owner").take([b"who"])


def test_who_has_done_with_a_person_can_be_followed_and_who_is_at_work_cannot(
    opened: Callable[..., Reservations],
) -> None:
    first, second, third = opened("first"), opened("second"), opened("third")
    first.take([ANA])
    assert second.idle_owner(ANA) is None
    assert not second.take_over(ANA, "first")

    first.finish()

    assert second.idle_owner(ANA) == third.idle_owner(ANA) == "first"
    assert second.take_over(ANA, "first")
    # Whoever saw the first one idle comes too late for the second, even when that one has finished.
    second.finish()
    assert not third.take_over(ANA, "first")
    assert opened("fourth").take([ANA]) == set()


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
