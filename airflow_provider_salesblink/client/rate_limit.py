"""The rate limit: how many reads, writes and deletes a minute, shared by all clients that use the same key.

This module decides which requests are counted together, and what happens when they cannot be counted;
:mod:`rate_limit_stores` keeps the counts. It never sleeps: :meth:`RateLimiter.try_acquire` returns how long to wait.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from pyrate_limiter import Rate, RateItem

from airflow_provider_salesblink.client import rate_limit_stores
from airflow_provider_salesblink.client.errors import ConnectionFailedError, InvalidInputError
from airflow_provider_salesblink.client.rate_limit_stores import (
    RequestKind,
    Store,
    file_store,
    redis_store,
    safe_share,
)
from airflow_provider_salesblink.client.shared_store import StoreUnavailableError, store_location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pyrate_limiter import AbstractBucket, Decision

__all__ = [
    "MINUTE",
    "SLACK",
    "FallbackRateLimiter",
    "NoLimit",
    "RateLimiter",
    "RequestKind",
    "SlidingWindow",
    "check_before_write",
    "end_of_wait",
    "note_sent",
    "rate_limiter",
    "waiting_for_later_pages",
]

log = logging.getLogger(__name__)

MINUTE = 60.0
SLACK = 0.5
"""Seconds that the counted window lasts longer than a minute. The client counts when it sends and SalesBlink when the
request arrives, and that delay varies. Costs 0.8 % of the rate."""

_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def check_before_write(check: Callable[[], None]) -> Iterator[None]:
    """While active, call ``check`` before every write on this thread; it may raise to block the write.

    It runs each time that a write asks the rate limiter for permission, which can take minutes: what allowed the write
    at first may no longer hold. It does not run between the permission and the request, because a delay there would
    move the request into another of SalesBlink's minutes.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def _run_check(kind: RequestKind) -> None:
    if kind != "reads":
        _check.get()()


@dataclass
class _Pages:
    stopped: threading.Event
    first_is_sent: bool = False


_pages: ContextVar[_Pages | None] = ContextVar("pages", default=None)


@contextmanager
def waiting_for_later_pages(stopped: threading.Event) -> Iterator[None]:
    """While active, calls of this thread wait for the rate limit, all but the first, even if the client's do not wait.

    For answers of several pages: to begin again at the first page each time would use up the rate limit for nothing.

    :param stopped: ends the waits when it is set.
    """
    token = _pages.set(_Pages(stopped))
    try:
        yield
    finally:
        _pages.reset(token)


def note_sent() -> None:
    """Note that this thread sends a call."""
    pages = _pages.get()
    if pages is not None:
        pages.first_is_sent = True


def end_of_wait() -> threading.Event | None:
    """Return the event that ends the wait if this thread's next call reads a later page; None if it does not."""
    pages = _pages.get()
    return pages.stopped if pages is not None and pages.first_is_sent else None


class RateLimiter(Protocol):
    """Decides when a request may be sent."""

    def try_acquire(self, kind: RequestKind) -> float:
        """Count one request and return 0.0, or return the seconds after which to ask again."""


class NoLimit:
    """A rate limiter that lets every request through at once."""

    def try_acquire(self, kind: RequestKind) -> float:
        """Return 0.0."""
        _run_check(kind)
        return 0.0


class SlidingWindow:
    """A rate limiter that allows a number of requests of each kind within any window, counted in a store.

    :param limits: kind -> most requests in a window; a kind that is missing or 0 has no limit.
    :param store: keeps the count; clients that use the same store share the limit.
    :param window: seconds.
    """

    def __init__(self, limits: Mapping[RequestKind, int], store: Store, *, window: float = MINUTE + SLACK) -> None:
        self.window = window
        self._rates = {kind: [Rate(limit, int(window * 1000))] for kind, limit in limits.items() if limit}
        self._store = store
        self._buckets: dict[tuple[int, RequestKind], AbstractBucket] = {}

    def try_acquire(self, kind: RequestKind) -> float:
        """Count one request and return 0.0, or return the seconds after which to ask again.

        :raises ConnectionFailedError: the store cannot be used.
        """
        _run_check(kind)
        return self.try_acquire_unchecked(kind)

    def try_acquire_unchecked(self, kind: RequestKind) -> float:
        """Do what :meth:`try_acquire` does, without the check of :func:`check_before_write`.

        :raises StoreUnavailableError: the store is unavailable for now.
        :raises ConnectionFailedError: the store cannot be used.
        """
        if kind not in self._rates:
            return 0.0
        try:
            return self._count(kind)
        except self._store.errors as error:
            if self._store.is_unavailable(error):
                raise StoreUnavailableError(type(error).__name__) from None
            raise ConnectionFailedError(
                f"The request count cannot be kept in {self._store.name} ({type(error).__name__}); nothing was sent. "
                "Correct the cause, or set pacing_url to another place (empty: a file on this machine)."
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


class Pauses:
    """How long each kind of request is paused after a 429. SalesBlink limits the key, so a 429 concerns all threads.

    The thread that got the 429 is exempt from the pause: its retry waits as the policy says.
    """

    def __init__(self) -> None:
        self._until: dict[RequestKind, float] = {}
        self._waited = threading.local()
        self._lock = threading.Lock()

    def start(self, kind: RequestKind, seconds: float) -> None:
        """Pause this kind of request on all other threads."""
        until = time.monotonic() + seconds
        with self._lock:
            self._until[kind] = max(until, self._until.get(kind, 0.0))
        self.mark_waited(kind, until)

    def until(self, kind: RequestKind) -> float:
        """Return the time on the monotonic clock until which this thread has to wait; 0 if it need not."""
        until = self._until.get(kind, 0.0)
        return until if until > max(time.monotonic(), getattr(self._waited, kind, 0.0)) else 0.0

    def mark_waited(self, kind: RequestKind, until: float) -> None:
        """Exempt this thread from pauses that end at ``until`` or before."""
        setattr(self._waited, kind, max(until, getattr(self._waited, kind, 0.0)))


class FallbackRateLimiter:
    """A rate limiter shared by several machines, with a small limit of this machine for when the store is unavailable.

    The small limit applies a window after the store was lost. Until then the whole limit may just have been used up.

    :param shared: the limit of all machines.
    :param local: this machine's safe share of it.
    :param share_text: that share, for the log: "3 reads, 1 writes".
    :param retry_every: seconds between attempts to reach the shared store again.
    """

    def __init__(self, shared: SlidingWindow, local: SlidingWindow, share_text: str, *, retry_every: float) -> None:
        self._shared = shared
        self._local = local
        self._share_text = share_text
        self._retry_every = retry_every
        self._retry_at = 0.0
        self._is_unavailable = False
        self._alone_from = 0.0

    def try_acquire(self, kind: RequestKind) -> float:
        """Count one request and return 0.0, or return the seconds after which to ask again.

        :raises ConnectionFailedError: the shared store refuses the connection, or neither store can be used.
        """
        _run_check(kind)
        now = time.monotonic()
        # During an outage one thread tries the shared store; the others use the local limit meanwhile.
        if not self._is_unavailable or now >= self._retry_at:
            self._retry_at = now + self._retry_every
            try:
                wait = self._shared.try_acquire_unchecked(kind)
            except StoreUnavailableError as outage:
                self._log_outage(outage.reason)
            else:
                self._log_recovery()
                return wait
        wait = self._alone_from - time.monotonic()
        if wait <= 0:
            wait = self._local.try_acquire_unchecked(kind)
        return min(wait, max(1.0, self._retry_at - time.monotonic())) if wait else 0.0

    def _log_outage(self, reason: str) -> None:
        if not self._is_unavailable:
            self._is_unavailable = True
            self._alone_from = time.monotonic() + self._local.window
            log.warning(
                "The Redis server of pacing_url cannot be used (%s): until it is back, this machine sends nothing for "
                "%.0f s, then at most %s a minute. It tries the server every %.0f s.",
                reason, self._local.window, self._share_text, self._retry_every,
            )  # fmt: skip

    def _log_recovery(self) -> None:
        if self._is_unavailable:
            self._is_unavailable = False
            log.info("The Redis server of pacing_url is back: the rate limit is shared again.")


def rate_limiter(per_minute: Mapping[RequestKind, int], *, pacing_url: str, key: str, base_url: str) -> RateLimiter:
    """Return the rate limiter that all clients with ``key`` at ``base_url`` share.

    :param per_minute: kind -> most requests in a minute; 0 means no limit.
    :param pacing_url: where the count is kept: empty for a file in this machine's temporary folder, ``file:///...``
        for another file, ``redis://...``, ``rediss://...`` or ``unix://...`` for a Redis server.
    :raises InvalidInputError: ``pacing_url`` has another form, or other users of this machine could change the
        temporary folder.
    """
    location = store_location(pacing_url, key=key, base_url=base_url)
    store = file_store(location.path) if location.path else redis_store(location.redis_url, location.key_hash)
    if not any(per_minute.values()):
        return NoLimit()
    window = MINUTE + SLACK
    limiter = SlidingWindow(per_minute, store, window=window)
    if location.path:
        return limiter
    shares: dict[RequestKind, int] = {kind: safe_share(limit) for kind, limit in per_minute.items() if limit}
    share_text = ", ".join(f"{share} {kind}" for kind, share in shares.items())
    local = SlidingWindow(shares, _temporary_file_store(key=key, base_url=base_url), window=window)
    return FallbackRateLimiter(limiter, local, share_text, retry_every=rate_limit_stores.RETRY_EVERY)


def _temporary_file_store(*, key: str, base_url: str) -> Store:
    """Return a store in this machine's temporary folder. The folder is checked only when the store is first used."""

    def open_bucket(kind: RequestKind, rates: list[Rate]) -> AbstractBucket:
        try:
            path = store_location("", key=key, base_url=base_url).path
        except InvalidInputError as unusable:
            raise OSError from unusable
        return file_store(cast("Path", path)).open_bucket(kind, rates)

    return Store("a file on this machine", open_bucket, (OSError, sqlite3.Error))
