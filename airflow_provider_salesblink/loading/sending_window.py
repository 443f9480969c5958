"""The hours in which people may be added, such as ``Mon-Fri 09:00-17:00 Europe/Berlin``: pure, so a table tests it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from airflow_provider_salesblink.client.errors import InvalidInputError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*)\s+)?(?P<start>\d{1,2}:\d\d)-(?P<end>\d{1,2}:\d\d)(?:\s+(?P<zone>\S+))?",
    re.IGNORECASE | re.ASCII,
)
_DAY = timedelta(days=1)
_LONGEST_GAP = 14
"""Days until a window opens at the latest: once a week, and a change of the clocks may skip its hours once."""


@dataclass(frozen=True)
class SendingWindow:
    """Days of the week, and the hours that begin on them, in one time zone.

    :param days: the days of the week on which the hours begin, Monday is 0.
    :param start: minutes after midnight on the wall clock.
    :param end: the same, not included. If it is not after ``start``, the window ends on the next day.
    """

    text: str
    days: frozenset[int]
    start: int
    end: int
    zone: tzinfo

    def opens_in(self, now: datetime) -> timedelta:
        """Return how long it takes until the window opens; zero while it is open."""
        today = now.astimezone(self.zone).date()
        for ahead in range(-1, _LONGEST_GAP + 1):
            day = today + ahead * _DAY
            opens, closes = self._opening(day)
            if day.weekday() in self.days and now < closes and opens < closes:
                return max(timedelta(0), opens - now)
        raise AssertionError("a window opens at least once a week")

    def _opening(self, day: date) -> tuple[datetime, datetime]:
        """Return when the window that begins on a day opens and closes."""
        last_day = day + _DAY if self.end <= self.start else day
        return instant(day, self.start, self.zone), instant(last_day, self.end, self.zone)


def instant(day: date, minutes: int, zone: tzinfo) -> datetime:
    """Return a wall-clock time of a day in UTC. One that the clocks skip is as long after midnight as it says."""
    if minutes == 24 * 60:
        day, minutes = day + _DAY, 0
    return datetime.combine(day, time(*divmod(minutes, 60)), zone).astimezone(UTC)


def parse_window(text: object) -> SendingWindow:
    """Return the window that a text describes: days (all, if there are none), hours, and a time zone (UTC, likewise).

    :raises InvalidInputError: the text describes none.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f"sending_window is a {type(text).__name__}: pass a text. {_EXAMPLES}")
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise InvalidInputError(f"sending_window is not days, hours and a time zone. {_EXAMPLES}")
    start, end = _minutes(found["start"], 24 * 60 - 1), _minutes(found["end"], 24 * 60)
    if start == end:
        raise InvalidInputError("sending_window begins and ends at the same time. For whole days write 00:00-24:00.")
    days = frozenset(range(7)) if found["days"] is None else _days(found["days"].lower())
    return SendingWindow(" ".join(text.split()), days, start, end, _zone(found["zone"] or "UTC"))


_EXAMPLES = "Such as 'Mon-Fri 09:00-17:00 Europe/Berlin', 'Mon,Wed 08:30-12:00 UTC', or '22:00-06:00' for every night."


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        names = part.split("-")
        unknown = [name for name in names if name not in DAYS]
        if unknown or len(names) > 2:
            raise InvalidInputError(
                f"sending_window has days that are not Mon, Tue, Wed, Thu, Fri, Sat or Sun. {_EXAMPLES}"
            )
        first, last = DAYS.index(names[0]), DAYS.index(names[-1])
        found.update(day % 7 for day in range(first, last + 1 if first <= last else last + 8))
    return frozenset(found)


def _minutes(text: str, most: int) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > most:
        raise InvalidInputError(f"sending_window has a time that no clock shows. {_EXAMPLES}")
    return hours * 60 + minutes


def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # ZoneInfoNotFoundError, a path instead of a key, and the name of a folder of zones.
        raise InvalidInputError(
            "sending_window has a time zone that is not known here. Pass a name such as Europe/Berlin; on a system "
            "without time zones, install the package tzdata."
        ) from None
