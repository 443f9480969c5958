"""The exponential backoff of Airflow's sensors, for waits that share a poll."""

from __future__ import annotations

import math
import random

_LARGEST_POWER = 64
"""The largest power of two that multiplies the first interval."""

_EARLY = 0.1
"""Part of the interval by which a poll may come early: two clocks are involved."""


class Backoff:
    """The interval of one wait. It about doubles, with jitter, each time it ends.

    Airflow's formula: after poll ``n``, a random value between ``first * 2 ** (n - 2)`` and twice that, at least one
    second. Polls that other waits cause do not count.

    :param first: seconds, Airflow's ``poke_interval``.
    :param began: when the wait began, in seconds since the epoch; possibly in another process.
    :param timeout: seconds after which the wait ends; one poll comes shortly before that.
    :param longest: the longest interval in seconds, Airflow's ``max_wait``; None or 0 for no limit.
    :param now: seconds since the epoch.
    """

    __slots__ = ("_began", "_due", "_first", "_longest", "_number", "_step", "_timeout", "interval")

    def __init__(self, first: float, *, began: float, timeout: float, longest: float | None, now: float) -> None:
        self._first = first
        self._began = began
        self._timeout = timeout
        self._longest = longest or math.inf
        # The number of polls that a wait of this age has had: Airflow's estimate for a rescheduled sensor.
        age = max(now - began, 0.0)
        self._number = int(math.log2(age / (1.5 * max(first, 1.0)) + 0.5) + 1)
        self._grow(now)
        self._keep_within(now)

    def looked(self, now: float) -> None:
        """Note that a poll begins. Lengthen the interval if it has ended."""
        if now >= self._due - _EARLY * self._step:
            self._grow(now)
        self._keep_within(now)

    def _grow(self, now: float) -> None:
        self._number += 1
        least = max(int(self._first * 2.0 ** min(self._number - 2, _LARGEST_POWER)), 1)
        self._step = min(random.uniform(least, 2 * least), self._longest)
        self._due = now + self._step

    def _keep_within(self, now: float) -> None:
        # End before the timeout, so that a change in the last interval is still found.
        rest = self._began + self._timeout - now
        self.interval = min(self._step, max(0.9 * rest, 1.0)) if rest > 0 else self._step
