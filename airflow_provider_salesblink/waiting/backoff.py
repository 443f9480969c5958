"""Intervals that grow: the exponential backoff of Airflow's sensors, for those who share a poll."""

from __future__ import annotations

import math
import random

_LARGEST_POWER = 64
"""Of two; longer intervals than these have no meaning."""

_EARLY = 0.1
"""A look may come early by this part of the interval: two clocks are at work."""


class Backoff:
    """The interval of one who waits: about twice as long after each of their own looks, with a jitter.

    Airflow's formula: after look ``n``, something between ``first * 2 ** (n - 2)`` and twice that, one second at least.
    Looks that others cause do not count.

    :param first: seconds, Airflow's ``poke_interval``.
    :param began: when the wait began, in seconds since the epoch; it may have been in another process.
    :param timeout: seconds after which the wait is over; there is a look shortly before that.
    :param longest: seconds that an interval has at most, Airflow's ``max_wait``; None or 0 where there is no limit.
    :param now: seconds since the epoch.
    """

    __slots__ = ("_began", "_due", "_first", "_longest", "_number", "_step", "_timeout", "interval")

    def __init__(self, first: float, *, began: float, timeout: float, longest: float | None, now: float) -> None:
        self._first = first
        self._began = began
        self._timeout = timeout
        self._longest = longest or math.inf
        # So many looks bring about such an age, as Airflow reckons too when a sensor is rescheduled.
        age = max(now - began, 0.0)
        self._number = int(math.log2(age / (1.5 * max(first, 1.0)) + 0.5) + 1)
        self._grow(now)
        self._keep_within(now)

    def looked(self, now: float) -> None:
        """Lengthen the interval, if it is over."""
        if now >= self._due - _EARLY * self._step:
            self._grow(now)
        self._keep_within(now)

    def _grow(self, now: float) -> None:
        self._number += 1
        least = max(int(self._first * 2.0 ** min(self._number - 2, _LARGEST_POWER)), 1)
        self._step = min(random.uniform(least, 2 * least), self._longest)
        self._due = now + self._step

    def _keep_within(self, now: float) -> None:
        # Not beyond the end: what comes in the last interval would be missed.
        rest = self._began + self._timeout - now
        self.interval = min(self._step, max(0.9 * rest, 1.0)) if rest > 0 else self._step
