"""Decide from counts of events whether a campaign is healthy. Pure: no requests, no clock.

A rate over a limit is not enough: 2 bounces of 20 mails are 10 %, and mean nothing. A campaign is unhealthy if a rate
beyond its limit could hardly be chance: if a campaign whose true rate is exactly the limit would show so many events
among so many mails with a probability below 1 %. This is the exact (Clopper-Pearson) confidence bound of a rate.
docs/waiting.md derives the default limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CHANCE = 0.01
"""The probability with which a campaign that is exactly at a limit may count as beyond it, in one look."""
LONGEST_WINDOW = 90 * 24 * 3600.0
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Sample:
    """What became of the mails of a campaign that were sent in a window.

    :param sent: number of mails.
    :param bounced: number of bounces of the people who got one of them.
    :param unsubscribed: number of their unsubscribes.
    :param replied: number of their replies.
    """

    sent: int = 0
    bounced: int = 0
    unsubscribed: int = 0
    replied: int = 0

    def figures(self) -> dict[str, Any]:
        """Return the counts and rates for XCom."""
        counts = {
            "sent": self.sent,
            "bounced": self.bounced,
            "unsubscribed": self.unsubscribed,
            "replied": self.replied,
        }
        rates = {"bounce_rate": self.bounced, "unsubscribe_rate": self.unsubscribed, "reply_rate": self.replied}
        return {**counts, **{name: round(count / max(self.sent, 1), 4) for name, count in rates.items()}}


@dataclass(frozen=True)
class HealthLimits:
    """The limits of a healthy campaign. A rate is a share of the mails sent, None means no limit.

    :param window: seconds before a look in which the mails were sent.
    :param max_bounce_rate: highest share that bounces.
    :param max_unsubscribe_rate: highest share after which the person unsubscribes.
    :param min_reply_rate: lowest share that is replied to.
    :param min_sample: number of mails below which nothing is decided.
    :raises ValueError: a value is out of range, or no rate has a limit.
    """

    window: float
    max_bounce_rate: float | None = 0.05
    max_unsubscribe_rate: float | None = 0.02
    min_reply_rate: float | None = None
    min_sample: int = 200

    def __post_init__(self) -> None:
        rates = {name: getattr(self, name) for name in ("max_bounce_rate", "max_unsubscribe_rate", "min_reply_rate")}
        for name, rate in rates.items():
            if rate is not None and not (_is_number(rate) and 0 < rate < 1):
                raise ValueError(
                    f"{name} is {rate!r}: give a share between 0 and 1, but neither of these, such as 0.05, or None."
                )
        if not any(rates.values()):
            raise ValueError(f"{', '.join(rates)} are all None: give at least one limit.")
        if not (_is_number(self.window) and 0 < self.window <= LONGEST_WINDOW):
            raise ValueError(f"window is {self.window!r} seconds: give more than 0, and at most 90 days.")
        if type(self.min_sample) is not int or self.min_sample < 1:
            raise ValueError(f"min_sample is {self.min_sample!r}: give a number of mails, at least 1.")

    def decide(self, whole: Sample, newest: Callable[[int], Sample]) -> tuple[Sample, list[str]]:
        """Return the rates that are beyond their limits for sure, none if there are none, and the sample that shows it.

        It looks at the whole window, and then at its newest mails: the good mails before them must not hide that a list
        has turned bad.

        :param newest: returns the sample of that many newest mails in the window.
        """
        if exceeded := self.exceeded(whole):
            return whole, exceeded
        size = self.min_sample
        while size < whole.sent:
            # Replies come days later, so the newest mails have few of them.
            part = newest(size)
            if exceeded := self.exceeded(part, with_replies=False):
                return part, exceeded
            size *= 2
        return whole, []

    def exceeded(self, sample: Sample, *, with_replies: bool = True) -> list[str]:
        """Return the names of the rates that are beyond their limits for sure; none below the minimum sample."""
        if sample.sent < self.min_sample:
            return []
        beyond = {
            "bounce_rate": _is_above(sample.bounced, sample.sent, self.max_bounce_rate),
            "unsubscribe_rate": _is_above(sample.unsubscribed, sample.sent, self.max_unsubscribe_rate),
            "reply_rate": with_replies and _is_below(sample.replied, sample.sent, self.min_reply_rate),
        }
        return [name for name, is_beyond in beyond.items() if is_beyond]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_above(count: int, of: int, limit: float | None) -> bool:
    # More events than mails: there are people who reply several times.
    return limit is not None and count > of * limit and chance_of_at_least(min(count, of), of, limit) < CHANCE


def _is_below(count: int, of: int, limit: float | None) -> bool:
    # At most so many replies are at least so many mails without one.
    return limit is not None and count < of * limit and chance_of_at_least(of - count, of, 1 - limit) < CHANCE


def chance_of_at_least(count: int, of: int, rate: float) -> float:
    """Return the probability of at least ``count`` events among ``of`` mails if each has one at ``rate`` (binomial)."""
    if count <= 0:
        return 1.0
    total, term = 0.0, math.exp(_log_of_exactly(count, of, rate))
    # Above the mean the terms only get smaller.
    while count <= of and term > _NEGLIGIBLE * total:
        total += term
        term *= (of - count) / (count + 1) * rate / (1 - rate)
        count += 1
    return min(total, 1.0)


def _log_of_exactly(count: int, of: int, rate: float) -> float:
    ways = math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
    return ways + count * math.log(rate) + (of - count) * math.log1p(-rate)
