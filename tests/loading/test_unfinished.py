"""A load that was interrupted goes on without reading the campaign again, and only where that is safe."""

from __future__ import annotations

import json
import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_salesblink.client import AuthenticationError, BudgetSpentError, RateLimitedError, SalesBlinkError
from airflow_provider_salesblink.loading import unfinished
from airflow_provider_salesblink.loading.reservations import LONGEST_UNSENT
from airflow_provider_salesblink.loading.row_numbers import Runs, in_runs
from airflow_provider_salesblink.loading.rows import ColumnNames, from_mappings
from tests.loading.people import accounted_for, assert_each_once, people, reads, writes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_salesblink.client import SalesBlinkClient
    from airflow_provider_salesblink.loading import Report
    from airflow_provider_salesblink.sandbox import Sandbox
    from tests.conftest import CampaignUnderTest


class Shelf:
    """A memory that holds what Airflow's would: JSON."""

    def __init__(self) -> None:
        self.text: str | None = None

    def take(self) -> dict[str, Any] | None:
        text, self.text = self.text, None
        return json.loads(text) if text else None

    def keep(self, left: dict[str, Any]) -> None:
        self.text = json.dumps(left)


class Listed:
    """Rows that can be read again."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Any]:
        return from_mappings(self._rows, ColumnNames())


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def stop_after(sandbox: Sandbox, writes: int, call: str = "prospect-add", status: int = 401) -> None:
    sandbox.fault(call, "slow", seconds=0.0, times=writes)
    sandbox.fault(call, "status", status=status, times=None)


def interrupted(
    sandbox: Sandbox, load_rows: Callable[..., Report], rows: Any, shelf: Shelf, after: int = 10, **options: Any
) -> None:
    stop_after(sandbox, after, options.pop("call", "prospect-add"))
    with pytest.raises(AuthenticationError):
        load_rows(Listed(rows), owner="a", settle=0, memory=shelf, **options)
    sandbox.clear_faults()


def gone_on(load_rows: Callable[..., Report], rows: Any, shelf: Shelf, **options: Any) -> Report:
    return load_rows(Listed(rows), owner="a", settle=0, memory=shelf, **options)


def test_it_goes_on_without_a_read_and_tells_of_all(
    sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf
) -> None:
    rows = [*people(30), {"Email": "nobody"}, {"First Name": "Ana"}, *people(2)]

    interrupted(sandbox, load_rows, rows, shelf)
    report = gone_on(load_rows, rows, shelf, max_rejected=2)

    assert_each_once(sandbox, people(30))
    assert reads(sandbox) == 1
    assert (report.added, report.planned.rejected, report.planned.repeats) == (30, 2, 2)
    assert accounted_for(report) == len(rows)
    assert report.first_rejects == ["row 31: Its 'Email' is no e-mail address.", "row 32: It has no 'Email'."]
    assert shelf.text is None


def test_what_is_kept_is_small_and_names_nobody(
    sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf
) -> None:
    interrupted(sandbox, load_rows, people(3000), shelf)

    assert "p1" not in (shelf.text or "")
    assert "@" not in (shelf.text or "")
    assert 0 < len(shelf.text or "") < 1000


def test_updates_and_unsubscribes_go_on_too(
    sandbox: Sandbox, campaign: CampaignUnderTest, load_rows: Callable[..., Report], shelf: Shelf
) -> None:
    rows = people(40)
    for row in rows:
        sandbox.add_person(campaign.id, {**row, "First Name": "Old"})
    for row in people(3, start=100):
        sandbox.add_person(campaign.id, row)

    interrupted(sandbox, load_rows, rows, shelf, call="prospect-update", mode="mirror")
    sent = len(writes(sandbox))
    report = gone_on(load_rows, rows, shelf, mode="mirror")

    assert (report.updated, report.unsubscribed, reads(sandbox)) == (40, 3, 1)
    assert [person.fields["First Name"] for person in sandbox.people()][:40] == [row["First Name"] for row in rows]
    assert [person.unsubscribed for person in sandbox.people()] == [False] * 40 + [True] * 3
    assert len(writes(sandbox)) - sent == 33


def test_the_budget_of_a_load_that_goes_on_is_all_its_calls_together(
    sandbox: Sandbox, new_client: Callable[..., SalesBlinkClient], load_rows: Callable[..., Report], shelf: Shelf
) -> None:
    rows = people(30)
    with pytest.raises(BudgetSpentError) as spent:
        gone_on(load_rows, rows, shelf, client=new_client(writes_per_minute=7), longest_wait=1)
    assert spent.value.report.added == 7

    assert gone_on(load_rows, rows, shelf).added == 30
    assert reads(sandbox) == 1


def another_input(rows: list[dict[str, str]], _: Shelf) -> list[dict[str, str]]:
    return [*rows[:-1], {**rows[-1], "Company": "Northwind"}]


def an_old_reading(rows: list[dict[str, str]], shelf: Shelf) -> list[dict[str, str]]:
    shelf.keep({**json.loads(shelf.text or ""), "read": time.time() - LONGEST_UNSENT - 1})
    return rows


def a_clock_that_went_back(rows: list[dict[str, str]], shelf: Shelf) -> list[dict[str, str]]:
    shelf.keep({**json.loads(shelf.text or ""), "read": time.time() + 100})
    return rows


@pytest.mark.parametrize("change", [another_input, an_old_reading, a_clock_that_went_back])
def test_where_it_may_be_wrong_the_campaign_is_read(
    change: Callable[..., Any], sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf
) -> None:
    rows = people(30)
    interrupted(sandbox, load_rows, rows, shelf)
    rows = change(rows, shelf)

    report = gone_on(load_rows, rows, shelf)

    assert_each_once(sandbox, rows)
    assert reads(sandbox) == 2
    assert (report.added, report.planned.there) == (20, 10)


def test_another_mode_is_another_load(sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf) -> None:
    rows = people(30)
    interrupted(sandbox, load_rows, rows, shelf)

    gone_on(load_rows, rows, shelf, mode="upsert")

    assert reads(sandbox) == 2


def test_somebody_in_doubt_is_looked_for(sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf) -> None:
    rows = people(30)
    sandbox.fault("prospect-add", "reset", when="after", times=3)

    interrupted(sandbox, load_rows, rows, shelf)

    assert shelf.text is None
    gone_on(load_rows, rows, shelf)
    assert_each_once(sandbox, rows)


def test_a_run_that_was_killed_after_taking_it_up_leaves_nothing_to_go_on_from(
    sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf
) -> None:
    rows = people(60)
    interrupted(sandbox, load_rows, rows, shelf)
    seen: list[str | None] = []

    class Watched(Listed):
        def __iter__(self) -> Iterator[Any]:
            seen.append(shelf.text)
            return super().__iter__()

    load_rows(Watched(rows), owner="a", settle=0, memory=shelf)

    assert seen == [None]
    assert_each_once(sandbox, rows)


def test_whom_another_load_added_meanwhile_is_not_added_again(
    sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf
) -> None:
    rows = people(40)
    interrupted(sandbox, load_rows, rows, shelf)
    load_rows(Listed(rows[15:35]), owner="b")

    report = gone_on(load_rows, rows, shelf)

    assert_each_once(sandbox, rows)
    assert report.added + report.taken_by_others == 40


def test_a_rest_in_too_many_pieces_is_read_anew(
    sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf, campaign: CampaignUnderTest
) -> None:
    rows = people(2 * unfinished._MOST + 100)
    for row in rows[::2]:
        sandbox.add_person(campaign.id, row)

    interrupted(sandbox, load_rows, rows, shelf)

    assert shelf.text is None


def test_a_column_named_after_somebody_is_not_kept(
    sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf, campaign: CampaignUnderTest
) -> None:
    rows = [{**row, "ana@example.com": "x"} for row in people(20)]
    for row in rows:
        sandbox.add_person(campaign.id, {"Email": row["Email"]})

    interrupted(sandbox, load_rows, rows, shelf, call="prospect-update", mode="upsert")

    assert shelf.text is None


def test_a_429_that_lasts_tells_what_was_done(sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf) -> None:
    rows = people(30)
    sandbox.fault("prospect-add", "slow", seconds=0.0, times=10)
    sandbox.fault("prospect-add", "429", retry_after=3600, times=None)

    with pytest.raises(RateLimitedError) as limited:
        gone_on(load_rows, rows, shelf)

    assert limited.value.report.added == 10
    sandbox.clear_faults()
    assert gone_on(load_rows, rows, shelf).added == 30
    assert reads(sandbox) == 1


def test_a_store_of_reservations_that_breaks_leaves_those_in_flight_in_doubt(
    sandbox: Sandbox, load_rows: Callable[..., Report], shelf: Shelf, pacing_url: str
) -> None:
    file = Path(pacing_url.removeprefix("file://")).with_suffix(".reserved.sqlite")
    rows = people(200)
    sandbox.fault("prospect-add", "slow", seconds=0.02, times=None)

    paused = Event()

    def break_it() -> None:
        while len(sandbox.people()) < 20:
            paused.wait(0.01)
        file.unlink()
        file.mkdir()

    breaking = Thread(target=break_it)
    breaking.start()
    with pytest.raises(SalesBlinkError, match="cannot be reserved"):
        gone_on(load_rows, rows, shelf)
    breaking.join()
    file.rmdir()

    assert shelf.text is None
    gone_on(load_rows, rows, shelf)
    assert_each_once(sandbox, rows)


def test_runs_hold_the_numbers_they_were_made_of() -> None:
    numbers = [2, 3, 4, 7, 9, 10]
    runs = list(in_runs(numbers))
    assert runs == [[2, 4], [7, 7], [9, 10]]
    assert [number for number in range(20) if number in Runs(runs)] == numbers
    assert 5 not in Runs(list(in_runs([])))
