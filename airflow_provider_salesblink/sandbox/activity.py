"""Life: what happens in the sandbox by itself, and how often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_salesblink.sandbox.options import SandboxUsageError, known, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HAPPENINGS = {
    "reply": "somebody who is subscribed gets the time in the column Replied",
    "unsubscribe": "somebody who is subscribed opts out",
    "pause": "a running campaign is paused",
    "unpause": "a paused campaign runs on",
    "appear": "somebody new, at example.com, joins a campaign",
}
# `unpause` comes half a turn after `pause`: at the same time, no sensor would ever see a pause.
PRESETS = {
    "calm": "reply:every=20,appear:every=30,unsubscribe:every=60,pause:every=120,unpause:every=120:after=180",
    "busy": "reply:every=2,appear:every=3,unsubscribe:every=6,pause:every=12,unpause:every=12:after=18",
}


@dataclass(frozen=True)
class Habit:
    """One thing that happens again and again.

    :param happening: one of ``HAPPENINGS``.
    :param every: seconds from one to the next.
    :param after: seconds to the first; ``every`` by default.
    :param times: how often; None = for good.
    """

    happening: str
    every: float
    after: float | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        known(self.happening, HAPPENINGS, "happening")
        for problem in self._problems():
            message = f"Happening '{self.happening}': {problem}"
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
        """Seconds from the start to the first time."""
        return self.every if self.after is None else self.after

    def __str__(self) -> str:
        often = "" if self.times is None else ", once" if self.times == 1 else f", {self.times} times"
        first = "" if self.after is None else f" from {self.after:g} s on"
        return f"{self.happening} every {self.every:g} s{first}{often}"


def parse_life(text: str) -> tuple[Habit, ...]:
    """Read comma-separated ``happening:every=seconds[:after=seconds][xN]``, or ``calm``, or ``busy``.

    ``unsubscribe:every=30x2,reply:every=20``

    ``x2`` ends it after two; without it, it goes on for good.
    """
    return tuple(habit for part in text.split(",") if part.strip() for habit in _habits(part.strip()))


def _habits(text: str) -> Iterator[Habit]:
    if text in PRESETS:
        yield from parse_life(PRESETS[text])
    else:
        yield _habit(text)


def _habit(text: str) -> Habit:
    found = re.search(r"x(\d+)$", text)
    happening, *options = (text[: found.start()] if found else text).split(":")
    if "=" in happening:
        words = ", ".join(HAPPENINGS)
        message = f"Cannot read the life '{text}'. Write happening:every=seconds, with a happening of: {words}"
        raise SandboxUsageError(message)
    known(happening, (*HAPPENINGS, *PRESETS), "happening")
    if happening in PRESETS:
        message = f"Cannot read the life '{text}': write {happening} alone, or what it stands for: {PRESETS[happening]}"
        raise SandboxUsageError(message)
    said = dict(_option(option) for option in options)
    if "every" not in said:
        message = f"Happening '{text}': needs every=..., the seconds from one to the next"
        raise SandboxUsageError(message)
    return Habit(happening, said["every"], said.get("after"), int(found[1]) if found else None)


def _option(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    known(name, ("every", "after"), "option of a happening")
    return name, number(value, name)
