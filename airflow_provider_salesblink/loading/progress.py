"""Log the progress of a load, and estimate the time left.

The estimate comes from the rate limit if there is one. A load begins with a burst of a whole minute's calls, or with a
wait for earlier calls, so its own speed would mislead at first.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from math import ceil
from typing import TYPE_CHECKING, Self, TypeVar

from airflow_provider_salesblink.client.rate_limit import MINUTE, SLACK

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from types import TracebackType

log = logging.getLogger(__name__)

Item = TypeVar("Item")

PROGRESS_EVERY = 10.0
"""Seconds between two lines of progress in the log."""
WINDOW = MINUTE + SLACK
"""Seconds in which a limit is counted."""
WINDOWS_TO_MEASURE = 3
"""After this many windows the speed so far counts too, because others may use the same rate limit."""


class Progress:
    """Log a line every :data:`PROGRESS_EVERY` seconds while its block runs: done, of how many, how fast, time left.

    A separate thread logs the lines, so that a long wait shows too.

    :param what: what is done, such as "people read".
    :param total: how many items there are; None if that is not known.
    :param calls: how many requests they take; by default one each.
    :param per_minute: how many requests a minute are allowed; 0 means no limit.
    :param more: more to say in each line.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        *,
        calls: int | None = None,
        per_minute: int = 0,
        more: Callable[[], str] = lambda: "",
    ) -> None:
        self._what = what
        self._total = total
        self._calls = total if calls is None else calls
        self._per_minute = per_minute
        self._more = more
        self._done = self._called = 0
        self._recent: deque[float] = deque(maxlen=per_minute or 1)
        self._last_minute: deque[float] = deque()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._log_regularly, daemon=True, name="salesblink-progress")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def step(self, calls: int = 1) -> None:
        """Count one more item as done, which took ``calls`` requests."""
        now = time.monotonic()
        self._done += 1
        self._called += calls
        if self._per_minute:
            self._recent.extend([now] * min(calls, self._per_minute))
            self._last_minute.append(now)

    def each(self, items: Iterable[Item]) -> Generator[Item, None, None]:
        """Yield ``items`` and count them."""
        for item in items:
            self._done += 1
            yield item

    def _log_regularly(self) -> None:
        while not self._over.wait(PROGRESS_EVERY):
            log.info("%s", self.line(time.monotonic()))

    def line(self, now: float) -> str:
        """Return the line for a time of the monotonic clock."""
        of = "" if self._total is None else f" / {self._total:,}"
        left = self._left(now)
        time_left = "" if left is None else f", about {in_words(left)} left"
        return f"{self._done:,}{of} {self._what}, {self._speed(now):,.1f} a minute{time_left}{self._more()}."

    def _speed(self, now: float) -> float:
        if not self._per_minute:
            return self._done / max(now - self._began, 0.001) * MINUTE
        while self._last_minute and self._last_minute[0] < now - MINUTE:
            self._last_minute.popleft()
        return len(self._last_minute)

    def _left(self, now: float) -> float | None:
        if self._calls is None:
            return None
        rest, elapsed = max(0, self._calls - self._called), now - self._began
        measured = rest * elapsed / self._called if self._called else None
        if not self._per_minute:
            return measured
        limited = seconds_for(rest, self._per_minute, self._recent, now)
        return max(limited, measured or 0.0) if elapsed > WINDOWS_TO_MEASURE * WINDOW else limited


def seconds_for(calls: int, per_minute: int, recent: Sequence[float] = (), now: float = 0.0) -> float:
    """Return the seconds until the last of ``calls`` calls may be sent; 0 without a limit.

    :param recent: when the last calls were sent, oldest first; a window's worth of them is enough.
    """
    if not per_minute or not calls:
        return 0.0
    windows = ceil(calls / per_minute)
    # The last call goes out a whole number of windows after one that was sent already; that many calls before now.
    before = windows * per_minute - calls
    if before < len(recent):
        return max(0.0, recent[-1 - before] + windows * WINDOW - now)
    return (windows - 1) * WINDOW


def in_words(seconds: float) -> str:
    """Return a duration in words, such as "2 min 1 s"."""
    if seconds < MINUTE - 0.5:
        return f"{max(1, round(seconds))} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
