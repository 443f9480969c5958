"""Activity settings: which events happen without a request, and how often. The text form of ``--life``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox.options import SandboxUsageError, parse_number, require_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HISTORY = "history"
EVENTS = {
    "reply": "a subscribed person gets the current time in the column Replied",
    "unsubscribe": "a subscribed person opts out",
    "pause": "a running campaign is paused",
    "unpause": "a paused campaign resumes",
    "appear": "a new person at example.com joins a campaign",
    "open": "a subscribed person opens a mail; only the v1 API shows it",
    "click": "a subscribed person clicks a link in a mail; only the v1 API shows it",
    "bounce": "a mail to a subscribed person bounces; only the v1 API shows it",
}
# `unpause` follows `pause` by half an interval: if both came at the same time, no sensor would ever see a pause.
PRESETS = {
    "calm": "reply:every=20,appear:every=30,unsubscribe:every=60,pause:every=120,unpause:every=120:after=180,"
    "open:every=10,click:every=30,bounce:every=90",
    "busy": "reply:every=2,appear:every=3,unsubscribe:every=6,pause:every=12,unpause:every=12:after=18,"
    "open:every=1,click:every=3,bounce:every=9",
}


@dataclass(frozen=True)
class Habit:
    """An event that repeats.

    :param happening: the event, one of ``EVENTS``.
    :param every: seconds between two events.
    :param after: seconds until the first one; ``every`` by default.
    :param times: number of events; None = no end.
    """

    happening: str
    every: float
    after: float | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        require_known(self.happening, EVENTS, "event")
        for problem in self._problems():
            message = f"Event '{self.happening}': {problem}"
            raise SandboxUsageError(message)

    def _problems(self) -> Iterable[str]:
        if not self.every > 0:
            yield "every must be longer than 0 seconds"
        if not self.first >= 0:
            yield "after must be at least 0 seconds"
        if self.times is not None and self.times < 1:
            yield "the number of times must be at least 1"

    @property
    def first(self) -> float:
        """Return the seconds from the start to the first event."""
        return self.every if self.after is None else self.after

    def __str__(self) -> str:
        times = "" if self.times is None else ", once" if self.times == 1 else f", {self.times} times"
        first = "" if self.after is None else f", first after {self.after:g} s"
        return f"{self.happening} every {self.every:g} s{first}{times}"


def parse_life(text: str) -> tuple[Habit, ...]:
    """Parse comma-separated ``event:every=seconds[:after=seconds][xN]``, or the presets ``calm`` and ``busy``.

    Example: ``unsubscribe:every=30x2,reply:every=20``. ``x2`` stops after two events; without it the event repeats
    without end. A part ``history`` is left out: it does not repeat.

    :raises SandboxUsageError: an event or an option is unknown, or a value is out of range.
    """
    return tuple(habit for part in text.split(",") if part.strip() for habit in _habits(part.strip()))


def _habits(text: str) -> Iterator[Habit]:
    if text.split(":")[0] == HISTORY:
        return
    if text in PRESETS:
        yield from parse_life(PRESETS[text])
    else:
        yield _habit(text)


def _habit(text: str) -> Habit:
    found = re.search(r"x(\d+)$", text)
    event, *options = (text[: found.start()] if found else text).split(":")
    if "=" in event:
        names = ", ".join(EVENTS)
        message = f"Cannot parse the activity '{text}'. Write event:every=seconds with one of the events: {names}"
        raise SandboxUsageError(message)
    require_known(event, (*EVENTS, *PRESETS, HISTORY), "event")
    if event in PRESETS:
        message = f"Cannot parse the activity '{text}': {event} takes no options. Write it out: {PRESETS[event]}"
        raise SandboxUsageError(message)
    values = dict(_option(option) for option in options)
    if "every" not in values:
        message = f"Event '{text}': needs every=..., the seconds between two events"
        raise SandboxUsageError(message)
    return Habit(event, values["every"], values.get("after"), int(found[1]) if found else None)


def _option(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    require_known(name, ("every", "after"), "option of an event")
    return name, parse_number(value, name)
