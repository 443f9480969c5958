"""Which times a run reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_salesblink.client.errors import InvalidInputError
from airflow_provider_salesblink.results.windows import (
    SETTLING_TIME,
    Density,
    Plan,
    Window,
    expected_pages,
    parse_length,
    parse_time,
    parts,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_first_run_reads_everything_until_a_moment_ago() -> None:
    assert Plan().window(NOW, None) == Window(None, NOW - SETTLING_TIME)
    assert Plan(since=NOW - DAY).window(NOW, None) == Window(NOW - DAY, NOW - SETTLING_TIME)


def test_a_later_run_reads_the_lookback_again() -> None:
    assert Plan(since=NOW - 9 * DAY).window(NOW, NOW - DAY) == Window(NOW - 4 * DAY, NOW - SETTLING_TIME)
    assert Plan(lookback=timedelta(0)).window(NOW, NOW - DAY) == Window(NOW - DAY, NOW - SETTLING_TIME)


def test_a_cursor_that_is_a_little_ahead_hides_nothing() -> None:
    latest, ahead = NOW - SETTLING_TIME, timedelta(minutes=50)

    assert Plan(lookback=timedelta(0)).window(NOW, NOW + ahead) == Window(latest - timedelta(hours=1), latest)


def test_a_cursor_far_in_the_future_is_not_trusted() -> None:
    window = Plan(since=NOW - 9 * DAY).window(NOW, NOW + timedelta(hours=18))

    assert window == Window(NOW - 9 * DAY, NOW - SETTLING_TIME)


def test_an_interval_before_since_is_empty() -> None:
    assert Plan(since=NOW - DAY, until=NOW - 2 * DAY).window(NOW, None).is_empty


def test_a_scheduled_run_ends_with_its_interval() -> None:
    end = NOW - timedelta(hours=5)

    assert Plan(until=end).window(NOW, NOW - DAY) == Window(NOW - 4 * DAY, end)
    assert Plan(until=NOW + DAY).window(NOW, NOW - DAY).until == NOW - SETTLING_TIME


def test_a_scheduled_run_that_runs_again_reads_its_interval_again() -> None:
    start, end = NOW - 20 * DAY, NOW - 19 * DAY

    window = Plan(until=end, redo_from=start).window(NOW, NOW - DAY)

    assert window == Window(start - 3 * DAY, end)


def test_a_fixed_window_does_not_depend_on_the_cursor() -> None:
    plan = Plan(NOW - 9 * DAY, NOW - 8 * DAY, is_fixed=True)

    assert plan.window(NOW, NOW - DAY) == Window(NOW - 9 * DAY, NOW - 8 * DAY)
    assert Plan(NOW - DAY, NOW + DAY, is_fixed=True).window(NOW, None).until == NOW - SETTLING_TIME


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(since=NOW + DAY), "in the future"),
        (
            Plan(since=NOW - DAY, until=NOW - 2 * DAY, is_fixed=True),
            "since is 2026-11-24.*until is 2026-11-23.*swap them",
        ),
        (Plan(since=NOW - DAY, until=NOW - DAY, is_fixed=True), "until is not included, so make it later"),
    ],
)
def test_an_impossible_window_is_an_error(plan: Plan, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        plan.window(NOW, None)


times = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
densities = st.builds(
    lambda start, hours, events: Density(start, start + timedelta(hours=hours), events),
    times, st.integers(0, 100), st.floats(0, 1e6),
)  # fmt: skip


@given(start=times, seconds=st.integers(1, 10**9), is_open=st.booleans(), expected=st.lists(densities, max_size=5))
def test_the_parts_are_the_window(start: datetime, seconds: int, *, is_open: bool, expected: list[Density]) -> None:
    window = Window(None if is_open else start, start + timedelta(seconds=seconds))

    found = parts(window, expected)

    assert found[0].since == window.since
    assert found[-1].until == window.until
    assert all(one.until == other.since for one, other in pairwise(found))
    assert not any(part.is_empty for part in found)


def test_parts_have_about_as_many_pages_wherever_the_events_are() -> None:
    days = [Density(NOW - n * DAY, NOW - (n - 1) * DAY, 50_000 if n == 3 else 200) for n in range(1, 8)]
    window = Window(NOW - 7 * DAY, NOW)

    found = parts(window, days)

    assert 10 <= len(found) <= 14
    assert max(expected_pages(part, days) for part in found) <= 60


def test_an_absurd_estimate_costs_no_more_than_many_parts() -> None:
    found = parts(Window(None, NOW), [Density(NOW - DAY, NOW, 1e15)])

    assert len(found) <= 1001


def test_a_few_events_are_one_part() -> None:
    assert len(parts(Window(NOW - 3 * DAY, NOW), [Density(NOW - 3 * DAY, NOW, 1000)])) == 1
    assert len(parts(Window(None, NOW), [])) == 1


@pytest.mark.parametrize(
    ("text", "length"),
    [("3d", 3 * DAY), ("12h", timedelta(hours=12)), (" 90 m", timedelta(minutes=90)), ("1W", 7 * DAY),
     ("0s", timedelta(0)), (timedelta(hours=2), timedelta(hours=2))],
)  # fmt: skip
def test_a_length_of_time(text: object, length: timedelta) -> None:
    assert parse_length("lookback", text) == length


@pytest.mark.parametrize(
    "value", ["", "3", "d", "-1d", "3 days", "1.5h", 3, None, timedelta(days=-1), True, "999999w", timedelta.max]
)
def test_an_unusable_length_is_an_error_that_shows_the_form(value: object) -> None:
    with pytest.raises(InvalidInputError, match=r"lookback is .*'3d' or '12h'"):
        parse_length("lookback", value)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2026-11-25T12:00:00+00:00", NOW),
        ("2026-11-25T13:00:00+01:00", NOW),
        ("2026-11-25T12:00:00Z", NOW),
        (" 2026-11-25T12:00:00.123456 ", NOW + timedelta(milliseconds=123)),
        ("2026-11-25", NOW - timedelta(hours=12)),
        (NOW.astimezone(timezone(timedelta(hours=2))), NOW),
        (None, None),
    ],
)
def test_a_time(value: object, time: datetime | None) -> None:
    assert parse_time("since", value) == time


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01",
        "9999-12-31T23:00:00-05:00",
        "",
        "None",
        "yesterday",
        "{{ ds }}",
        1764072000000,
        datetime(2026, 11, 25),  # noqa: DTZ001
    ],
)
def test_an_unusable_time_is_an_error_that_shows_the_form(value: object) -> None:
    with pytest.raises(InvalidInputError, match=r"since is"):
        parse_time("since", value)
