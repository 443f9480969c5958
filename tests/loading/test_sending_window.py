"""The hours in which people may be added."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_salesblink.client import InvalidInputError
from airflow_provider_salesblink.loading.sending_window import parse_window

OFFICE = "Mon-Fri 09:00-17:00 Europe/Berlin"
NIGHTS = "Mon-Fri 22:00-06:00 Europe/Berlin"
IN_THE_GAP = "Sun 02:00-03:00 Europe/Berlin"
"""On 28 March 2027, the clocks in Berlin skip this hour; on 31 October 2027 they show it twice."""


def hours(many: float) -> timedelta:
    return timedelta(hours=many)


@pytest.mark.parametrize(
    ("window", "now", "opens_in"),
    [
        # 4 January 2027 is a Monday.
        (OFFICE, "2027-01-04T08:59:59+01:00", timedelta(seconds=1)),
        (OFFICE, "2027-01-04T09:00:00+01:00", hours(0)),
        (OFFICE, "2027-01-04T16:59:59+01:00", hours(0)),
        (OFFICE, "2027-01-04T17:00:00+01:00", hours(16)),
        (OFFICE, "2027-01-08T17:00:00+01:00", hours(64)),
        (OFFICE, "2027-01-04T08:00:00+00:00", hours(0)),
        (" mon-FRI 9:00-17:00  Europe/Berlin ", "2027-01-04T08:00:00+00:00", hours(0)),
        # Without days and zone: every day, in UTC.
        ("09:00-17:00", "2027-01-09T08:00:00+00:00", hours(1)),
        ("Sat,Sun 00:00-24:00", "2027-01-09T23:59:59+00:00", hours(0)),
        ("Sat,Sun 00:00-24:00", "2027-01-11T00:00:00+00:00", hours(120)),
        ("Fri-Mon 09:00-17:00 UTC", "2027-01-10T12:00:00+00:00", hours(0)),
        ("Fri-Mon 09:00-17:00 UTC", "2027-01-05T12:00:00+00:00", hours(69)),
        ("Mon,Wed-Thu 09:00-17:00 UTC", "2027-01-04T17:00:00+00:00", hours(40)),
        ("Mon 09:00-10:00 Pacific/Auckland", "2027-01-03T20:30:00+00:00", hours(0)),
        # Overnight: the hours belong to the day on which they begin.
        (NIGHTS, "2027-01-04T05:00:00+01:00", hours(17)),
        (NIGHTS, "2027-01-04T22:00:00+01:00", hours(0)),
        (NIGHTS, "2027-01-09T05:59:59+01:00", hours(0)),
        (NIGHTS, "2027-01-09T06:00:00+01:00", hours(64)),
        # The change of the clocks: the window follows the wall clock.
        (OFFICE, "2027-03-26T17:00:00+01:00", hours(63)),
        (OFFICE, "2027-10-29T17:00:00+02:00", hours(65)),
        (OFFICE, "2027-03-29T07:00:00+00:00", hours(0)),
        ("Sun 01:00-04:00 Europe/Berlin", "2027-03-28T03:30:00+02:00", hours(0)),
        ("Sun 02:30-05:00 Europe/Berlin", "2027-03-28T01:00:00+01:00", hours(1.5)),
        (IN_THE_GAP, "2027-03-28T01:59:59+01:00", timedelta(days=7, seconds=1) - hours(1)),
        (IN_THE_GAP, "2027-10-31T02:30:00+02:00", hours(0)),
        (IN_THE_GAP, "2027-10-31T02:30:00+01:00", hours(0)),
        (IN_THE_GAP, "2027-10-31T03:00:00+01:00", timedelta(days=7) - hours(1)),
        (IN_THE_GAP, "2027-03-22T12:00:00+01:00", timedelta(days=13) - hours(11)),
    ],
)  # fmt: skip
def test_when_a_window_opens(window: str, now: str, opens_in: timedelta) -> None:
    assert parse_window(window).opens_in(datetime.fromisoformat(now)) == opens_in


def test_a_window_is_open_exactly_while_the_wall_clock_shows_its_hours() -> None:
    window, berlin = parse_window(OFFICE), ZoneInfo("Europe/Berlin")
    now = datetime.fromisoformat("2027-01-01T00:00:00+00:00")
    for _ in range(365 * 48):
        shown = now.astimezone(berlin)
        is_open = shown.weekday() < 5 and 9 <= shown.hour < 17
        wait = window.opens_in(now)
        assert (not wait) == is_open, now
        assert not window.opens_in(now + wait), now
        now += timedelta(minutes=30)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not days, hours and a time zone. Such as 'Mon-Fri 09:00-17:00 Europe/Berlin'"),
        ("office hours", "is not days"),
        ("Mon-Fri 09:00", "is not days"),
        ("Mon-Fri 9-17 Europe/Berlin", "is not days"),
        ("Mo-Fr 09:00-17:00", "is not days"),
        ("Mit 09:00-17:00", "days that are not Mon, Tue"),
        ("Mon-Wed-Fri 09:00-17:00", "days that are not Mon, Tue"),
        ("09:00-25:00", "a time that no clock shows"),
        ("24:00-09:00", "a time that no clock shows"),
        ("09:60-17:00", "a time that no clock shows"),
        ("09:00-09:00", "begins and ends at the same time. For whole days write 00:00-24:00"),
        ("09:00-17:00 Europe/Bonn", "a time zone that is not known here"),
        ("09:00-17:00 Europe", "a time zone that is not known here"),
        ("09:00-17:00 ../../etc/passwd", "a time zone that is not known here"),
        (9, "is a int: pass a text"),
        (["Mon"], "is a list: pass a text"),
    ],
)
def test_a_text_that_describes_no_window_is_refused(text: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^sending_window .*{says}"):
        parse_window(text)
