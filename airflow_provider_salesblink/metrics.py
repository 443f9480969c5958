"""The metrics of this provider: which there are, and how the code without Airflow counts them.

All are counters, because every back end of Airflow adds them up alike. No name has an id, an address, or a user's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "salesblink"
"""What each name begins with, before the API's name."""

_KINDS = ("reads", "writes", "deletes")


@dataclass(frozen=True)
class Metric:
    """A counter, or several with the same beginning: one for each choice of words.

    :param unit: what is counted.
    :param when: when it is counted.
    :param words: for each further part of the name, the words that it may be.
    """

    name: str
    unit: str
    when: str
    words: tuple[tuple[str, ...], ...] = ()

    def names(self) -> Iterator[str]:
        """Yield the full names, without the prefix and the API."""
        for chosen in product(*self.words):
            yield ".".join((self.name, *chosen))


REQUESTS = Metric(
    "requests",
    "requests",
    "the answer to a request came, or it is clear that none will come",
    (_KINDS, ("ok", "rate_limited", "refused", "server_error", "unreadable", "lost", "not_sent")),
)
WAITS = Metric(
    "waits",
    "waits",
    "a call, a task or a poll begins to wait for the rate limit, or after a 429",
    ((*_KINDS, "deferrals", "polls"),),
)
WAITED_MS = Metric("waited_ms", "milliseconds", "the same; how long it waits", WAITS.words)
ADDS = Metric("adds", "people", "it is known that a task has added somebody")
AMBIGUOUS = Metric(
    "ambiguous",
    "writes",
    "the answer to a write was lost, and later when SalesBlink shows whether it was carried out",
    (("lost", "carried_out", "not_carried_out"),),
)
REJECTS = Metric("rejects", "rows", "a load ends and has refused rows")
METRICS = (REQUESTS, WAITS, WAITED_MS, ADDS, AMBIGUOUS, REJECTS)


class Observer(Protocol):
    """Takes the counts. It never raises, and threads may share it."""

    def count(self, metric: Metric, *words: str, number: int = 1) -> None:
        """Add ``number`` to a metric.

        :param words: one of the metric's words for each further part of its name.
        """


class NoMetrics:
    """An observer that keeps nothing."""

    def count(self, metric: Metric, *words: str, number: int = 1) -> None:
        """Do nothing."""


NO_METRICS = NoMetrics()


def count_wait(observer: Observer, what: str, seconds: float) -> None:
    """Count a wait and its length.

    :param what: what waits, one of the words of :data:`WAITS`.
    """
    observer.count(WAITS, what)
    observer.count(WAITED_MS, what, number=round(seconds * 1000))
