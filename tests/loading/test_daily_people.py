"""Loads that add so many new people a day, together."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AuthenticationError, ConnectionFailedError, InvalidInputError
from airflow_provider_salesblink.client.identity import fingerprint
from airflow_provider_salesblink.loading import RunOptions, reservations_retry
from airflow_provider_salesblink.loading.add_schedule import AddsPausedError
from airflow_provider_salesblink.loading.daily_counts import MOST_DAYS
from airflow_provider_salesblink.loading.read_back import MOST_RESENDS, NEVER_SHOWN
from airflow_provider_salesblink.sandbox import V1Rules
from tests.apis import BOTH
from tests.conftest import ROOT
from tests.loading.daily_loader import DAY, FIRST_DAY, simulated
from tests.loading.people import addresses, assert_each_once, people
from tests.loading.processes import go, written
from tests.redis_server import new_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Request, Sandbox
    from tests.apis import Api
    from tests.conftest import CampaignUnderTest

pytestmark = pytest.mark.apis(*BOTH)

MONDAY = datetime(2027, 1, 4, 12, tzinfo=UTC)
DAILY = 20


class SetClock:
    """A clock that shows what the test says."""

    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def add(load_rows: Callable[..., Report], clock: SetClock) -> Callable[..., int]:
    """Loads, and returns how many people the load added before it ended or was paused."""

    def run(rows: list[dict[str, str]], **options: Any) -> int:
        try:
            return load_rows(rows, **{"daily_new_people": DAILY, "now": clock, **options}).added
        except AddsPausedError as pause:
            return pause.report.added

    return run


def sent(request: Request) -> list[str]:
    """The people of a request that adds people."""
    if request.method != "POST" or not request.path.endswith(("/prospect-add", "/contacts")):
        return []
    return [each["email"] for each in request.body["contacts"]] if "contacts" in request.body else [
        request.body["data"]["Email"]
    ]  # fmt: skip


# Four processes


@pytest.mark.timeout(200)
def test_four_processes_never_add_more_new_people_in_a_day_though_one_is_killed(
    api: Api, sandbox: Sandbox, campaign: CampaignUnderTest, pacing_url: str, tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    for options in ({"kind": "reset", "when": "after"}, {"kind": "status", "status": 500, "when": "before"}):
        api.fault("prospect-add", options.pop("kind"), share=0.1, **options)
    api.fault("prospect-add", "429", retry_after=0, share=0.05)
    sandbox.v1 = V1Rules(import_delay=0.1)
    # Each kind of store once: neither knows the APIs.
    url = pacing_url if api.is_v1 else request.getfixturevalue("redis_url")
    rows = people(50)
    # Each process has most of the people, in another order, and a number of its own.
    pieces = [rows[:35], rows[15:], rows[::-1], rows[25:] + rows[:25]]
    limits = [DAILY, DAILY, DAILY, DAILY // 2]
    begin = time.monotonic() + 3
    paths = [written(tmp_path / f"{number}.csv", piece) for number, piece in enumerate(pieces)]

    def new(number: int) -> subprocess.Popen[str]:
        arguments = [sandbox.url, sandbox.key, api.version, campaign.id, url, paths[number], f"load {number}"]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.loading.daily_loader", *map(str, [*arguments, limits[number], begin])],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    processes = [new(number) for number in range(4)]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            go(process)
        deadline = time.monotonic() + 60
        while not any(map(sent, sandbox.requests)):
            assert time.monotonic() < deadline
            time.sleep(0.01)  # noqa: TID251
        processes[0].kill()
        processes[0].wait()
        processes[0] = new(0)
        go(processes[0])
        ends = [process.communicate(timeout=150)[0].splitlines()[-1] for process in processes]
    finally:
        for process in processes:
            process.kill()

    sandbox.finish_imports()
    assert_each_once(sandbox, rows)
    by_day = defaultdict(set)
    for each in sandbox.requests:
        by_day[int(simulated(each.at, begin) // DAY)].update(sent(each))
    numbers = {day - int(FIRST_DAY // DAY): len(found) for day, found in sorted(by_day.items()) if found}
    assert max(numbers.values()) <= DAILY, numbers
    assert len(numbers) >= len(rows) / DAILY, numbers
    assert sum(json.loads(end)["paused"] for end in ends) >= len(rows) // DAILY


# One load


def test_a_load_adds_so_many_people_a_day_and_the_others_on_the_next_days(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report], clock: SetClock, add: Callable[..., int],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    rows = people(45)

    with pytest.raises(AddsPausedError, match=r"The 20 new people of this day \(daily_new_people\)") as paused:
        load_rows(rows, daily_new_people=DAILY, now=clock)

    assert "New people to add: 45, at most 20 a day (daily_new_people): at least 3 days." in caplog.text
    assert str(paused.value).endswith("Adds continue at 2027-01-05 00:00+00:00.")
    assert paused.value.retry_after == pytest.approx(12 * 3600 + 1)
    assert (paused.value.report.added, len(sandbox.people())) == (20, 20)
    assert add(rows) == 0
    clock.advance(seconds=paused.value.retry_after)
    assert add(rows, daily_new_people="20") == 20
    clock.advance(days=1)
    assert add(rows) == 5
    assert_each_once(sandbox, rows)
    if api.is_v1:
        assert [len(sent(each)) for each in sandbox.requests if sent(each)] == [20, 20, 5]


@pytest.mark.apis("classic")
def test_loads_share_the_count_of_a_day_each_with_its_own_number(
    sandbox: Sandbox, clock: SetClock, add: Callable[..., int]
) -> None:
    rows, other = people(60), sandbox.add_campaign("Autumn")

    assert add(rows[:5]) == 5
    assert add(rows[10:], daily_new_people=8) == 3
    # A time zone in which it is the next day already.
    assert add(rows[30:], campaign_id=other, sending_window="00:00-24:00 Pacific/Kiritimati") == 12
    assert add(rows, daily_new_people=None) == 52
    clock.advance(days=1)
    assert add(people(8, start=100), daily_new_people=8) == 8
    assert add(people(8, start=200), daily_new_people=8) == 0


@pytest.mark.apis("classic")
def test_who_was_refused_leaves_room_for_others(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report], clock: SetClock
) -> None:
    api.fault("prospect-add", "status", status=400, times=7)

    with pytest.raises(AddsPausedError) as paused:
        load_rows(people(30), daily_new_people=DAILY, now=clock, max_in_flight=1)

    assert (paused.value.report.added, paused.value.report.planned.rejected) == (20, 7)
    assert addresses(sandbox) == sorted(row["Email"] for row in people(20, start=7))


@pytest.mark.apis("classic")
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_may_have_been_added_is_counted_and_counted_once(
    when: str, api: Api, sandbox: Sandbox, add: Callable[..., int]
) -> None:
    api.fault("prospect-add", "status", status=500, when=when, times=8)

    assert add(people(30)) == 20

    assert len(sandbox.people()) == 20
    # The answer says that the person was not added, after one that left it in doubt.
    assert len({who for each in sandbox.requests for who in sent(each)}) == 20


@pytest.mark.apis("classic")
def test_a_person_in_doubt_who_is_refused_then_stays_counted(
    api: Api, sandbox: Sandbox, add: Callable[..., int]
) -> None:
    api.fault("prospect-add", "status", status=500, when="before", times=1)
    api.fault("prospect-add", "status", status=400, times=1)

    assert add(people(1), daily_new_people=1, max_rejected=1) == 0
    assert [sent(each) for each in sandbox.requests if sent(each)] == [["p0@example.com"]] * 2
    assert add(people(1, start=1), daily_new_people=1) == 0


def test_a_killed_load_wastes_some_of_the_day_and_never_exceeds_it(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], add: Callable[..., int]
) -> None:
    client, same = new_client(), {"owner": "the same load", "settling_time": 0.5}

    def dies(*_: Any, **__: Any) -> None:
        raise SystemExit

    client.prospects.send = dies  # type: ignore[method-assign]  # between the count and the request
    with pytest.raises(SystemExit):
        add(people(10), client=client, daily_new_people=10, **same)
    others = add(people(10, start=50), daily_new_people=10)
    rest = add(people(30), daily_new_people=10, **same)

    assert others < 10
    assert others + rest == len(sandbox.people()) <= 10


@pytest.mark.apis("classic")
def test_a_person_who_is_sent_after_midnight_counts_in_the_next_day(
    new_client: Callable[..., SalesBlinkClient], clock: SetClock, add: Callable[..., int]
) -> None:
    clock.now = datetime(2027, 1, 4, 23, 50, tzinfo=UTC)
    client = new_client()
    client._requestor._rate_limiter = PausedUntilTomorrow(client._requestor._rate_limiter, clock)

    assert add(people(5), client=client, daily_new_people=5, max_in_flight=1) == 5
    assert clock.now.day == 5
    assert add(people(5, start=10), daily_new_people=5) == 0


class PausedUntilTomorrow:
    """A rate limit that has room for the first write only after midnight."""

    def __init__(self, limit: Any, clock: SetClock) -> None:
        self._limit = limit
        self._clock = clock

    def try_acquire(self, kind: str) -> float:
        wait = self._limit.try_acquire(kind)
        if kind == "writes" and self._clock.now.day == 4:
            self._clock.advance(minutes=30)
            return 0.001
        return wait


@pytest.mark.apis("classic")
def test_who_is_sent_right_before_midnight_counts_in_both_days(clock: SetClock, add: Callable[..., int]) -> None:
    clock.now = datetime(2027, 1, 4, 23, 59, 30, tzinfo=UTC)
    assert add(people(15)) == 15
    clock.advance(minutes=1)

    assert add(people(15, start=20)) == 5


@pytest.mark.apis("classic")
def test_a_clock_that_is_set_back_by_days_stops_nobody_for_days(clock: SetClock, add: Callable[..., int]) -> None:
    clock.advance(days=300)
    assert add(people(20)) == 20
    clock.advance(days=-300)

    assert add(people(5, start=20)) == 0
    clock.advance(days=1)
    assert add(people(20, start=20)) == 20


@pytest.mark.apis("v1")
def test_people_who_never_show_do_not_keep_others_waiting_for_ever(
    sandbox: Sandbox, clock: SetClock, load_rows: Callable[..., Report]
) -> None:
    sandbox.v1 = V1Rules(import_loses=1.0)
    # Who was sent again often enough in an earlier part is refused in this one.
    options = {
        "daily_new_people": 4, "now": clock, "max_rejected": 9, "settling_time": 0.3,
        "done_before": {"resends": MOST_RESENDS},
    }  # fmt: skip
    for _ in range(MOST_DAYS):
        with pytest.raises(AddsPausedError):
            load_rows(people(6), **options)
        clock.advance(days=1)
    sandbox.v1 = V1Rules()

    report = load_rows(people(6), **options)

    assert (report.added, report.planned.rejected) == (2, 4)
    assert report.first_rejects[0] == f"row 1: {NEVER_SHOWN.rstrip('.')}"
    assert addresses(sandbox) == sorted(row["Email"] for row in people(2, start=4))


def test_who_was_never_sent_is_not_given_up(
    api: Api, sandbox: Sandbox, load_rows: Callable[..., Report], clock: SetClock, add: Callable[..., int]
) -> None:
    for _ in range(MOST_DAYS):
        api.fault("prospect-add", "status", status=401)
        with pytest.raises(AuthenticationError):
            load_rows(people(4), daily_new_people=4, now=clock, max_in_flight=1)
        clock.advance(days=1)

    assert add(people(4), daily_new_people=4) == 4
    assert addresses(sandbox) == sorted(row["Email"] for row in people(4))


def test_only_adds_wait_for_the_next_day(
    sandbox: Sandbox, campaign: CampaignUnderTest, add: Callable[..., int], load_rows: Callable[..., Report],
    clock: SetClock,
) -> None:  # fmt: skip
    for name in ("out", "changed", "left"):
        sandbox.add_person(campaign.id, {"Email": f"{name}@example.com", "Company": "Acme"})
    rows = [
        *({**row, "Company": "Acme", "Unsubscribed": ""} for row in people(30)),
        {"Email": "out@example.com", "Company": "Acme", "Unsubscribed": "yes"},
        {"Email": "changed@example.com", "Company": "Emca", "Unsubscribed": ""},
    ]
    options = {"mode": "mirror", "opt_out_columns": ["Unsubscribed"], "max_unsubscribes": 1.0}

    assert add(rows, **options) == 20

    found = {person.email: person for person in sandbox.people()}
    assert len(found) == 23
    assert [name for name, person in found.items() if person.unsubscribed] == ["out@example.com", "left@example.com"]
    assert found["changed@example.com"].fields["Company"] == "Emca"
    clock.advance(days=1)
    report = load_rows(rows, daily_new_people=DAILY, now=clock, **options)
    assert (report.added, report.updated, report.unsubscribed) == (10, 0, 0)


def test_who_opts_out_during_the_wait_is_not_added_after_it(
    sandbox: Sandbox, campaign: CampaignUnderTest, clock: SetClock, add: Callable[..., int]
) -> None:
    other = sandbox.add_campaign("Autumn")
    gone = sandbox.add_person(other, {"Email": "p25@example.com"})
    assert add(people(30)) == 20
    sandbox.happen("unsubscribe", to=gone)
    clock.advance(days=1)

    assert add(people(30)) == 9

    assert [person.email for person in sandbox.people(campaign.id) if person.email == "p25@example.com"] == []


# The window


def test_a_load_outside_its_window_adds_nobody_until_it_opens(
    sandbox: Sandbox, clock: SetClock, load_rows: Callable[..., Report], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    window = {"sending_window": "Mon-Fri 09:00-17:00 Europe/Berlin", "now": clock}
    clock.now = datetime(2027, 1, 8, 16, tzinfo=UTC)

    with pytest.raises(AddsPausedError, match=r"is closed. It opens at 2027-01-11 09:00\+01:00\.") as paused:
        load_rows(people(3), **window)

    assert {request.method for request in sandbox.requests} == {"GET"}
    assert "People are added only in the sending_window: Mon-Fri 09:00-17:00 Europe/Berlin." in caplog.text
    clock.advance(seconds=paused.value.retry_after)
    assert load_rows(people(3), **window).added == 3
    # Nobody is left to add, so nothing waits.
    clock.advance(days=5)
    assert load_rows(people(3), **window).planned.there == 3


@pytest.mark.apis("classic")
def test_a_window_that_closes_in_the_middle_stops_the_load(
    sandbox: Sandbox, clock: SetClock, new_client: Callable[..., SalesBlinkClient], add: Callable[..., int],
) -> None:  # fmt: skip
    client = new_client()
    send = client.prospects.send

    def send_for_a_minute(*given: Any, **options: Any) -> Any:
        clock.advance(minutes=1)
        return send(*given, **options)

    client.prospects.send = send_for_a_minute  # type: ignore[method-assign]
    options = {"client": client, "max_in_flight": 1, "sending_window": "12:00-12:05"}

    assert add(people(30), **options) == 4

    assert len(sandbox.people()) == 4
    clock.now = MONDAY + timedelta(days=1)
    assert add(people(30), **options) == 4


@pytest.mark.apis("classic")
def test_a_full_day_waits_for_the_window_of_the_next_day(load_rows: Callable[..., Report], clock: SetClock) -> None:
    clock.now = datetime(2027, 1, 8, 10, tzinfo=UTC)

    with pytest.raises(AddsPausedError, match=r"Adds continue at 2027-01-11 09:00\+00:00"):
        load_rows(people(3), daily_new_people=2, sending_window="Mon-Fri 09:00-17:00", now=clock)


# The store


@pytest.mark.apis("classic")
def test_a_server_that_comes_back_empty_ends_the_day(
    new_client: Callable[..., SalesBlinkClient], clock: SetClock, load_rows: Callable[..., Report],
    add: Callable[..., int], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(reservations_retry, "SETTLING_TIME", 0.0)
    server = new_server()
    server.start()
    port = server.port
    client = new_client(pacing_url=f"redis://127.0.0.1:{port}")
    forgotten = "was restarted or emptied today, so it may have forgotten who was added today"
    try:
        # A server that was not there when the day began.
        with pytest.raises(AddsPausedError, match=f"^the Redis server of pacing_url {forgotten}"):
            load_rows(people(30), client=client, daily_new_people=DAILY, now=clock)
        clock.advance(days=1)
        assert add(people(30), client=client) == 20
        server.terminate()
        server = new_server()
        server._desired_port = port
        server.start()
        with pytest.raises(AddsPausedError, match=forgotten):
            load_rows(people(30), client=client, daily_new_people=DAILY, now=clock)
        clock.advance(days=1)
        assert add(people(30), client=client) == 10
    finally:
        server.terminate()


@pytest.mark.apis("classic")
def test_nobody_is_added_while_people_cannot_be_counted(
    sandbox: Sandbox, tmp_path: Path, add: Callable[..., int]
) -> None:
    (tmp_path / "shared.added.sqlite").write_text("This is not a database. " * 100)

    with pytest.raises(ConnectionFailedError, match=r"New people cannot be counted in .*daily_new_people could be exc"):
        add(people(3))

    assert sandbox.people() == []


@pytest.mark.apis("classic")
def test_the_store_holds_no_address_and_no_hash_that_can_be_guessed(tmp_path: Path, add: Callable[..., int]) -> None:
    assert add(people(3)) == 3

    content = (tmp_path / "shared.added.sqlite").read_bytes()
    assert fingerprint("p0@example.com") not in content
    assert b"example.com" not in content


@pytest.mark.parametrize("number", [0, -1, True, 1.5, "", "1.5", "None", "ten", [20]])
def test_a_number_that_makes_no_sense_is_refused(number: Any) -> None:
    with pytest.raises(InvalidInputError, match="daily_new_people is not a whole number of at least 1"):
        RunOptions(daily_new_people=number)
