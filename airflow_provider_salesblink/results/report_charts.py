"""The bars of a report's charts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from airflow_provider_salesblink.results import report_numbers as numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_BARS = 62
WIDTH = 300
HEIGHT = 60
_GAP = 0.15
_LEAST_HEIGHT = 1.5
"""A bar for a single event must be visible next to one for thousands."""


@dataclass(frozen=True)
class Bar:
    """A bar of a chart, in the units of its view box, with what to show when somebody points at it."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Chart:
    """One measure over time.

    :param highest: the highest bar's count.
    :param peak: the same in words, and when it was; empty without events.
    """

    title: str
    total: int
    highest: int
    peak: str
    start: str
    end: str
    bars: list[Bar]


@dataclass(frozen=True)
class Steps:
    """Counts over time: for each day, or where these are too many, for each week or month.

    :param name: "day", "week" or "month".
    :param counts: the counts of each step by its first day, without gaps, in their order.
    """

    name: str
    counts: dict[date, Counter[str]]


def steps(days: Mapping[date, Counter[str]]) -> Steps:
    """Return the steps of a time, at most about 60 of days or weeks.

    :param days: the counts of each day on which something happened, in their order.
    """
    if not days:
        return Steps("day", {})
    first, last = min(days), max(days)
    name, begin = _step(first, last)
    counts: dict[date, Counter[str]] = {}
    for offset in range((last - first).days + 1):
        each = first + timedelta(days=offset)
        counts.setdefault(begin(each), Counter()).update(days.get(each, ()))
    return Steps(name, counts)


def charts(over_time: Steps, titles: Mapping[str, str]) -> list[Chart]:
    """Return a chart for each measure that has a title. All have the same steps, at least one."""
    return [_chart(title, measure, over_time) for measure, title in titles.items()]


def _step(first: date, last: date) -> tuple[str, Callable[[date], date]]:
    """Return what a bar is, and a function that returns the first day of the bar of a day."""
    length = (last - first).days + 1
    if length <= MOST_BARS:
        return "day", lambda each: each
    if length <= MOST_BARS * 7:
        return "week", lambda each: each - timedelta(days=each.weekday())
    return "month", lambda each: each.replace(day=1)


def _chart(title: str, measure: str, over_time: Steps) -> Chart:
    step, counts = over_time.name, {start: found[measure] for start, found in over_time.counts.items()}
    highest = max(counts.values())
    when = next(start for start, count in counts.items() if count == highest)
    peak = f"most: {highest:,} {_on(step, when)}" if highest else ""
    slot = WIDTH / max(len(counts), 7)
    bars = [
        _bar(slot, position, count / highest, f"{_name(step, start)}: {count:,}")
        for position, (start, count) in enumerate(counts.items())
        if count
    ]
    edges = (numbers.day(min(counts)), numbers.day(max(counts)))
    return Chart(title, sum(counts.values()), highest, peak, *edges, bars)


def _bar(slot: float, position: int, share: float, label: str) -> Bar:
    height = max(share * HEIGHT, _LEAST_HEIGHT)
    gap = slot * _GAP
    return Bar(
        round(position * slot + gap / 2, 2), round(HEIGHT - height, 2), round(slot - gap, 2), round(height, 2), label
    )


def _on(step: str, start: date) -> str:
    return f"on {numbers.short_day(start)}" if step == "day" else f"in {_name(step, start)}"


def _name(step: str, start: date) -> str:
    if step == "day":
        return numbers.day(start)
    return f"the {step} from {numbers.day(start)}"
