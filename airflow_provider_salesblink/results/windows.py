"""Which times to read: the window of a run, and how it is cut into parts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from airflow_provider_salesblink.client.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SETTLING_TIME = timedelta(minutes=1)
"""A window ends this long ago, because clocks differ and an event may be on its way."""
EVENTS_PER_PAGE = 100
_PAGES_PER_PART = 40
"""Pages to read as one part: few enough to read again when they moved, many enough that a last page that is not full
costs little."""

_MOST_STEPS = 1_000
"""Into how many parts a time is cut at most: an estimate may be absurd."""
_SKEW = timedelta(hours=1)
"""How far the clocks of two workers may differ."""
_LONGEST = timedelta(days=3650)
_FIRST_YEAR, _LAST_YEAR = 1970, 9999

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_LENGTH = re.compile(r"\s*(\d{1,6})\s*([wdhms])\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Window:
    """The times from ``since`` (included; None = the first event there is) to ``until`` (not included)."""

    since: datetime | None
    until: datetime

    def __contains__(self, time: datetime) -> bool:
        return (self.since is None or self.since <= time) and time < self.until

    @property
    def is_empty(self) -> bool:
        """Return whether no time is in the window."""
        return self.since is not None and self.since >= self.until

    def widened(self, margin: timedelta) -> Window:
        """Return the window with a margin on both sides."""
        return Window(self.since and self.since - margin, self.until + margin)


@dataclass(frozen=True)
class Density:
    """How many events are expected between two times.

    :param events: an estimate; a wrong one costs requests, but no event.
    """

    since: datetime
    until: datetime
    events: float


def parts(window: Window, expected: Iterable[Density]) -> list[Window]:
    """Cut a window into parts of about 40 pages each, oldest first. Together they are the window.

    SalesBlink filters by time but does not document the order of events. So a part is bounded by times: then it does
    not depend on the order, and when its pages move only this part is read again.
    """
    bounds: list[datetime] = []
    pages = 0.0
    for time, more in _steps(window, expected):
        pages += more
        if pages >= _PAGES_PER_PART and (not bounds or bounds[-1] < time):
            bounds.append(time)
            pages = 0.0
    starts = [window.since, *bounds]
    return [Window(since, until) for since, until in zip(starts, [*bounds, window.until], strict=True)]


def _steps(window: Window, expected: Iterable[Density]) -> Iterator[tuple[datetime, float]]:
    """Yield times inside the window, in their order, each with the pages expected since the one before."""
    for density in sorted(expected, key=lambda each: each.since):
        pages = density.events / EVENTS_PER_PAGE
        steps = min(_MOST_STEPS, max(1, ceil(pages / _PAGES_PER_PART * 4)))
        for number in range(1, steps + 1):
            time = _in_milliseconds(density.since + (density.until - density.since) / steps * number)
            if time in window and time != window.since:
                yield time, pages / steps


def expected_pages(window: Window, expected: Iterable[Density]) -> int:
    """Return about how many pages a window has, at least one."""
    return max(1, ceil(sum(_share(each, window) * each.events for each in expected) / EVENTS_PER_PAGE))


def _share(density: Density, window: Window) -> float:
    """Return the share of a density's time that is in the window."""
    length = (density.until - density.since).total_seconds()
    start = max(density.since, window.since or density.since)
    inside = (min(density.until, window.until) - start).total_seconds()
    return max(0.0, inside / length) if length > 0 else 0.0


@dataclass(frozen=True)
class Plan:
    """Which window a run reads.

    :param since: where an extraction without a cursor begins; None for the first event there is.
    :param until: where the window ends at the latest; None for now.
    :param lookback: how far before the cursor to read again, for events that arrived late.
    :param is_fixed: the window is exactly ``since`` to ``until``: the cursor is neither used nor moved.
    :param redo_from: a time that the window must contain, because a scheduled run for it is run again.
    """

    since: datetime | None = None
    until: datetime | None = None
    lookback: timedelta = timedelta(days=3)
    is_fixed: bool = False
    redo_from: datetime | None = None

    def window(self, now: datetime, cursor: datetime | None) -> Window:
        """Return the window. It ends before now: times in the future never move a cursor.

        :raises InvalidInputError: ``since`` is in the future, or not before ``until``.
        """
        latest = _in_milliseconds(now - SETTLING_TIME)
        if self.since is not None and self.since > now:
            raise InvalidInputError(
                f"since is {self.since.isoformat()}, which is in the future: give a time before now."
            )
        if self.is_fixed and self.since is not None and self.until is not None and self.since > self.until:
            raise InvalidInputError(f"{_both(self.since, self.until)}, which is before: swap them.")
        if self.is_fixed and self.since is not None and self.since == self.until:
            raise InvalidInputError(f"{_both(self.since, self.until)}: until is not included, so make it later.")
        until = latest if self.until is None else min(latest, self.until)
        if self.is_fixed or cursor is None or not is_trusted(cursor, now):
            return Window(self.since, until)
        # A clock that was ahead has left a cursor ahead of what had happened by then.
        known = cursor if cursor <= latest else latest - _SKEW
        starts = [each for each in (known, self.redo_from, until) if each is not None]
        return Window(min(starts) - self.lookback, until)


def is_trusted(cursor: datetime, now: datetime) -> bool:
    """Return whether a cursor says what has been extracted. A wrong clock has left one that is far in the future."""
    return cursor - now <= _SKEW


def parse_length(argument: str, value: object) -> timedelta:
    """Return a length of time from a ``timedelta`` or a text such as ``3d``, ``12h`` or ``90m``.

    :raises InvalidInputError: it is neither, or negative.
    """
    found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    length = timedelta(**{_UNITS[found[2].lower()]: int(found[1])}) if found else value
    if isinstance(length, timedelta) and timedelta(0) <= length <= _LONGEST:
        return length
    raise InvalidInputError(
        f"{argument} is {value!r}: give a number with a unit (w, d, h, m or s), such as '3d' or '12h', or a timedelta, "
        "of 3650 days at most."
    )


def parse_time(argument: str, value: object) -> datetime | None:
    """Return a time with a time zone from ISO text or a ``datetime``; None for None.

    A text without a time zone is in UTC, as Airflow's own (``{{ ds }}``).

    :raises InvalidInputError: it is neither, or a ``datetime`` without a time zone.
    """
    if value is None:
        return None
    time = _from_text(value) if isinstance(value, str) else value
    if not isinstance(time, datetime):
        raise InvalidInputError(
            f"{argument} is {value!r}: give a time in ISO form, such as 2026-11-25T08:00:00+00:00 (in UTC without "
            "a time zone)."
        )
    if time.utcoffset() is None:
        raise InvalidInputError(
            f"{argument} is the datetime {time.isoformat()}, which has no time zone: add one (tzinfo), or pass text, "
            "which is in UTC unless it has a time zone."
        )
    if time.year <= _FIRST_YEAR or time.year >= _LAST_YEAR:
        raise InvalidInputError(f"{argument} is {time.isoformat()}: give a time after {_FIRST_YEAR}.")
    return _in_milliseconds(time.astimezone(UTC))


def _both(since: datetime, until: datetime) -> str:
    return f"since is {since.isoformat()}, and until is {until.isoformat()}"


def in_utc(time: datetime) -> str:
    """Return a time as a log shows it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _from_text(value: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _in_milliseconds(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
