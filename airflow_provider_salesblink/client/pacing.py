"""The request budget: how many reads, writes and deletes a minute, shared by all who use the same key.

``pyrate-limiter`` counts; this module says what is counted together, and where the count is kept: in a file that all
processes of this machine share, or in Redis for several machines. It never sleeps: :meth:`Pace.take` says how long to.
"""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, cast
from uuid import uuid4

from pyrate_limiter import AbstractBucket, Decision, Rate, RateItem, RedisBucket, SQLiteBucket

from airflow_provider_salesblink.client.errors import ConnectionFailedError, InvalidInputError
from airflow_provider_salesblink.client.places import place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from redis import Redis

Kind = Literal["reads", "writes", "deletes"]

MINUTE = 60.0
SLACK = 0.5
"""Seconds by which the counted window is longer than a minute: the time a request takes to arrive varies, and the
server counts arrivals. Costs 0.8 % of the budget."""

REDIS_TIMEOUT = 10.0
"""Seconds to wait for the Redis server."""


class Pace(Protocol):
    """Who may send, and when."""

    def take(self, kind: Kind) -> float:
        """0.0: one request of ``kind`` is counted, send it now. Otherwise ask again in so many seconds."""


class Unpaced:
    """No budget: every request may be sent at once."""

    def take(self, kind: Kind) -> float:  # noqa: ARG002
        """Always now."""
        return 0.0


@dataclass(frozen=True)
class Store:
    """Where a count is kept.

    :param name: what it is called in errors.
    :param open_bucket: opens the shared bucket of a kind.
    :param errors: what it raises when it cannot be used.
    """

    name: str
    open_bucket: Callable[[Kind, list[Rate]], AbstractBucket]
    errors: tuple[type[Exception], ...]


class Budget:
    """A budget of so many requests of a kind in any window, counted in a store that others may share.

    :param per_window: how many of each kind; a kind that is missing or 0 is not limited.
    :param window: seconds.
    """

    def __init__(self, per_window: Mapping[Kind, int], store: Store, *, window: float = MINUTE + SLACK) -> None:
        self._rates = {kind: [Rate(limit, int(window * 1000))] for kind, limit in per_window.items() if limit}
        self._store = store
        self._buckets: dict[tuple[int, Kind], AbstractBucket] = {}

    def take(self, kind: Kind) -> float:
        """0.0: one request of ``kind`` is counted, send it now. Otherwise ask again in so many seconds.

        :raises ConnectionFailedError: the store of the count cannot be used.
        """
        if kind not in self._rates:
            return 0.0
        try:
            return self._counted(kind)
        except self._store.errors as error:
            raise ConnectionFailedError(
                f"The request count cannot be kept in {self._store.name} ({type(error).__name__}); nothing was sent. "
                "Mend it, or point pacing_url elsewhere (empty: a file on this machine)."
            ) from None

    def _counted(self, kind: Kind) -> float:
        bucket = self._bucket(kind)
        now = time.time_ns() // 1_000_000
        bucket.leak(now)
        decision = cast("Decision", bucket.put_decision(RateItem(kind, now)))
        return 0.0 if decision.allowed else max(decision.retry_after_ms or 0, 1) / 1000

    def _bucket(self, kind: Kind) -> AbstractBucket:
        # By process: neither SQLite's nor Redis' connections survive a fork, and LocalExecutor forks.
        key = (os.getpid(), kind)
        if key not in self._buckets:
            self._buckets[key] = self._store.open_bucket(kind, self._rates[kind])
        return self._buckets[key]


class _FileBucket(SQLiteBucket):
    """A bucket in a file: reads the clock and counts under one hold of the lock, so that counts and times agree."""

    def put_decision(self, item: RateItem) -> Decision:
        with self.lock:
            item.timestamp = time.time_ns() // 1_000_000
            return cast("Decision", super().put_decision(item))


_COUNT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local counted = redis.call('ZCARD', KEYS[1])
if counted < limit then
    redis.call('ZADD', KEYS[1], now, ARGV[3])
    redis.call('PEXPIRE', KEYS[1], window + 1000)
    return 0
end
local leaves_room = redis.call('ZRANGE', KEYS[1], counted - limit, counted - limit, 'WITHSCORES')
return leaves_room[2] + window - now + 1
"""
"""Counts one request and answers 0, or answers the milliseconds until there is room."""


class _RedisBucket(RedisBucket):
    """A bucket in Redis that reads the server's clock and counts in one step of the server.

    The library's own sends the caller's time along, and overlooks what somebody else counted a moment later by their
    clock; and it keeps the last answer where another thread can overwrite it.
    """

    def __init__(self, rates: list[Rate], redis: Redis, bucket_key: str) -> None:
        super().__init__(rates, redis, bucket_key, script_hash="")
        # Loads itself again where the server has forgotten it.
        self._count = redis.register_script(_COUNT)

    def put_decision(self, item: RateItem) -> Decision:  # noqa: ARG002
        rate = self.rates[0]
        wait = int(self._count(keys=[self.bucket_key], args=[rate.limit, rate.interval, uuid4().hex]))
        return Decision(failing_rate=rate if wait else None, retry_after_ms=wait)

    def leak(self, current_timestamp: int | None = None) -> int:  # noqa: ARG002
        return 0


def pace(per_minute: Mapping[Kind, int], *, pacing_url: str, key: str, base_url: str) -> Pace:
    """The pace of everything that uses ``key`` at ``base_url``.

    :param per_minute: how many requests of each kind; 0 is no limit.
    :param pacing_url: where the count is kept: empty for a file in this machine's temporary folder, ``file:///...``
        for a file of one's own, ``redis://...``, ``rediss://...`` or ``unix://...`` for a Redis server.
    :raises InvalidInputError: another kind of URL, or a temporary folder that others on this machine could change.
    """
    where = place(pacing_url, key=key, base_url=base_url)
    store = _file(where.path) if where.path else _redis(where.redis_url, where.name)
    return Budget(per_minute, store) if any(per_minute.values()) else Unpaced()


def _file(path: Path) -> Store:
    def open_bucket(kind: Kind, rates: list[Rate]) -> AbstractBucket:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _FileBucket.init_from_file(rates, table=kind, db_path=str(path), use_file_lock=True)

    return Store(str(path), open_bucket, (OSError, sqlite3.Error))


def _redis(url: str, name: str) -> Store:
    try:
        from redis import Redis, RedisError
    except ImportError:
        missing = "pacing_url names a Redis server: install airflow-provider-salesblink[redis]."
        raise InvalidInputError(missing) from None

    def open_bucket(kind: Kind, rates: list[Rate]) -> AbstractBucket:
        client = Redis.from_url(url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT)
        return _RedisBucket(rates, client, f"salesblink:{name}:{kind}")

    return Store("the Redis server of pacing_url", open_bucket, (RedisError, OSError, ValueError))
