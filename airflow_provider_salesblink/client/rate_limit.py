"""The request budget: how many reads, writes and deletes a minute, shared by all who use the same key.

This module decides what is counted together, and what happens where it cannot be counted; :mod:`rate_limit_stores`
keeps the counts. It never sleeps: :meth:`RateLimiter.try_acquire` returns how long to wait.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, cast

from pyrate_limiter import Rate, RateItem

from airflow_provider_salesblink.client import rate_limit_stores
from airflow_provider_salesblink.client.errors import ConnectionFailedError, InvalidInputError
from airflow_provider_salesblink.client.rate_limit_stores import RequestKind, Store, in_file, in_redis, safe_share
from airflow_provider_salesblink.client.shared_store import StoreAwayError, store_location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pyrate_limiter import AbstractBucket, Decision

__all__ = [
    "MINUTE",
    "SLACK",
    "Budget",
    "RateLimiter",
    "RequestKind",
    "SafeBudget",
    "Unpaced",
    "check_before_write",
    "rate_limiter",
]

log = logging.getLogger(__name__)

MINUTE = 60.0
SLACK = 0.5
"""Seconds by which the counted window is longer than a minute: the time a request takes to arrive varies, and the
server counts arrivals. Costs 0.8 % of the budget."""

_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def check_before_write(check: Callable[[], None]) -> Iterator[None]:
    """Within it, ``check`` keeps this thread's requests back by raising, but for reads.

    It is asked before each time that a request asks for its place in the budget, as it may do for minutes: what allowed
    it may be over by then, unless ``check`` keeps it up. Not between its place and the request: what takes time there
    makes the server count it in another minute.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def _check_now(kind: RequestKind) -> None:
    if kind != "reads":
        _check.get()()


class RateLimiter(Protocol):
    """Who may send, and when."""

    def try_acquire(self, kind: RequestKind) -> float:
        """0.0: one request of ``kind`` is counted, send it now. Otherwise ask again in so many seconds."""


class Unpaced:
    """No budget: every request may be sent at once."""

    def try_acquire(self, kind: RequestKind) -> float:
        """Always now."""
        _check_now(kind)
        return 0.0


class Budget:
    """A budget of so many requests of a kind in any window, counted in a store that others may share.

    :param per_window: how many of each kind; a kind that is missing or 0 is not limited.
    :param window: seconds.
    """

    def __init__(self, per_window: Mapping[RequestKind, int], store: Store, *, window: float = MINUTE + SLACK) -> None:
        self._rates = {kind: [Rate(limit, int(window * 1000))] for kind, limit in per_window.items() if limit}
        self._store = store
        self._buckets: dict[tuple[int, RequestKind], AbstractBucket] = {}

    def try_acquire(self, kind: RequestKind) -> float:
        """0.0: one request of ``kind`` is counted, send it now. Otherwise ask again in so many seconds.

        :raises ConnectionFailedError: the store of the count cannot be used.
        """
        _check_now(kind)
        return self.counted(kind)

    def counted(self, kind: RequestKind) -> float:
        """As :meth:`try_acquire`, but for what :func:`check_before_write` checks.

        :raises StoreAwayError: the store of the count is away for now.
        :raises ConnectionFailedError: the store of the count cannot be used.
        """
        if kind not in self._rates:
            return 0.0
        try:
            return self._count(kind)
        except self._store.errors as error:
            if self._store.is_away(error):
                raise StoreAwayError(type(error).__name__) from None
            raise ConnectionFailedError(
                f"The request count cannot be kept in {self._store.name} ({type(error).__name__}); nothing was sent. "
                "Mend it, or point pacing_url elsewhere (empty: a file on this machine)."
            ) from None

    def _count(self, kind: RequestKind) -> float:
        bucket = self._bucket(kind)
        now = time.time_ns() // 1_000_000
        bucket.leak(now)
        decision = cast("Decision", bucket.put_decision(RateItem(kind, now)))
        return 0.0 if decision.allowed else max(decision.retry_after_ms or 0, 1) / 1000

    def _bucket(self, kind: RequestKind) -> AbstractBucket:
        # By process: neither SQLite's nor Redis' connections survive a fork, and LocalExecutor forks.
        key = (os.getpid(), kind)
        if key not in self._buckets:
            self._buckets[key] = self._store.open_bucket(kind, self._rates[kind])
        return self._buckets[key]


class SafeBudget:
    """A budget that machines share; while its store is away, this machine keeps to a safe share of it.

    :param shared: the budget of all.
    :param own: this machine's share of it.
    :param told: that share, in words.
    """

    def __init__(self, shared: Budget, own: Budget, told: str, *, retry_every: float) -> None:
        self._shared = shared
        self._own = own
        self._told = told
        self._retry_every = retry_every
        self._retry_at = 0.0
        self._away = False

    def try_acquire(self, kind: RequestKind) -> float:
        """0.0: one request of ``kind`` is counted, send it now. Otherwise ask again in so many seconds.

        :raises ConnectionFailedError: the store of the count cannot be used, or neither store.
        """
        _check_now(kind)
        now = time.monotonic()
        # Of many threads one asks whether the store is back; the others keep to the share meanwhile.
        if not self._away or now >= self._retry_at:
            self._retry_at = now + self._retry_every
            try:
                wait = self._shared.counted(kind)
            except StoreAwayError as away:
                self._tell_away(away.why)
            else:
                self._tell_back()
                return wait
        wait = self._own.counted(kind)
        return min(wait, max(1.0, self._retry_at - time.monotonic())) if wait else 0.0

    def _tell_away(self, why: str) -> None:
        if not self._away:
            self._away = True
            log.warning(
                "The Redis server of pacing_url cannot be used (%s): until it is back, this machine sends at most %s a "
                "minute, and asks for it every %.0f s.",
                why, self._told, self._retry_every,
            )  # fmt: skip

    def _tell_back(self) -> None:
        if self._away:
            self._away = False
            log.info("The Redis server of pacing_url is back: the budget is shared again.")


def rate_limiter(per_minute: Mapping[RequestKind, int], *, pacing_url: str, key: str, base_url: str) -> RateLimiter:
    """The pace of everything that uses ``key`` at ``base_url``.

    :param per_minute: how many requests of each kind; 0 is no limit.
    :param pacing_url: where the count is kept: empty for a file in this machine's temporary folder, ``file:///...``
        for a file of one's own, ``redis://...``, ``rediss://...`` or ``unix://...`` for a Redis server.
    :raises InvalidInputError: another kind of URL, or a temporary folder that others on this machine could change.
    """
    where = store_location(pacing_url, key=key, base_url=base_url)
    store = in_file(where.path) if where.path else in_redis(where.redis_url, where.name)
    if not any(per_minute.values()):
        return Unpaced()
    window = MINUTE + SLACK
    budget = Budget(per_minute, store, window=window)
    if where.path:
        return budget
    shares: dict[RequestKind, int] = {kind: safe_share(limit) for kind, limit in per_minute.items() if limit}
    told = ", ".join(f"{share} {kind}" for kind, share in shares.items())
    own = Budget(shares, in_own_file(key=key, base_url=base_url), window=window)
    return SafeBudget(budget, own, told, retry_every=rate_limit_stores.RETRY_EVERY)


def in_own_file(*, key: str, base_url: str) -> Store:
    """The count of this machine, for as long as no other can be used; its folder is looked at only then."""

    def open_bucket(kind: RequestKind, rates: list[Rate]) -> AbstractBucket:
        try:
            path = store_location("", key=key, base_url=base_url).path
        except InvalidInputError as unusable:
            raise OSError from unusable
        return in_file(cast("Path", path)).open_bucket(kind, rates)

    return Store("a file on this machine", open_bucket, (OSError, sqlite3.Error))
